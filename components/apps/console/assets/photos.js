// Photos: one is shown at once, and asked about until there is an answer.

import { Refusal, askAboutPhoto } from "./server.js";
import { cards, describe, drawNew, giveRoom, part, say, show, unsay } from "./stage.js";

const AGAIN_MS = 1_500;
const LONGEST_SHOWN = 2_400;

let looking = null;

/** Let go of the photo that is asked about, if one is. */
export function endLooking() {
  looking?.abort();
}

/** Show a picture's file of at most so many bytes, and what is seen in it. */
export async function look(file, mostBytes) {
  endLooking();
  const mine = new AbortController();
  looking = mine;
  unsay();
  cards.clear();
  cards.say("");
  show("nothing");
  part("busy").hidden = false;
  try {
    await checkReadable(file, mostBytes);
    await lookUntilAnswered(file, mine.signal);
  } catch (error) {
    if (mine.signal.aborted) return;
    if (!(error instanceof Refusal)) throw error;
    show("nothing");
    say(`${file.name || "The picture"}: ${error.message}`);
  } finally {
    if (looking === mine) part("busy").hidden = true;
  }
}

async function checkReadable(file, mostBytes) {
  if (file.size > mostBytes) {
    throw new Refusal(`more than ${Math.floor(mostBytes / 2 ** 20)} MiB; make it smaller.`, false);
  }
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Refusal("cannot be read; is it a folder?", false);
  }
}

async function lookUntilAnswered(file, signal) {
  const picture = await decoded(file);
  signal.throwIfAborted();
  if (picture) showPhoto({ width: picture.width, height: picture.height, faces: [] }, picture);
  for (;;) {
    try {
      const answer = await askAboutPhoto(file, signal);
      unsay();
      showPhoto(answer, picture);
      describe(answer.faces);
      cards.showPhoto(answer, picture);
      if (!picture) {
        say("This browser cannot show such a picture; what was seen in it is drawn alone.", "note");
      }
      return;
    } catch (error) {
      if (!error.again) throw error;
      say(`${error.message} Asking again until there is an answer.`, "note");
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    signal.throwIfAborted();
  }
}

function showPhoto(answer, picture) {
  show("photo");
  giveRoom(answer.width, answer.height);
  drawNew({ ...answer, picture });
}

/** The picture, no larger than can be seen; null where the browser does not know its format. */
async function decoded(file) {
  try {
    const whole = await createImageBitmap(file);
    const scale = LONGEST_SHOWN / Math.max(whole.width, whole.height);
    if (scale >= 1) return whole;
    const size = { resizeWidth: Math.round(whole.width * scale), resizeQuality: "high" };
    const smaller = await createImageBitmap(whole, size);
    whole.close();
    return smaller;
  } catch {
    return null;
  }
}
