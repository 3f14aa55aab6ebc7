// What was seen over time: a lane for each face, the shares of its emotions stacked, and a table.

import { colourOf, counted, most, percent, themeColour } from "./emotions.js";
import { fitted } from "./overlay.js";

// One sample for each fifth of a second, the mean of the looks in it.
const SAMPLE_S = 0.2;
const LONGEST_S = 60;
const SHORTEST_S = 12;
// A face that was not seen for longer was away.
const AWAY_S = 2.5;
const LANES = 4;
const LANE_HEIGHT = 88;
const GAP = 14;
const AXIS = 26;
const ROWS = 8;
// An hour of five faces; the oldest go first.
const MOST_SAMPLES = 90_000;

/** The samples of each face by its number. Seconds count from the first look. */
export class Timeline {
  #start = null;
  #now = 0;
  #tracks = new Map();
  #count = 0;
  labels = [];

  get empty() {
    return this.#tracks.size === 0;
  }

  clear() {
    this.#start = null;
    this.#tracks.clear();
    this.#count = 0;
    this.labels = [];
  }

  /** Take an answer's faces, seen at `ms` of performance.now(). */
  add(faces, ms) {
    this.#start ??= ms;
    this.#now = (ms - this.#start) / 1000;
    for (const face of faces) {
      this.labels = Object.keys(face.probabilities);
      if (!this.#tracks.has(face.number)) this.#tracks.set(face.number, []);
      const samples = this.#tracks.get(face.number);
      const last = samples.at(-1);
      if (last && this.#now - last.time < SAMPLE_S) {
        last.looks += 1;
        for (const name of this.labels) {
          last.shares[name] += (face.probabilities[name] - last.shares[name]) / last.looks;
        }
      } else {
        samples.push({ time: this.#now, looks: 1, shares: { ...face.probabilities } });
        this.#count += 1;
      }
    }
    while (this.#count > MOST_SAMPLES) this.#forgetOldest();
  }

  #forgetOldest() {
    const [number, samples] = [...this.#tracks].reduce((a, b) => (b[1][0].time < a[1][0].time ? b : a));
    samples.shift();
    this.#count -= 1;
    if (!samples.length) this.#tracks.delete(number);
  }

  /** Draw the last minute of the faces that were seen last. */
  draw(canvas) {
    const length = Math.min(LONGEST_S, Math.max(SHORTEST_S, this.#now));
    const from = Math.max(0, this.#now - length);
    const lanes = [...this.#tracks]
      .filter(([, samples]) => samples.at(-1).time >= from)
      .sort((a, b) => b[1].at(-1).time - a[1].at(-1).time)
      .slice(0, LANES)
      .sort((a, b) => a[0] - b[0]);
    canvas.style.height = `${Math.max(1, lanes.length) * (LANE_HEIGHT + GAP) + AXIS}px`;
    const { context, width } = fitted(canvas);
    const left = GAP;
    const across = (time) => left + ((time - from) / length) * (width - 2 * GAP);
    lanes.forEach(([number, samples], k) => {
      const top = GAP + k * (LANE_HEIGHT + GAP);
      context.fillStyle = themeColour("well");
      context.beginPath();
      context.roundRect(left, top, width - 2 * GAP, LANE_HEIGHT, 8);
      context.fill();
      context.save();
      context.clip();
      for (const part of parts(samples, from)) this.#drawPart(context, part, across, top);
      context.restore();
      drawName(context, `Face ${number}`, left + 8, top + 8);
    });
    const below = GAP + Math.max(1, lanes.length) * (LANE_HEIGHT + GAP) - 6;
    drawAxis(context, from, length, across, below);
  }

  #drawPart(context, part, across, top) {
    const base = part.map(() => 0);
    for (const name of this.labels) {
      const path = new Path2D();
      part.forEach(({ time }, k) => {
        path[k ? "lineTo" : "moveTo"](across(time), top + LANE_HEIGHT * (1 - base[k]));
      });
      part.forEach(({ shares }, k) => {
        base[k] += shares[name];
      });
      for (let k = part.length - 1; k >= 0; k -= 1) {
        path.lineTo(across(part[k].time), top + LANE_HEIGHT * (1 - base[k]));
      }
      context.fillStyle = colourOf(name);
      context.fill(path);
    }
  }

  /** The faces in words, those seen last first: number, seconds in sight, means of the shares. */
  summaries() {
    return [...this.#tracks]
      .sort((a, b) => b[1].at(-1).time - a[1].at(-1).time)
      .slice(0, ROWS)
      .map(([number, samples]) => {
        let seconds = 0;
        for (let k = 1; k < samples.length; k += 1) {
          const step = samples[k].time - samples[k - 1].time;
          if (step <= AWAY_S) seconds += step;
        }
        const means = {};
        for (const name of this.labels) {
          means[name] = samples.reduce((sum, one) => sum + one.shares[name], 0) / samples.length;
        }
        return { number, seconds, means };
      });
  }

  /** All samples as CSV. */
  csv() {
    const lines = [["seconds", "face", "emotion", ...this.labels].join(",")];
    const rows = [...this.#tracks].flatMap(([number, samples]) =>
      samples.map((sample) => ({ number, ...sample })),
    );
    rows.sort((a, b) => a.time - b.time || a.number - b.number);
    for (const { time, number, shares } of rows) {
      const values = this.labels.map((name) => shares[name].toFixed(4));
      lines.push([time.toFixed(2), number, most(shares)[0], ...values].join(","));
    }
    return `${lines.join("\n")}\n`;
  }
}

/** Samples from `from` on, cut where the face was away. */
function parts(samples, from) {
  const found = [];
  let before = -Infinity;
  for (const sample of samples) {
    if (sample.time < from - SAMPLE_S) continue;
    if (sample.time - before > AWAY_S) found.push([]);
    found.at(-1).push(sample);
    before = sample.time;
  }
  return found;
}

function drawName(context, words, left, top) {
  context.font = "600 13px system-ui, sans-serif";
  const wide = context.measureText(words).width + 18;
  context.fillStyle = "#16130fd0";
  context.beginPath();
  context.roundRect(left, top, wide, 24, 12);
  context.fill();
  context.fillStyle = "#fff";
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillText(words, left + 9, top + 12.5);
}

function drawAxis(context, from, length, across, top) {
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = themeColour("soft");
  context.textBaseline = "top";
  const step = length > 30 ? 10 : length > 15 ? 5 : 2;
  for (let time = Math.ceil(from / step) * step; time <= from + length; time += step) {
    context.textAlign = time - from < step / 4 ? "left" : "center";
    if (from + length - time < step / 4) context.textAlign = "right";
    context.fillText(clock(time), across(time), top);
  }
}

function clock(seconds) {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Write the summaries into the table's body. */
export function writeTable(body, timeline) {
  const rows = timeline.summaries().map(({ number, seconds, means }) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = number;
    const [name, share] = most(means);
    const others = Object.entries(means)
      .filter(([other, mean]) => other !== name && mean >= 0.05)
      .sort((a, b) => b[1] - a[1])
      .slice(0, 3)
      .map(([other, mean]) => `${other} ${percent(mean)}`);
    row.append(head);
    for (const words of [counted(Math.round(seconds), "second", "seconds"), `${name} ${percent(share)}`, others.join(", ") || "nothing else"]) {
      row.insertCell().textContent = words;
    }
    return row;
  });
  body.replaceChildren(...rows);
}
