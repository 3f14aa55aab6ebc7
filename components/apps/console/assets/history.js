// The timeline section of the page: lanes, legend, table, and the frame rate.

import { pluralize, styleOf } from "./emotions.js";
import { currentScene, describeDrawing, element } from "./stage.js";
import { Timeline, writeTable } from "./timeline.js";

const TABLE_INTERVAL_MS = 1_000;
const LANES_INTERVAL_MS = 200;

const timeline = new Timeline();
let tableAt = -Infinity;
let lanesAt = -Infinity;
// Since the table was last written.
let frames = 0;
// Of all that the console analyses; "" where none is declared.
let purpose = "";

/** Set the purpose that is saved with the samples. */
export function setPurpose(text) {
  purpose = text;
}

/** Remove all samples. */
export function clearTimeline() {
  timeline.clear();
  tableAt = -Infinity;
  frames = 0;
}

/** Add the faces of a frame sent at `ms` of performance.now(), and redraw when it is due. */
export function addFrame(faces, ms) {
  timeline.add(faces, ms);
  frames += 1;
  element("timeline").hidden = timeline.isEmpty;
  const now = performance.now();
  if (now - lanesAt > LANES_INTERVAL_MS) {
    lanesAt = now;
    drawLanes();
  }
  if (now - tableAt > TABLE_INTERVAL_MS) {
    showFrameRate(frames, now - tableAt);
    if (currentScene()) describeDrawing(currentScene().faces);
    tableAt = now;
    frames = 0;
    writeText();
  }
}

/** Redraw everything. */
export function redrawTimeline() {
  element("timeline").hidden = timeline.isEmpty;
  drawLanes();
  writeText();
}

function showFrameRate(count, ms) {
  const rate = Math.round((1000 * count) / ms);
  element("rate").textContent = `${pluralize(rate, "frame", "frames")} per second`;
  element("rate").hidden = rate === 0;
}

function drawLanes() {
  if (!timeline.isEmpty) timeline.draw(element("lanes"));
}

function writeText() {
  writeTable(element("tracks").tBodies[0], timeline);
  const legend = element("legend");
  if (legend.dataset.labels === timeline.labels.join()) return;
  legend.dataset.labels = timeline.labels.join();
  legend.replaceChildren(
    ...timeline.labels.map((name) => {
      const item = document.createElement("li");
      const swatch = document.createElement("i");
      swatch.style.background = styleOf(name);
      item.append(swatch, name);
      return item;
    }),
  );
}

function saveCsv() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([timeline.csv(purpose)], { type: "text/csv" }));
  link.download = "emotions.csv";
  link.click();
  // By then the browser has read it.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

element("save").addEventListener("click", saveCsv);
element("clear").addEventListener("click", () => {
  clearTimeline();
  redrawTimeline();
  element("camera").focus();
});
new ResizeObserver(drawLanes).observe(element("timeline"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawLanes);
