// The place where the picture is: what it shows, the message below it and the faces beside it.

import { FaceCards, sentence } from "./faces.js";
import { drawScene } from "./overlay.js";

/** The element with this id. */
export const part = (id) => document.getElementById(id);

const stage = part("stage");
const view = part("view");
const message = part("message");

let scene = null;

/** The faces' cards; one that is pointed at has its box stand out. */
export const cards = new FaceCards(part("faces"), part("summary"), (number) => {
  if (!scene || scene.chosen === number) return;
  scene.chosen = number;
  draw();
});

/** Tell something below the picture: an "error", or a "note" on what goes on by itself. */
export function say(words, kind = "error") {
  if (message.hidden || message.textContent !== words) message.textContent = words;
  message.dataset.kind = kind;
  message.hidden = false;
}

/** Take the message away. */
export function unsay() {
  message.hidden = true;
}

/** Whether something is told. */
export function isTelling() {
  return !message.hidden;
}

/** What is shown: "nothing", a "photo" or the "camera". */
export function shown() {
  return stage.dataset.shows;
}

/** Show another. */
export function show(what) {
  stage.dataset.shows = what;
  part("hint").hidden = what !== "nothing";
  view.hidden = what === "nothing";
  part("video").hidden = what !== "camera";
  if (what !== "camera") {
    view.classList.remove("mirrored");
    part("pace").hidden = true;
  }
  if (what === "nothing") scene = null;
}

/** Make the place as wide and high as a picture of this size can use. */
export function giveRoom(width, height) {
  const ratio = width / height;
  view.style.aspectRatio = `${width} / ${height}`;
  view.style.width = `min(100%, calc(70vh * ${ratio}), ${Math.max(320, 3 * width)}px)`;
}

/** The scene that is drawn, as `drawScene` takes it, or null. */
export function currentScene() {
  return scene;
}

/** Draw another scene; the face that stands out goes on doing so. */
export function drawNew(next) {
  scene = { ...next, chosen: scene?.chosen ?? null };
  draw();
}

function draw() {
  if (!scene || view.hidden) return;
  drawScene(part("drawing"), { ...scene, keypoints: part("keypoints").checked });
}

/** Put into words what is drawn. */
export function describe(faces) {
  const words = `The picture. ${sentence(faces)} The list of faces tells more.`;
  part("drawing").setAttribute("aria-label", words);
}

new ResizeObserver(draw).observe(view);
part("keypoints").addEventListener("change", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
