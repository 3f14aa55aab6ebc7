// The page: photos in by choosing, dropping and pasting, the camera on and off, answers out.

import { Camera, cameras } from "./camera.js";
import { FaceCards, sentence } from "./faces.js";
import { drawScene } from "./overlay.js";
import { Refusal, askAboutPhoto, watchState } from "./server.js";
import { Timeline, writeTable } from "./timeline.js";
import { counted } from "./emotions.js";

const AGAIN_MS = 1_500;
const LONGEST_SHOWN = 2_400;
const TABLE_MS = 1_000;
const LANES_MS = 200;
// How fast a box follows its face, as a time constant.
const EASE_MS = 70;
// Answers that come later than the first find another picture: then the one that was looked at is
// shown, until they come sooner than the second.
const LATE_MS = 220;
const SOON_MS = 140;

const part = (id) => document.getElementById(id);
const stage = part("stage");
const view = part("view");
const video = part("video");
const drawing = part("drawing");
const message = part("message");

let scene = null;
let photo = null;
let mostBytes = Infinity;

const cards = new FaceCards(part("faces"), part("summary"), (number) => {
  if (!scene || scene.chosen === number) return;
  scene.chosen = number;
  draw();
});

// --- what is shown ---

function say(words, kind = "error") {
  if (message.hidden || message.textContent !== words) message.textContent = words;
  message.dataset.kind = kind;
  message.hidden = false;
}

function unsay() {
  message.hidden = true;
}

function show(what) {
  stage.dataset.shows = what;
  part("hint").hidden = what !== "nothing";
  view.hidden = what === "nothing";
  video.hidden = what !== "camera";
  if (what !== "camera") {
    view.classList.remove("mirrored");
    part("pace").hidden = true;
  }
  if (what === "nothing") scene = null;
}

function giveRoom(width, height) {
  const ratio = width / height;
  view.style.aspectRatio = `${width} / ${height}`;
  view.style.width = `min(100%, calc(70vh * ${ratio}), ${Math.max(320, 3 * width)}px)`;
}

function draw() {
  if (!scene || view.hidden) return;
  drawScene(drawing, { ...scene, keypoints: part("keypoints").checked });
}

function describe(faces) {
  drawing.setAttribute("aria-label", `The picture. ${sentence(faces)} The list of faces tells more.`);
}

new ResizeObserver(draw).observe(view);
part("keypoints").addEventListener("change", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  draw();
  drawTimeline();
});

// --- photos ---

async function look(file) {
  stopCamera();
  photo?.abort();
  const mine = new AbortController();
  photo = mine;
  unsay();
  cards.clear();
  cards.say("");
  show("nothing");
  part("busy").hidden = false;
  try {
    await lookUntilAnswered(file, mine.signal);
  } catch (error) {
    if (mine.signal.aborted) return;
    if (!(error instanceof Refusal)) throw error;
    show("nothing");
    say(`${file.name || "The picture"}: ${error.message}`);
  } finally {
    if (photo === mine) part("busy").hidden = true;
  }
}

async function lookUntilAnswered(file, signal) {
  await checkReadable(file);
  const picture = await decoded(file);
  signal.throwIfAborted();
  if (picture) {
    showPhoto({ width: picture.width, height: picture.height, faces: [] }, picture);
  }
  for (;;) {
    try {
      const answer = await askAboutPhoto(file, signal);
      unsay();
      showPhoto(answer, picture);
      describe(answer.faces);
      cards.showPhoto(answer, picture);
      if (!picture) {
        say("This browser cannot show such a picture; what was seen in it is drawn alone.", "note");
      }
      return;
    } catch (error) {
      if (!error.again) throw error;
      say(`${error.message} Asking again until there is an answer.`, "note");
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    signal.throwIfAborted();
  }
}

function showPhoto(answer, picture) {
  scene = { ...answer, picture, chosen: null };
  show("photo");
  giveRoom(answer.width, answer.height);
  draw();
}

async function checkReadable(file) {
  if (file.size > mostBytes) {
    throw new Refusal(`more than ${Math.floor(mostBytes / 2 ** 20)} MiB; make it smaller.`, false);
  }
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Refusal("cannot be read; is it a folder?", false);
  }
}

