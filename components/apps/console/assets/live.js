// The camera's picture with what is seen in it, moving with the faces.

import { Camera, cameras } from "./camera.js";
import { clearTimeline, redrawTimeline, showLook } from "./history.js";
import { Refusal } from "./server.js";
import {
  cards, currentScene, drawNew, giveRoom, part, say, show, shown, unsay,
} from "./stage.js";

// How fast a box follows its face, as a time constant.
const EASE_MS = 70;
// Answers that come later than the first find another picture: then the one that was looked at is
// shown, until they come sooner than the second.
const LATE_MS = 220;
const SOON_MS = 140;

const video = part("video");
const view = part("view");
const calm = matchMedia("(prefers-reduced-motion: reduce)");

// The newest answer, the frame that it is about, and how long such take.
let target = null;
let looked = null;
let delay = 0;
let late = false;

const camera = new Camera(video, {
  seen(answer, at, frame) {
    unsay();
    const now = performance.now();
    delay += 0.3 * (now - at - delay);
    late = delay > (late ? SOON_MS : LATE_MS);
    if (target?.width !== answer.width || target?.height !== answer.height) {
      giveRoom(answer.width, answer.height);
    }
    target = answer;
    looked = frame;
    cards.showLive(answer, frame, now);
    showLook(answer.faces, at);
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

/** Whether the camera is on, or being asked for. */
export function isCameraOn() {
  return camera.on;
}

/** Show the camera's picture; `device` is one of the list's, or undefined for the browser's choice. */
export async function startCamera(device) {
  unsay();
  cards.clear();
  cards.say("");
  clearTimeline();
  target = null;
  delay = 0;
  late = false;
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

/** Let go of the camera; the timeline stays. */
export function stopCamera() {
  if (!camera.on && shown() !== "camera") return;
  camera.stop();
  showButton(false);
  show("nothing");
  cards.clear();
  cards.say("The camera is off.");
  unsay();
  redrawTimeline();
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

let followedAt = 0;
// What was followed last, since when.
let followed = { target: null, since: 0 };

/** Draw the faces at each frame of the screen, on their way to where they were seen last. */
function follow(now) {
  if (shown() !== "camera") return;
  requestAnimationFrame(follow);
  if (target !== followed.target) followed = { target, since: now };
  const passed = now - followedAt;
  followedAt = now;
  const picture = late && target ? looked : null;
  // They are there, as far as anybody can see.
  if (now - followed.since > (picture ? 0 : 8 * EASE_MS)) return;
  const share = calm.matches || picture ? 1 : 1 - Math.exp(-passed / EASE_MS);
  const before = new Map((currentScene()?.faces ?? []).map((face) => [face.number, face]));
  const faces = (target?.faces ?? []).map((face) => eased(before.get(face.number), face, share));
  const { width, height } = target ?? { width: video.videoWidth, height: video.videoHeight };
  const mirrored = view.classList.contains("mirrored");
  drawNew({ width, height, faces, picture, mirrored });
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
