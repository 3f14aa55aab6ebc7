// Emotions: their colours in the current theme, and probabilities as text.

let colours = new Map();

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  colours = new Map();
});

// The names come from the model server: only a word is part of a style.
const isWord = (name) => /^[a-z]+$/.test(name);

/** Return the colour of an emotion; one without its own gets the colour "other". */
export function colourOf(emotion) {
  if (!colours.has(emotion)) {
    const style = getComputedStyle(document.documentElement);
    const own = isWord(emotion) ? style.getPropertyValue(`--${emotion}`) : "";
    colours.set(emotion, (own || style.getPropertyValue("--other")).trim());
  }
  return colours.get(emotion);
}

/** Return the colour of an emotion as a style, which changes with the theme. */
export function styleOf(emotion) {
  return isWord(emotion) ? `var(--${emotion}, var(--other))` : "var(--other)";
}

/** Return a colour of the page's theme, such as "soft". */
export function themeColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Format a share from 0 to 1 as a percentage, with a non-breaking space. */
export function percent(share) {
  return `${Math.round(100 * share)}\u00a0%`;
}

/** Return [name, probability] of the most probable emotion. */
export function mostProbable(probabilities) {
  return Object.entries(probabilities).reduce((best, entry) => (entry[1] > best[1] ? entry : best));
}

/** Return what a face shows, or why nobody can tell. */
export function answerOf(face) {
  return face.cannot_tell ? `cannot tell: ${face.cannot_tell}` : mostProbable(face.probabilities)[0];
}

/** Format a count: "3 faces", "1 face". */
export function pluralize(count, singular, plural) {
  return `${count} ${count === 1 ? singular : plural}`;
}
