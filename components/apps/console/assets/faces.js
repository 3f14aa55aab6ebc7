// The results as text: a card for each face, and a sentence for screen readers.

import { answerOf, mostProbable, percent, pluralize, styleOf } from "./emotions.js";

// A card is kept for a moment when its face is not detected.
const KEEP_MS = 1_200;
// Numbers that change with every frame cannot be read.
const NUMBERS_INTERVAL_MS = 250;
const SPEECH_INTERVAL_MS = 4_000;
const THUMBNAIL_SIDE = 112;
const THUMBNAIL_INTERVAL_MS = 2_000;
const UNKNOWN = "unknown";

function createElement(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Describe all faces in one sentence. */
export function describeFaces(faces) {
  if (!faces.length) return "No face was found.";
  const descriptions = faces.map((face) => {
    const probability = mostProbable(face.probabilities)[1];
    const name = faces.length > 1 ? `face ${face.number} ` : "";
    return `${name}${answerOf(face)}${face.cannot_tell ? "" : ` (${percent(probability)})`}`;
  });
  return `${pluralize(faces.length, "face", "faces")}: ${descriptions.join(", ")}.`;
}

/** The cards of the faces. */
export class FaceCards {
  #list;
  #summary;
  #onSelect;
  #cards = new Map();
  #spoken = { key: "", at: -Infinity };

  /** `onSelect` receives the number of the face that has the pointer or the focus, or null. */
  constructor(list, summary, onSelect) {
    this.#list = list;
    this.#summary = summary;
    this.#onSelect = onSelect;
  }

  /** Show the faces of a photo. */
  showPhoto(result, picture) {
    this.clear();
    for (const face of result.faces) this.#update(face, result, picture, 0);
    const hint = result.faces.length
      ? ` Answered in ${result.ms}\u00a0ms.`
      : " A face needs about 40 pixels from forehead to chin: try a closer or sharper picture.";
    this.setSummary(describeFaces(result.faces) + hint);
  }

  /** Show the faces of a camera's frame. */
  showFrame(result, frame, now) {
    for (const face of result.faces) this.#update(face, result, frame, now);
    for (const [number, card] of this.#cards) {
      const missingMs = now - card.seenAt;
      card.item.classList.toggle("missing", missingMs > NUMBERS_INTERVAL_MS);
      if (missingMs > KEEP_MS) this.#remove(number, card);
    }
    const key = result.faces
      .map((face) => `${face.number} ${answerOf(face)}`)
      .sort()
      .join();
    if (key !== this.#spoken.key && now - this.#spoken.at > SPEECH_INTERVAL_MS) {
      this.#spoken = { key, at: now };
      this.setSummary(describeFaces(result.faces));
    }
  }

  setSummary(text) {
    this.#summary.textContent = text;
  }

  clear() {
    this.#cards.clear();
    this.#list.replaceChildren();
    this.#spoken = { key: "", at: -Infinity };
  }

  #remove(number, card) {
    // A card with the focus is being read.
    if (card.item.contains(document.activeElement)) return;
    card.item.remove();
    this.#cards.delete(number);
    this.#onSelect(null);
  }

  #update(face, result, picture, now) {
    let card = this.#cards.get(face.number);
    if (!card) {
      card = this.#createCard(face);
      this.#cards.set(face.number, card);
      this.#list.append(card.item);
    }
    card.seenAt = now;
    const [emotion] = mostProbable(face.probabilities);
    for (const [name, probability] of Object.entries(face.probabilities)) {
      card.rows.get(name)?.fill.style.setProperty("width", `${100 * probability}%`);
    }
    if (!(now - card.thumbnailAt < THUMBNAIL_INTERVAL_MS)) {
      drawThumbnail(card.thumbnail, face.box, result, picture);
      card.thumbnailAt = now;
    }
    if (now - card.numbersAt < NUMBERS_INTERVAL_MS) return;
    card.numbersAt = now;
    card.emotion.textContent = answerOf(face);
    for (const [name, row] of card.rows) {
      row.share.textContent = percent(face.probabilities[name] ?? 0);
      row.line.classList.toggle("strongest", name === emotion && !face.cannot_tell);
    }
    writeLines(card.places, describePlaces, face);
    writeLines(card.head, describeHead, face);
  }

  #createCard(face) {
    const item = createElement("li", "face");
    item.dataset.number = face.number;
    const head = createElement("div", "face-head");
    const thumbnail = createElement("canvas");
    thumbnail.width = thumbnail.height = THUMBNAIL_SIDE;
    thumbnail.setAttribute("aria-hidden", "true");
    const title = createElement("div");
    const emotion = createElement("p", "emotion");
    title.append(createElement("p", "name", `Face ${face.number}`), emotion);
    head.append(thumbnail, title);
    const { table, rows } = createBars(face);
    const measured = createDetails(
      "Head and measures",
      `Head and measures of face ${face.number}: distances as shares of that between the eyes`,
    );
    const places = createDetails(
      "Box and keypoints",
      `Box and keypoints of face ${face.number}, in pixels`,
    );
    item.append(head, table, places.details, measured.details);
    for (const event of ["pointerenter", "focusin"]) {
      item.addEventListener(event, () => this.#onSelect(face.number));
    }
    for (const event of ["pointerleave", "focusout"]) {
      item.addEventListener(event, () => this.#onSelect(null));
    }
    return {
      item,
      thumbnail,
      emotion,
      rows,
      head: measured,
      places,
      seenAt: 0,
      numbersAt: -Infinity,
      thumbnailAt: -Infinity,
    };
  }
}