/** The picture, no larger than can be seen; null where the browser does not know its format. */
async function decoded(file) {
  try {
    const whole = await createImageBitmap(file);
    const scale = LONGEST_SHOWN / Math.max(whole.width, whole.height);
    if (scale >= 1) return whole;
    const size = { resizeWidth: Math.round(whole.width * scale), resizeQuality: "high" };
    const smaller = await createImageBitmap(whole, size);
    whole.close();
    return smaller;
  } catch {
    return null;
  }
}

function take(files) {
  if (!files.length) {
    say("That is no file; drop or paste a picture itself.");
    return;
  }
  look(files[0]).then(() => {
    if (files.length > 1 && message.hidden) {
      say(`This is the first of ${counted(files.length, "picture", "pictures")}; the page looks at one at a time.`, "note");
    }
  });
}

part("choose").addEventListener("click", () => part("file").click());
part("file").addEventListener("change", (event) => {
  if (event.target.files.length) take([...event.target.files]);
  // The same file may be chosen again.
  event.target.value = "";
});

part("example").addEventListener("click", async () => {
  part("choose").focus();
  try {
    const response = await fetch("example");
    look(new File([await response.blob()], "drawn faces"));
  } catch {
    say("The console does not answer. Is it still running?");
  }
});

addEventListener("paste", (event) => {
  if (event.clipboardData) take([...event.clipboardData.files]);
});

// Counts what is entered and left: each element on the way sends both.
let inside = 0;
addEventListener("dragenter", () => {
  inside += 1;
  stage.classList.add("dropping");
});
addEventListener("dragleave", () => {
  inside -= 1;
  if (inside <= 0) dropped();
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  dropped();
  take([...(event.dataTransfer?.files ?? [])]);
});

function dropped() {
  inside = 0;
  stage.classList.remove("dropping");
}

// --- the camera ---

const timeline = new Timeline();
const calm = matchMedia("(prefers-reduced-motion: reduce)");
let target = null;
let looked = null;
let delay = 0;
let late = false;
let tableAt = -Infinity;
let lanesAt = -Infinity;
// Since the pace was written last.
let looks = 0;

const camera = new Camera(video, {
  seen(answer, at, frame) {
    unsay();
    const now = performance.now();
    delay += 0.3 * (now - at - delay);
    late = delay > (late ? SOON_MS : LATE_MS);
    looked = frame;
    if (scene?.width !== answer.width || scene?.height !== answer.height) {
      giveRoom(answer.width, answer.height);
    }
    target = answer;
    looks += 1;
    cards.showLive(answer, frame, now);
    timeline.add(answer.faces, at);
    showTimeline();
  },
  failed(refusal) {
    target = null;
    say(`${refusal.message} The camera goes on as soon as there is an answer.`, "note");
  },
  ended(words) {
    stopCamera();
    say(words);
  },
});

async function startCamera(device) {
  photo?.abort();
  unsay();
  cards.clear();
  cards.say("");
  timeline.clear();
  target = null;
  delay = 0;
  late = false;
  tableAt = -Infinity;
  showButton(true);
  try {
    const settings = await camera.start(device);
    if (!settings) return;
    show("camera");
    view.classList.toggle("mirrored", settings.facingMode !== "environment");
    giveRoom(video.videoWidth, video.videoHeight);
    requestAnimationFrame(follow);
    await listCameras(settings.deviceId);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    showButton(false);
    show("nothing");
    say(error.message);
  }
}

function stopCamera() {
  if (!camera.on && stage.dataset.shows !== "camera") return;
  camera.stop();
  showButton(false);
  show("nothing");
  cards.clear();
  cards.say("The camera is off.");
  unsay();
  showTimeline(true);
}

function showButton(on) {
  part("camera").textContent = on ? "Stop the camera" : "Use the camera";
  part("camera").toggleAttribute("data-on", on);
}

