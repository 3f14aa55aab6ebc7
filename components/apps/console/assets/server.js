// Requests to the console: photos, camera frames, and its state.

const TIMEOUT_MS = 15_000;
const STATE_INTERVAL_MS = 2_000;
const NO_RESPONSE =
  "The console does not respond. Is it still running? Start it again with: emotion-ai console";

/** Why there is no result; `canRetry` says whether the same request may succeed later. */
export class ApiError extends Error {
  constructor(message, canRetry) {
    super(message);
    this.canRetry = canRetry;
  }
}

/** Analyse a photo file. Throws an ApiError, or the reason that `signal` was aborted with. */
export async function analysePhoto(file, signal) {
  let body;
  try {
    const response = await fetch("photo", { method: "POST", body: file, signal });
    body = await response.json();
  } catch (error) {
    signal.throwIfAborted();
    throw new ApiError(NO_RESPONSE, true);
  }
  return resultOf(body);
}

function resultOf(body) {
  if (body.error) throw new ApiError(body.error, body.again);
  return body;
}

/** A connection for camera frames: each is answered before the next may be sent. */
export class FrameSocket {
  #socket = null;
  #pending = null;

  /** Analyse one frame; connects first if there is no connection. */
  async analyse(frame) {
    await this.#connect();
    const text = await new Promise((resolve, reject) => {
      this.#pending = { resolve, reject, timer: setTimeout(() => this.close(), TIMEOUT_MS) };
      this.#socket.send(frame);
    });
    return resultOf(JSON.parse(text));
  }

  close() {
    this.#socket?.close();
    this.#fail();
  }

  #connect() {
    if (this.#socket) return Promise.resolve();
    const url = new URL("camera", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url);
      this.#socket = socket;
      this.#pending = { resolve, reject };
      socket.addEventListener("open", () => this.#settle("resolve"));
      socket.addEventListener("message", (event) => this.#settle("resolve", event.data));
      socket.addEventListener("close", () => {
        if (this.#socket === socket) this.#fail();
      });
    });
  }

  #fail() {
    this.#socket = null;
    this.#settle("reject", new ApiError(NO_RESPONSE, true));
  }

  #settle(outcome, value) {
    const pending = this.#pending;
    this.#pending = null;
    clearTimeout(pending?.timer);
    pending?.[outcome](value);
  }
}

/** Call `onState` with the console's state now, regularly, and when the page becomes visible. */
export function pollState(onState) {
  let timer;
  async function poll() {
    clearTimeout(timer);
    if (!document.hidden) {
      try {
        const response = await fetch("state", { signal: AbortSignal.timeout(TIMEOUT_MS) });
        onState(await response.json());
      } catch {
        onState({ status: "down", words: NO_RESPONSE });
      }
    }
    timer = setTimeout(poll, STATE_INTERVAL_MS);
  }
  document.addEventListener("visibilitychange", poll);
  poll();
}