function createBars(face) {
  const table = createElement("table", "bars");
  table.setAttribute("aria-label", `Emotions of face ${face.number}`);
  const body = createElement("tbody");
  const rows = new Map();
  for (const name of Object.keys(face.probabilities)) {
    const line = createElement("tr");
    const label = createElement("th", "", name);
    label.scope = "row";
    const bar = createElement("span", "bar");
    bar.setAttribute("aria-hidden", "true");
    const fill = createElement("span");
    fill.style.background = styleOf(name);
    bar.append(fill);
    const barCell = createElement("td");
    barCell.append(bar);
    const share = createElement("td");
    line.append(label, barCell, share);
    body.append(line);
    rows.set(name, { line, fill, share });
  }
  table.append(body);
  return { table, rows };
}

/** Create a table that is shown when its title is clicked. */
function createDetails(title, label) {
  const details = createElement("details");
  const table = createElement("table");
  table.setAttribute("aria-label", label);
  details.append(createElement("summary", "", title), table);
  return { details, table, cells: new Map() };
}

/** Write texts by name into a table of `createDetails`, if it is open or empty. */
function writeLines({ details, table, cells }, describe, face) {
  if (!details.open && cells.size) return;
  for (const [name, text] of Object.entries(describe(face))) {
    if (!cells.has(name)) {
      const line = createElement("tr");
      const label = createElement("th", "", name.replaceAll("_", " "));
      label.scope = "row";
      const value = createElement("td");
      line.append(label, value);
      table.append(line);
      cells.set(name, value);
    }
    cells.get(name).textContent = text;
  }
}

function describePlaces({ box, keypoints }) {
  const pairs = {
    "box: left, top": [box.left, box.top],
    "box: width, height": [box.width, box.height],
    ...keypoints,
  };
  return mapValues(pairs, (pair) => pair.map((number) => number.toFixed(1)).join(", "));
}

function describeHead({ pose, measures, valence }) {
  const sides = {
    yaw: ["to the picture's left", "to the picture's right"],
    pitch: ["down", "up"],
    roll: ["anticlockwise", "clockwise"],
  };
  return {
    ...mapValues(sides, (words, name) => (pose ? describeAngle(pose[name], words) : UNKNOWN)),
    valence: valence === null ? UNKNOWN : signed(valence),
    ...mapValues(measures ?? {}, (size) => size.toFixed(2)),
  };
}

function describeAngle(degrees, [negative, positive]) {
  const rounded = Math.round(degrees);
  if (!rounded) return "0°";
  return `${Math.abs(rounded)}° ${rounded < 0 ? negative : positive}`;
}

function signed(number) {
  return `${number < 0 ? "\u2212" : "+"}${Math.abs(number).toFixed(2)}`;
}

function mapValues(record, convert) {
  return Object.fromEntries(
    Object.entries(record).map(([name, value]) => [name, convert(value, name)]),
  );
}

function drawThumbnail(canvas, box, result, picture) {
  if (!picture) return;
  const scale = picture.width / result.width;
  const side = 1.25 * Math.max(box.width, box.height) * scale;
  const x = (box.left + box.width / 2) * scale - side / 2;
  const y = (box.top + box.height / 2) * scale - side / 2;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, THUMBNAIL_SIDE, THUMBNAIL_SIDE);
  context.drawImage(picture, x, y, side, side, 0, 0, THUMBNAIL_SIDE, THUMBNAIL_SIDE);
}
