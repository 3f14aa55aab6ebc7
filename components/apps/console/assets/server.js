// What the page asks the console: about a photo, about frames, and how it is.

const ANSWER_MS = 15_000;
const STATE_MS = 2_000;
const GONE = "The console does not answer. Is it still running? Start it again with: emotion-ai console";

/** Why there is no answer; `again` says whether to ask once more is of use. */
export class Refusal extends Error {
  constructor(words, again) {
    super(words);
    this.again = again;
  }
}

/** The answer about a photo's file. Throws a Refusal, or what `signal` was aborted with. */
export async function askAboutPhoto(file, signal) {
  let answer;
  try {
    const response = await fetch("photo", { method: "POST", body: file, signal });
    answer = await response.json();
  } catch (error) {
    signal.throwIfAborted();
    throw new Refusal(GONE, true);
  }
  return checked(answer);
}

function checked(answer) {
  if (answer.error) throw new Refusal(answer.error, answer.again);
  return answer;
}

/** A connection for frames: each is answered before the next may be sent. */
export class FrameSocket {
  #socket = null;
  #waiting = null;

  /** The answer about one frame's file; connects where there is no connection. */
  async ask(file) {
    await this.#connect();
    const text = await new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject, timer: setTimeout(() => this.close(), ANSWER_MS) };
      this.#socket.send(file);
    });
    return checked(JSON.parse(text));
  }

  close() {
    this.#socket?.close();
    this.#lost();
  }

  #connect() {
    if (this.#socket) return Promise.resolve();
    const url = new URL("camera", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url);
      this.#socket = socket;
      this.#waiting = { resolve, reject };
      socket.addEventListener("open", () => this.#settle("resolve"));
      socket.addEventListener("message", (event) => this.#settle("resolve", event.data));
      socket.addEventListener("close", () => {
        if (this.#socket === socket) this.#lost();
      });
    });
  }

  #lost() {
    this.#socket = null;
    this.#settle("reject", new Refusal(GONE, true));
  }

  #settle(how, value) {
    const waiting = this.#waiting;
    this.#waiting = null;
    clearTimeout(waiting?.timer);
    waiting?.[how](value);
  }
}

/** Call `told` with the state of the console, now and whenever it may have changed. */
export function watchState(told) {
  let timer;
  async function ask() {
    clearTimeout(timer);
    if (!document.hidden) {
      try {
        told(await (await fetch("state", { signal: AbortSignal.timeout(ANSWER_MS) })).json());
      } catch {
        told({ status: "down", words: GONE });
      }
    }
    timer = setTimeout(ask, STATE_MS);
  }
  document.addEventListener("visibilitychange", ask);
  ask();
}
