// The answer in words: a card for each face, and one sentence that is read aloud when it changes.

import { counted, most, percent } from "./emotions.js";

// A face that was missed in a look or two is not taken away at once.
const KEEP_MS = 1_200;
const NUMBERS_MS = 250;
const SPOKEN_MS = 4_000;
const THUMBNAIL = 112;
const THUMBNAIL_MS = 2_000;

function element(name, classes, text) {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** One sentence about all faces. */
export function sentence(faces) {
  if (!faces.length) return "No face was found.";
  const each = faces.map((face) => {
    const [emotion, share] = most(face.probabilities);
    return `${faces.length > 1 ? `face ${face.number} ` : ""}${emotion} (${percent(share)})`;
  });
  return `${counted(faces.length, "face", "faces")}: ${each.join(", ")}.`;
}

/** The cards; `chosen` is told the number of the face that is pointed at or focused, or null. */
export class FaceCards {
  #list;
  #summary;
  #chosen;
  #cards = new Map();
  #spoken = { words: "", at: -Infinity };

  constructor(list, summary, chosen) {
    this.#list = list;
    this.#summary = summary;
    this.#chosen = chosen;
  }

  /** Show a photo's faces, cut out of `picture`. */
  showPhoto(answer, picture) {
    this.clear();
    for (const face of answer.faces) this.#show(face, answer, picture, 0);
    const hint = answer.faces.length
      ? ` Answered in ${answer.ms}\u00a0ms.`
      : " A face needs some 40 pixels from forehead to chin: try a closer or sharper picture.";
    this.say(sentence(answer.faces) + hint);
  }

  /** Show a live picture's faces; cards stay a moment for those who are missed. */
  showLive(answer, picture, now) {
    for (const face of answer.faces) this.#show(face, answer, picture, now);
    for (const [number, card] of this.#cards) {
      const missed = now - card.seen;
      card.item.classList.toggle("gone", missed > NUMBERS_MS);
      if (missed > KEEP_MS) this.#remove(number, card);
    }
    const people = answer.faces.map((face) => `${face.number} ${most(face.probabilities)[0]}`);
    const key = people.sort().join();
    if (key !== this.#spoken.words && now - this.#spoken.at > SPOKEN_MS) {
      this.#spoken = { words: key, at: now };
      this.say(sentence(answer.faces));
    }
  }

  say(words) {
    this.#summary.textContent = words;
  }

  clear() {
    this.#cards.clear();
    this.#list.replaceChildren();
    this.#spoken = { words: "", at: -Infinity };
  }

  #remove(number, card) {
    // What somebody is reading in stays.
    if (card.item.contains(document.activeElement)) return;
    card.item.remove();
    this.#cards.delete(number);
    this.#chosen(null);
  }

  #show(face, answer, picture, now) {
    let card = this.#cards.get(face.number);
    if (!card) {
      card = this.#made(face);
      this.#cards.set(face.number, card);
      this.#list.append(card.item);
    }
    card.seen = now;
    const [emotion] = most(face.probabilities);
    for (const [name, share] of Object.entries(face.probabilities)) {
      card.rows.get(name)?.fill.style.setProperty("width", `${100 * share}%`);
    }
    if (!(now - card.thumbnailAt < THUMBNAIL_MS)) {
      drawThumbnail(card.thumbnail, face.box, answer, picture);
      card.thumbnailAt = now;
    }
    // Figures that change at each look cannot be read.
    if (now - card.numbersAt < NUMBERS_MS) return;
    card.numbersAt = now;
    card.feels.textContent = emotion;
    for (const [name, row] of card.rows) {
      row.share.textContent = percent(face.probabilities[name] ?? 0);
      row.line.classList.toggle("most", name === emotion);
    }
    if (card.details.open || !card.points.size) writePoints(card, face);
  }

  #made(face) {
    const item = element("li", "face");
    item.dataset.number = face.number;
    const head = element("div", "face-head");
    const thumbnail = element("canvas");
    thumbnail.width = thumbnail.height = THUMBNAIL;
    thumbnail.setAttribute("aria-hidden", "true");
    const title = element("div");
    const feels = element("p", "feels");
    title.append(element("p", "name", `Face ${face.number}`), feels);
    head.append(thumbnail, title);

    const table = element("table", "bars");
    table.setAttribute("aria-label", `Emotions of face ${face.number}`);
    const body = element("tbody");
    const rows = new Map();
    for (const name of Object.keys(face.probabilities)) {
      const line = element("tr");
      const label = element("th", "", name);
      label.scope = "row";
      const bar = element("span", "bar");
      bar.setAttribute("aria-hidden", "true");
      const fill = element("span");
      fill.style.background = `var(--${name}, var(--other))`;
      bar.append(fill);
      const drawn = element("td");
      drawn.append(bar);
      const share = element("td");
      line.append(label, drawn, share);
      body.append(line);
      rows.set(name, { line, fill, share });
    }
    table.append(body);

    const details = element("details");
    details.append(element("summary", "", "Box and keypoints"));
    const points = element("table");
    points.setAttribute("aria-label", `Box and keypoints of face ${face.number}, in pixels`);
    details.append(points);
    item.append(head, table, details);
    for (const event of ["pointerenter", "focusin"]) {
      item.addEventListener(event, () => this.#chosen(face.number));
    }
    for (const event of ["pointerleave", "focusout"]) {
      item.addEventListener(event, () => this.#chosen(null));
    }
    const card = { item, thumbnail, feels, rows, details, table: points, points: new Map() };
    return Object.assign(card, { seen: 0, numbersAt: -Infinity, thumbnailAt: -Infinity });
  }
}

function writePoints(card, face) {
  const { left, top, width, height } = face.box;
  const lines = {
    "box: left, top": [left, top],
    "box: width, height": [width, height],
    ...face.keypoints,
  };
  for (const [name, pair] of Object.entries(lines)) {
    if (!card.points.has(name)) {
      const line = element("tr");
      const label = element("th", "", name.replaceAll("_", " "));
      label.scope = "row";
      const value = element("td");
      line.append(label, value);
      card.table.append(line);
      card.points.set(name, value);
    }
    card.points.get(name).textContent = pair.map((number) => number.toFixed(1)).join(", ");
  }
}

function drawThumbnail(canvas, box, answer, picture) {
  if (!picture) return;
  const scale = picture.width / answer.width;
  const side = 1.25 * Math.max(box.width, box.height) * scale;
  const x = (box.left + box.width / 2) * scale - side / 2;
  const y = (box.top + box.height / 2) * scale - side / 2;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, THUMBNAIL, THUMBNAIL);
  context.drawImage(picture, x, y, side, side, 0, 0, THUMBNAIL, THUMBNAIL);
}
