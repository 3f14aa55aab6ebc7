// The camera's picture with the results drawn on it, moving with the faces.

import { Camera, listCameras } from "./camera.js";
import { addFrame, clearTimeline, redrawTimeline } from "./history.js";
import { ApiError } from "./server.js";
import {
  cards, currentMode, currentScene, element, hideMessage, resizeView, setMode, setScene,
  showMessage,
} from "./stage.js";

// Time constant with which a box follows its face.
const EASE_MS = 70;
// With a longer delay than the first, results no longer fit the video, and the analysed frame is
// shown instead, until the delay is shorter than the second.
const SLOW_MS = 220;
const FAST_MS = 140;

const video = element("video");
const view = element("view");
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

// The newest result, the frame it is about, and the smoothed delay of results.
let result = null;
let resultFrame = null;
let delayMs = 0;
let isSlow = false;

const camera = new Camera(video, {
  onResult(newest, sentAt, frame) {
    hideMessage();
    const now = performance.now();
    delayMs += 0.3 * (now - sentAt - delayMs);
    isSlow = delayMs > (isSlow ? FAST_MS : SLOW_MS);
    if (result?.width !== newest.width || result?.height !== newest.height) {
      resizeView(newest.width, newest.height);
    }
    result = newest;
    resultFrame = frame;
    cards.showFrame(newest, frame, now);
    addFrame(newest.faces, sentAt);
  },
  onError(error) {
    result = null;
    showMessage(`${error.message} The camera resumes as soon as there is an answer.`, "note");
  },
  onEnd(message) {
    stopCamera();
    showMessage(message);
  },
});

/** Whether the camera is on, or waiting for permission. */
export function isCameraOn() {
  return camera.isOn;
}

/** Show a camera's picture; `device` is an id from the list, or undefined for the default. */
export async function startCamera(device) {
  hideMessage();
  cards.clear();
  cards.setSummary("");
  clearTimeline();
  result = null;
  delayMs = 0;
  isSlow = false;
  updateButton(true);
  try {
    const settings = await camera.start(device);
    if (!settings) return;
    setMode("camera");
    view.classList.toggle("mirrored", settings.facingMode !== "environment");
    resizeView(video.videoWidth, video.videoHeight);
    requestAnimationFrame(drawFrame);
    await updateCameraList(settings.deviceId);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    updateButton(false);
    setMode("nothing");
    showMessage(error.message);
  }
}

/** Stop the camera; the timeline is kept. */
export function stopCamera() {
  if (!camera.isOn && currentMode() !== "camera") return;
  camera.stop();
  updateButton(false);
  setMode("nothing");
  cards.clear();
  cards.setSummary("The camera is off.");
  hideMessage();
  redrawTimeline();
}

function updateButton(isOn) {
  element("camera").textContent = isOn ? "Stop the camera" : "Use the camera";
  element("camera").toggleAttribute("data-on", isOn);
}

async function updateCameraList(currentId) {
  const devices = await listCameras();
  element("camera-choice").hidden = devices.length < 2;
  element("cameras").replaceChildren(
    ...devices.map((device, k) => {
      const name = device.label || `Camera ${k + 1}`;
      return new Option(name, device.deviceId, false, device.deviceId === currentId);
    }),
  );
}

let drawnAt = 0;
// The result that is being drawn, and since when.
let drawn = { result: null, since: 0 };

/** Draw the faces at each frame of the screen, moving towards the newest result. */
function drawFrame(now) {
  if (currentMode() !== "camera") return;
  requestAnimationFrame(drawFrame);
  if (result !== drawn.result) drawn = { result, since: now };
  const passedMs = now - drawnAt;
  drawnAt = now;
  const picture = isSlow && result ? resultFrame : null;
  // After eight time constants the boxes no longer move.
  if (now - drawn.since > (picture ? 0 : 8 * EASE_MS)) return;
  const step = reducedMotion.matches || picture ? 1 : 1 - Math.exp(-passedMs / EASE_MS);
  const previous = new Map((currentScene()?.faces ?? []).map((face) => [face.number, face]));
  const faces = (result?.faces ?? []).map((face) => moved(previous.get(face.number), face, step));
  const { width, height } = result ?? { width: video.videoWidth, height: video.videoHeight };
  const mirrored = view.classList.contains("mirrored");
  setScene({ width, height, faces, picture, mirrored });
}

/** Move a face's box and keypoints by a share `step` of the way. */
function moved(from, to, step) {
  if (!from) return to;
  const interpolate = (a, b) => a + step * (b - a);
  const box = {};
  for (const side of Object.keys(to.box)) box[side] = interpolate(from.box[side], to.box[side]);
  const keypoints = {};
  for (const [name, [x, y]] of Object.entries(to.keypoints)) {
    const [fromX, fromY] = from.keypoints[name];
    keypoints[name] = [interpolate(fromX, x), interpolate(fromY, y)];
  }
  return { ...to, box, keypoints };
}
