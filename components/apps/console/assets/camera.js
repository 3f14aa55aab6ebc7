// The camera: frames are sent to the console one at a time; those in between are skipped.

import { ApiError, FrameSocket } from "./server.js";

const MAX_SIDE = 640;
const JPEG_QUALITY = 0.85;
// At most 20 frames a second: more are not visible, and cost processor time.
const MIN_INTERVAL_MS = 50;
const RETRY_MS = 1_000;

const REASONS = {
  NotAllowedError:
    "Camera access was denied. Allow it for this page next to the address bar, then press the button again.",
  NotFoundError: "No camera was found on this machine.",
  NotReadableError: "The camera cannot be read; another program may be using it.",
  OverconstrainedError: "That camera is no longer available; choose another.",
};

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function nextFrame(video) {
  return new Promise((resolve) => {
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(resolve);
    else requestAnimationFrame(resolve);
  });
}

/** Sends the frames of a video element to the console. */
export class Camera {
  #video;
  #callbacks;
  // Used in turns: the frame of the last result stays while the next one is analysed.
  #canvases = [document.createElement("canvas"), document.createElement("canvas")];
  // The current session; an asynchronous step that finds another one here has been stopped.
  #session = null;

  /**
   * `callbacks` has `onResult(result, sentAt, frame)`, `onError(error)` and `onEnd(message)`.
   * `frame` is a canvas with the frame that was analysed; it is reused for the next but one.
   */
  constructor(video, callbacks) {
    this.#video = video;
    this.#callbacks = callbacks;
  }

  get isOn() {
    return this.#session !== null;
  }

  /** Start; resolve to the settings of the stream, or null if it was stopped meanwhile. */
  async start(device) {
    this.stop();
    const session = { stream: null, socket: new FrameSocket() };
    this.#session = session;
    try {
      session.stream = await openStream(device);
    } catch (error) {
      if (this.#session === session) this.#session = null;
      throw error;
    }
    if (this.#session !== session) {
      release(session);
      return null;
    }
    const [track] = session.stream.getVideoTracks();
    track.addEventListener("ended", () => {
      if (this.#session !== session) return;
      this.stop();
      this.#callbacks.onEnd("The camera was disconnected.");
    });
    this.#video.srcObject = session.stream;
    try {
      await this.#video.play();
    } catch (error) {
      if (this.#session !== session) return null;
      this.stop();
      throw new ApiError(`The camera's picture cannot be shown: ${error.message}`, false);
    }
    if (this.#session !== session) return null;
    this.#analyseFrames(session);
    return track.getSettings();
  }

  /** Stop and release the camera. */
  stop() {
    if (!this.#session) return;
    release(this.#session);
    this.#session = null;
    this.#video.srcObject = null;
  }

  async #analyseFrames(session) {
    while (this.#session === session) {
      await nextFrame(this.#video);
      if (this.#session !== session) return;
      const sentAt = performance.now();
      const frame = await this.#encodeFrame();
      if (this.#session !== session) return;
      try {
        const result = await session.socket.analyse(frame);
        if (this.#session === session) {
          this.#callbacks.onResult(result, sentAt, this.#canvases[0]);
        }
      } catch (error) {
        if (this.#session !== session) return;
        if (!(error instanceof ApiError)) throw error;
        this.#callbacks.onError(error);
        await sleep(RETRY_MS);
      }
      await sleep(Math.max(0, MIN_INTERVAL_MS - (performance.now() - sentAt)));
    }
  }

  #encodeFrame() {
    const { videoWidth, videoHeight } = this.#video;
    const scale = Math.min(1, MAX_SIDE / Math.max(videoWidth, videoHeight));
    this.#canvases.reverse();
    const canvas = this.#canvases[0];
    canvas.width = Math.round(videoWidth * scale);
    canvas.height = Math.round(videoHeight * scale);
    canvas.getContext("2d").drawImage(this.#video, 0, 0, canvas.width, canvas.height);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
  }
}

function release(session) {
  session.socket.close();
  for (const track of session.stream?.getTracks() ?? []) track.stop();
}

async function openStream(device) {
  if (!navigator.mediaDevices) {
    throw new ApiError(
      "Browsers allow the camera only on pages from their own machine: open this page there at http://localhost, or choose a photo.",
      false,
    );
  }
  const selection = device ? { deviceId: { exact: device } } : { facingMode: "user" };
  const video = { width: { ideal: 1280 }, height: { ideal: 720 }, ...selection };
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio: false });
  } catch (error) {
    throw new ApiError(REASONS[error.name] ?? `The camera cannot be used: ${error.message}`, false);
  }
}

/** List the cameras of this machine; empty before one was allowed. */
export async function listCameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === "videoinput");
}
