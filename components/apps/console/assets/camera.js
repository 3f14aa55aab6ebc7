// The camera: its frames go to the console one at a time, and while one is looked at the others
// are let go.

import { FrameSocket, Refusal } from "./server.js";

const LONGEST_SIDE = 640;
const QUALITY = 0.85;
// No more than 20 looks a second: nobody sees more, and a laptop stays cool.
const LEAST_MS = 50;
const AGAIN_MS = 1_000;

const REASONS = {
  NotAllowedError:
    "The camera was not allowed. Allow it for this page beside the address, then press the button once more.",
  NotFoundError: "No camera was found on this machine.",
  NotReadableError: "The camera cannot be read; another program may be using it.",
  OverconstrainedError: "That camera is not there any more; choose another.",
};

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function nextFrame(video) {
  return new Promise((resolve) => {
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(resolve);
    else requestAnimationFrame(resolve);
  });
}

/** Gives frames of `video` to the console. */
export class Camera {
  #video;
  #told;
  // Taken in turns: the frame that was answered stays while the next one is looked at.
  #canvases = [document.createElement("canvas"), document.createElement("canvas")];
  // What was begun last; whatever finds another one here is over.
  #run = null;

  /**
   * `told` has `seen(answer, at, frame)`, `failed(refusal)` and `ended(words)`. `frame` is a canvas
   * with what was looked at, until the next but one is.
   */
  constructor(video, told) {
    this.#video = video;
    this.#told = told;
  }

  get on() {
    return this.#run !== null;
  }

  /** Begin; resolves to the stream's settings, or null where it was stopped meanwhile. */
  async start(device) {
    this.stop();
    const run = { stream: null, socket: new FrameSocket() };
    this.#run = run;
    try {
      run.stream = await openStream(device);
    } catch (error) {
      if (this.#run === run) this.#run = null;
      throw error;
    }
    if (this.#run !== run) {
      release(run);
      return null;
    }
    const [track] = run.stream.getVideoTracks();
    track.addEventListener("ended", () => {
      if (this.#run !== run) return;
      this.stop();
      this.#told.ended("The camera has gone.");
    });
    this.#video.srcObject = run.stream;
    try {
      await this.#video.play();
    } catch (error) {
      if (this.#run !== run) return null;
      this.stop();
      throw new Refusal(`The camera's picture cannot be shown: ${error.message}`, false);
    }
    if (this.#run !== run) return null;
    this.#look(run);
    return track.getSettings();
  }

  /** Let go of the camera. */
  stop() {
    if (!this.#run) return;
    release(this.#run);
    this.#run = null;
    this.#video.srcObject = null;
  }

  async #look(run) {
    while (this.#run === run) {
      await nextFrame(this.#video);
      if (this.#run !== run) return;
      const at = performance.now();
      const frame = await this.#frame();
      if (this.#run !== run) return;
      try {
        const answer = await run.socket.ask(frame);
        if (this.#run === run) this.#told.seen(answer, at, this.#canvases[0]);
      } catch (error) {
        if (this.#run !== run) return;
        if (!(error instanceof Refusal)) throw error;
        this.#told.failed(error);
        await pause(AGAIN_MS);
      }
      await pause(Math.max(0, LEAST_MS - (performance.now() - at)));
    }
  }

  #frame() {
    const { videoWidth, videoHeight } = this.#video;
    const scale = Math.min(1, LONGEST_SIDE / Math.max(videoWidth, videoHeight));
    this.#canvases.reverse();
    const canvas = this.#canvases[0];
    canvas.width = Math.round(videoWidth * scale);
    canvas.height = Math.round(videoHeight * scale);
    canvas.getContext("2d").drawImage(this.#video, 0, 0, canvas.width, canvas.height);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  }
}

function release(run) {
  run.socket.close();
  for (const track of run.stream?.getTracks() ?? []) track.stop();
}

async function openStream(device) {
  if (!navigator.mediaDevices) {
    throw new Refusal(
      "Browsers give the camera to pages of their own machine alone: open this page there under http://localhost, or choose a photo.",
      false,
    );
  }
  const which = device ? { deviceId: { exact: device } } : { facingMode: "user" };
  const video = { width: { ideal: 1280 }, height: { ideal: 720 }, ...which };
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio: false });
  } catch (error) {
    throw new Refusal(REASONS[error.name] ?? `The camera cannot be used: ${error.message}`, false);
  }
}

/** The cameras of this machine, once one was allowed. */
export async function cameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === "videoinput");
}
