// Emotions over time: a lane for each face with stacked probabilities, and a table.

import { colourOf, mostProbable, percent, pluralize, themeColour } from "./emotions.js";
import { fitCanvas } from "./overlay.js";

// A sample is the mean of the frames in a fifth of a second.
const SAMPLE_S = 0.2;
const MAX_SPAN_S = 60;
const MIN_SPAN_S = 12;
// A lane has a hole where its face is missing for longer.
const MAX_GAP_S = 2.5;
const MAX_LANES = 4;
const LANE_HEIGHT = 88;
const GAP = 14;
const AXIS_HEIGHT = 26;
const MAX_ROWS = 8;
// An hour of five faces; the oldest are dropped first.
const MAX_SAMPLES = 90_000;

/** The samples of each face by its number; times are in seconds since the first frame. */
export class Timeline {
  #start = null;
  #now = 0;
  #tracks = new Map();
  #count = 0;
  labels = [];

  get isEmpty() {
    return this.#tracks.size === 0;
  }

  clear() {
    this.#start = null;
    this.#tracks.clear();
    this.#count = 0;
    this.labels = [];
  }

  /** Add the faces of a frame sent at `ms` of performance.now(). */
  add(faces, ms) {
    this.#start ??= ms;
    this.#now = (ms - this.#start) / 1000;
    for (const face of faces) {
      this.labels = Object.keys(face.probabilities);
      if (!this.#tracks.has(face.number)) this.#tracks.set(face.number, []);
      const samples = this.#tracks.get(face.number);
      const last = samples.at(-1);
      if (last && this.#now - last.time < SAMPLE_S) {
        last.frames += 1;
        for (const name of this.labels) {
          // Another release may have other emotions.
          const mean = last.shares[name] ?? 0;
          last.shares[name] = mean + (face.probabilities[name] - mean) / last.frames;
        }
      } else {
        samples.push({ time: this.#now, frames: 1, shares: { ...face.probabilities } });
        this.#count += 1;
      }
    }
    while (this.#count > MAX_SAMPLES) this.#dropOldest();
  }

  #dropOldest() {
    const [number, samples] = [...this.#tracks].reduce((a, b) => (b[1][0].time < a[1][0].time ? b : a));
    samples.shift();
    this.#count -= 1;
    if (!samples.length) this.#tracks.delete(number);
  }

  /** Draw the last minute of the most recent faces. */
  draw(canvas) {
    const span = Math.min(MAX_SPAN_S, Math.max(MIN_SPAN_S, this.#now));
    const from = Math.max(0, this.#now - span);
    const lanes = [...this.#tracks]
      .filter(([, samples]) => samples.at(-1).time >= from)
      .sort((a, b) => b[1].at(-1).time - a[1].at(-1).time)
      .slice(0, MAX_LANES)
      .sort((a, b) => a[0] - b[0]);
    canvas.style.height = `${Math.max(1, lanes.length) * (LANE_HEIGHT + GAP) + AXIS_HEIGHT}px`;
    const { context, width } = fitCanvas(canvas);
    const left = GAP;
    const toX = (time) => left + ((time - from) / span) * (width - 2 * GAP);
    lanes.forEach(([number, samples], k) => {
      const top = GAP + k * (LANE_HEIGHT + GAP);
      context.fillStyle = themeColour("well");
      context.beginPath();
      context.roundRect(left, top, width - 2 * GAP, LANE_HEIGHT, 8);
      context.fill();
      context.save();
      context.clip();
      for (const run of runs(samples, from)) this.#drawRun(context, run, toX, top);
      context.restore();
      drawName(context, `Face ${number}`, left + 8, top + 8);
    });
    const axisTop = GAP + Math.max(1, lanes.length) * (LANE_HEIGHT + GAP) - 6;
    drawAxis(context, from, span, toX, axisTop);
  }

  #drawRun(context, run, toX, top) {
    const base = run.map(() => 0);
    for (const name of this.labels) {
      const path = new Path2D();
      run.forEach(({ time }, k) => {
        path[k ? "lineTo" : "moveTo"](toX(time), top + LANE_HEIGHT * (1 - base[k]));
      });
      run.forEach(({ shares }, k) => {
        base[k] += shares[name] ?? 0;
      });
      for (let k = run.length - 1; k >= 0; k -= 1) {
        path.lineTo(toX(run[k].time), top + LANE_HEIGHT * (1 - base[k]));
      }
      context.fillStyle = colourOf(name);
      context.fill(path);
    }
  }

  /** Summarise the faces, the most recent first: number, seconds visible, mean shares. */
  summaries() {
    return [...this.#tracks]
      .sort((a, b) => b[1].at(-1).time - a[1].at(-1).time)
      .slice(0, MAX_ROWS)
      .map(([number, samples]) => {
        let seconds = 0;
        for (let k = 1; k < samples.length; k += 1) {
          const step = samples[k].time - samples[k - 1].time;
          if (step <= MAX_GAP_S) seconds += step;
        }
        const means = {};
        for (const name of this.labels) {
          const sum = samples.reduce((total, { shares }) => total + (shares[name] ?? 0), 0);
          means[name] = sum / samples.length;
        }
        return { number, seconds, means };
      });
  }

  /** Format all samples as CSV, each with the purpose unless it is "". */
  csv(purpose) {
    const heads = ["seconds", "face", "emotion", ...this.labels, ...(purpose ? ["purpose"] : [])];
    const about = purpose ? [csvCell(purpose)] : [];
    const lines = [heads.map(csvCell).join(",")];
    const rows = [...this.#tracks].flatMap(([number, samples]) =>
      samples.map((sample) => ({ number, ...sample })),
    );
    rows.sort((a, b) => a.time - b.time || a.number - b.number);
    for (const { time, number, shares } of rows) {
      const values = this.labels.map((name) => (shares[name] ?? 0).toFixed(4));
      const emotion = csvCell(mostProbable(shares)[0]);
      lines.push([time.toFixed(2), number, emotion, ...values, ...about].join(","));
    }
    return `${lines.join("\n")}\n`;
  }
}

/** Write a text so that it is one cell, and no formula of a spreadsheet. */
function csvCell(text) {
  const shown = /^[=+\-@\t\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(shown) ? `"${shown.replaceAll('"', '""')}"` : shown;
}

/** Split the samples since `from` where the face was missing. */
function runs(samples, from) {
  const found = [];
  let previous = -Infinity;
  for (const sample of samples) {
    if (sample.time < from - SAMPLE_S) continue;
    if (sample.time - previous > MAX_GAP_S) found.push([]);
    found.at(-1).push(sample);
    previous = sample.time;
  }
  return found;
}

function drawName(context, text, left, top) {
  context.font = "600 13px system-ui, sans-serif";
  const width = context.measureText(text).width + 18;
  context.fillStyle = "#16130fd0";
  context.beginPath();
  context.roundRect(left, top, width, 24, 12);
  context.fill();
  context.fillStyle = "#fff";
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillText(text, left + 9, top + 12.5);
}

function drawAxis(context, from, span, toX, top) {
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = themeColour("soft");
  context.textBaseline = "top";
  const step = span > 30 ? 10 : span > 15 ? 5 : 2;
  for (let time = Math.ceil(from / step) * step; time <= from + span; time += step) {
    context.textAlign = time - from < step / 4 ? "left" : "center";
    if (from + span - time < step / 4) context.textAlign = "right";
    context.fillText(clock(time), toX(time), top);
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
    const [name, share] = mostProbable(means);
    const others = Object.entries(means)
      .filter(([other, mean]) => other !== name && mean >= 0.05)
      .sort((a, b) => b[1] - a[1])
      .slice(0, 3)
      .map(([other, mean]) => `${other} ${percent(mean)}`);
    row.append(head);
    const cells = [
      pluralize(Math.round(seconds), "second", "seconds"),
      `${name} ${percent(share)}`,
      others.join(", ") || "none",
    ];
    for (const text of cells) row.insertCell().textContent = text;
    return row;
  });
  body.replaceChildren(...rows);
}