async function listCameras(current) {
  const found = await cameras();
  part("which").hidden = found.length < 2;
  part("cameras").replaceChildren(
    ...found.map((device, k) => {
      const name = device.label || `Camera ${k + 1}`;
      return new Option(name, device.deviceId, false, device.deviceId === current);
    }),
  );
}

part("camera").addEventListener("click", () => {
  if (camera.on) stopCamera();
  else startCamera();
});
part("cameras").addEventListener("change", (event) => startCamera(event.target.value));

let followedAt = 0;
// What was followed last, since when.
let followed = { target: null, since: 0 };

/** Draw the faces at each frame of the screen, on their way to where they were seen last. */
function follow(now) {
  if (stage.dataset.shows !== "camera") return;
  if (target !== followed.target) followed = { target, since: now };
  const picture = late && target ? looked : null;
  // They are there, as far as anybody can see.
  if (now - followed.since > (picture ? 0 : 8 * EASE_MS)) {
    followedAt = now;
    requestAnimationFrame(follow);
    return;
  }
  const share = calm.matches || picture ? 1 : 1 - Math.exp(-(now - followedAt) / EASE_MS);
  followedAt = now;
  const before = new Map((scene?.faces ?? []).map((face) => [face.number, face]));
  const faces = (target?.faces ?? []).map((face) => eased(before.get(face.number), face, share));
  const size = target ?? { width: video.videoWidth, height: video.videoHeight };
  const mirrored = view.classList.contains("mirrored");
  const chosen = scene?.chosen ?? null;
  scene = { width: size.width, height: size.height, faces, picture, mirrored, chosen };
  draw();
  requestAnimationFrame(follow);
}

function eased(from, to, share) {
  if (!from) return to;
  const between = (a, b) => a + share * (b - a);
  const box = {};
  for (const side of Object.keys(to.box)) box[side] = between(from.box[side], to.box[side]);
  const keypoints = {};
  for (const [name, [x, y]] of Object.entries(to.keypoints)) {
    const [fromX, fromY] = from.keypoints[name];
    keypoints[name] = [between(fromX, x), between(fromY, y)];
  }
  return { ...to, box, keypoints };
}

// --- the timeline ---

function showTimeline(atOnce = false) {
  part("timeline").hidden = timeline.empty;
  const now = performance.now();
  if (atOnce || now - lanesAt > LANES_MS) {
    lanesAt = now;
    drawTimeline();
  }
  if (atOnce || now - tableAt > TABLE_MS) {
    if (!atOnce) {
      const pace = Math.round((1000 * looks) / (now - tableAt));
      part("pace").textContent = `${counted(pace, "look", "looks")} a second`;
      part("pace").hidden = !Number.isFinite(tableAt) || pace === 0;
      if (scene) describe(scene.faces);
    }
    looks = 0;
    tableAt = now;
    writeTable(part("tracks").tBodies[0], timeline);
    writeLegend();
  }
}

function drawTimeline() {
  if (!timeline.empty) timeline.draw(part("lanes"));
}

function writeLegend() {
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

new ResizeObserver(drawTimeline).observe(part("timeline"));

part("clear").addEventListener("click", () => {
  timeline.clear();
  showTimeline(true);
  part("camera").focus();
});

part("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([timeline.csv()], { type: "text/csv" }));
  link.download = "emotions.csv";
  link.click();
  // After the browser has taken it.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
});

// --- the state of the model server ---

const STATES = { ready: "Ready", loading: "Loading", down: "No answer", empty: "No release" };

watchState((state) => {
  const pill = part("state");
  pill.dataset.status = state.status;
  const words = `${STATES[state.status] ?? state.status}: ${state.words}`;
  if (pill.textContent !== words) pill.textContent = words;
  mostBytes = state.most_bytes ?? mostBytes;
  if (state.stays_here === false) {
    part("privacy").textContent =
      "Pictures are looked at on this machine; faces cut out of them go to the model server that the console was started with, and nowhere else.";
  }
});
