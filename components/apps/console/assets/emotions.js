// Emotions by name: their colours, in the theme of the moment, and shares in words.

let colours = new Map();

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  colours = new Map();
});

/** The colour of an emotion; one that the style sheet does not know gets that of the others. */
export function colourOf(emotion) {
  if (!colours.has(emotion)) {
    const style = getComputedStyle(document.documentElement);
    const own = /^[a-z]+$/.test(emotion) ? style.getPropertyValue(`--${emotion}`) : "";
    colours.set(emotion, (own || style.getPropertyValue("--other")).trim());
  }
  return colours.get(emotion);
}

/** The colour of a part of the page, such as "soft". */
export function themeColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** A share from 0 to 1 in percent. */
export function percent(share) {
  // The space does not break.
  return `${Math.round(100 * share)}\u00a0%`;
}

/** [name, share] of the most probable emotion. */
export function most(probabilities) {
  return Object.entries(probabilities).reduce((best, one) => (one[1] > best[1] ? one : best));
}

/** "3 faces", "1 face". */
export function counted(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}
