// The picture area: what it shows, the message below it, and the cards beside it.

import { FaceCards, describeFaces } from "./faces.js";
import { drawScene } from "./overlay.js";

/** Return the element with this id. */
export const element = (id) => document.getElementById(id);

const stage = element("stage");
const view = element("view");
const message = element("message");

let scene = null;

/** The cards of the faces; the selected one is highlighted in the picture. */
export const cards = new FaceCards(element("faces"), element("summary"), (number) => {
  if (!scene || scene.selected === number) return;
  scene.selected = number;
  draw();
});

// Control characters, and marks that turn the direction of what follows: a file's name may hold any.
const CONTROLS = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Show a message below the picture: an "error", or a "note" that needs no action. */
export function showMessage(words, kind = "error") {
  const text = words.replace(CONTROLS, "\ufffd");
  // The same text again would be read aloud again.
  if (message.hidden || message.textContent !== text) message.textContent = text;
  message.dataset.kind = kind;
  message.hidden = false;
}

/** Hide the message. */
export function hideMessage() {
  message.hidden = true;
}

/** Whether a message is shown. */
export function hasMessage() {
  return !message.hidden;
}

/** Return what is shown: "nothing", a "photo" or the "camera". */
export function currentMode() {
  return stage.dataset.mode;
}

/** Show "nothing", a "photo" or the "camera". */
export function setMode(mode) {
  stage.dataset.mode = mode;
  element("hint").hidden = mode !== "nothing";
  view.hidden = mode === "nothing";
  element("video").hidden = mode !== "camera";
  if (mode !== "camera") {
    view.classList.remove("mirrored");
    element("rate").hidden = true;
  }
  if (mode === "nothing") scene = null;
}

/** Fit the picture area to a picture of this size. */
export function resizeView(width, height) {
  const ratio = width / height;
  view.style.aspectRatio = `${width} / ${height}`;
  view.style.width = `min(100%, calc(70vh * ${ratio}), ${Math.max(320, 3 * width)}px)`;
}

/** Return the scene that is drawn, as `drawScene` takes it, or null. */
export function currentScene() {
  return scene;
}

/** Draw another scene; the selected face stays selected. */
export function setScene(next) {
  scene = { ...next, selected: scene?.selected ?? null };
  draw();
}

function draw() {
  if (!scene || view.hidden) return;
  drawScene(element("drawing"), { ...scene, showKeypoints: element("keypoints").checked });
}

/** Describe the drawing for screen readers. */
export function describeDrawing(faces) {
  const text = `The picture. ${describeFaces(faces)} The list of faces has the details.`;
  element("drawing").setAttribute("aria-label", text);
}

new ResizeObserver(draw).observe(view);
element("keypoints").addEventListener("change", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
