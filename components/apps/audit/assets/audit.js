"use strict";
// Decisions by data row; they stay in the browser until they are saved to the file of corrections.
const audit = JSON.parse(document.getElementById("audit").textContent);
const button = document.getElementById("save");
const earlier = new Map(audit.earlier.map(([row, emotion, corrected]) => [row, { emotion, corrected }]));
const figures = document.querySelector(".faces");
// Of faces that another page of the same labels shows.
const elsewhere = {};

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(audit.key) || "{}");
  } catch {
    return {};
  }
}

function decisions() {
  const chosen = {};
  for (const figure of figures.children) {
    const value = figure.querySelector("select").value;
    figure.classList.toggle("changed", value !== "");
    if (value) chosen[figure.dataset.row] = value;
  }
  return chosen;
}

function update() {
  const chosen = decisions();
  const count = Object.keys(chosen).length;
  button.disabled = count === 0;
  document.getElementById("count").textContent =
    `${count} changed` + (earlier.size ? `, beside ${earlier.size} of before` : "");
  try {
    localStorage.setItem(audit.key, JSON.stringify({ ...elsewhere, ...chosen }));
  } catch {
    // A browser may forbid it to a page from a file; then nothing is remembered.
  }
}

function corrections() {
  const merged = new Map(earlier);
  for (const [text, corrected] of Object.entries(decisions())) {
    const row = Number(text);
    const figure = figures.querySelector(`[data-row="${row}"]`);
    const emotion = earlier.get(row)?.emotion ?? figure.dataset.emotion;
    if (corrected === emotion) merged.delete(row);
    else merged.set(row, { emotion, corrected });
  }
  const rows = [...merged].sort(([a], [b]) => a - b);
  return ["row,emotion,corrected", ...rows.map(([row, c]) => `${row},${c.emotion},${c.corrected}`), ""].join("\n");
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([corrections()], { type: "text/csv" }));
  link.download = audit.file;
  link.click();
  URL.revokeObjectURL(link.href);
}

figures.addEventListener("change", update);
figures.addEventListener("click", (event) => {
  const figure = event.target.closest("button")?.parentElement;
  if (!figure) return;
  const select = figure.querySelector("select");
  select.value = select.value ? "" : figure.dataset.suggested;
  update();
});
button.addEventListener("click", save);
for (const [row, value] of Object.entries(remembered())) {
  const select = figures.querySelector(`[data-row="${Number(row)}"] select`);
  if (select) select.value = value;
  else elsewhere[row] = value;
}
update();
