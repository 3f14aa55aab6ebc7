// The part of the page with the timeline: lanes, legend, table, and how fast all goes.

import { counted } from "./emotions.js";
import { currentScene, describe, part } from "./stage.js";
import { Timeline, writeTable } from "./timeline.js";

const TABLE_MS = 1_000;
const LANES_MS = 200;

const timeline = new Timeline();
let tableAt = -Infinity;
let lanesAt = -Infinity;
// Since the table was written last.
let looks = 0;

/** Forget all. */
export function clearTimeline() {
  timeline.clear();
  tableAt = -Infinity;
  looks = 0;
}

/** Add the faces of a look at `ms` of performance.now(), and show it where it is time to. */
export function showLook(faces, ms) {
  timeline.add(faces, ms);
  looks += 1;
  part("timeline").hidden = timeline.empty;
  const now = performance.now();
  if (now - lanesAt > LANES_MS) {
    lanesAt = now;
    drawLanes();
  }
  if (now - tableAt > TABLE_MS) {
    showPace(looks, now - tableAt);
    if (currentScene()) describe(currentScene().faces);
    tableAt = now;
    looks = 0;
    writeWords();
  }
}

/** Show all that there is. */
export function redrawTimeline() {
  part("timeline").hidden = timeline.empty;
  drawLanes();
  writeWords();
}

function showPace(count, passed) {
  const pace = Math.round((1000 * count) / passed);
  part("pace").textContent = `${counted(pace, "look", "looks")} a second`;
  part("pace").hidden = pace === 0;
}

function drawLanes() {
  if (!timeline.empty) timeline.draw(part("lanes"));
}

function writeWords() {
  writeTable(part("tracks").tBodies[0], timeline);
  const legend = part("legend");
  if (legend.dataset.labels === timeline.labels.join()) return;
  legend.dataset.labels = timeline.labels.join();
  legend.replaceChildren(
    ...timeline.labels.map((name) => {
      const item = document.createElement("li");
      const swatch = document.createElement("i");
      swatch.style.background = `var(--${name}, var(--other))`;
      item.append(swatch, name);
      return item;
    }),
  );
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([timeline.csv()], { type: "text/csv" }));
  link.download = "emotions.csv";
  link.click();
  // After the browser has taken it.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

part("save").addEventListener("click", save);
part("clear").addEventListener("click", () => {
  clearTimeline();
  redrawTimeline();
  part("camera").focus();
});
new ResizeObserver(drawLanes).observe(part("timeline"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawLanes);
