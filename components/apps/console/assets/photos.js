// Photos: one is shown at once, and sent until there is an answer.

import { ApiError, analysePhoto } from "./server.js";
import {
  cards, describeDrawing, element, hideMessage, resizeView, setMode, setScene, showMessage,
} from "./stage.js";

const RETRY_MS = 1_500;
const MAX_SHOWN_SIDE = 2_400;

let current = null;

/** Cancel the photo that is being analysed, if there is one. */
export function cancelPhoto() {
  current?.abort();
}

/** Show a picture file of at most `maxBytes`, and its results. */
export async function showPhotoFile(file, maxBytes) {
  cancelPhoto();
  const controller = new AbortController();
  current = controller;
  hideMessage();
  cards.clear();
  cards.setSummary("");
  setMode("nothing");
  element("busy").hidden = false;
  try {
    await checkReadable(file, maxBytes);
    await analyseUntilAnswered(file, controller.signal);
  } catch (error) {
    if (controller.signal.aborted) return;
    if (!(error instanceof ApiError)) throw error;
    setMode("nothing");
    showMessage(`${file.name || "The picture"}: ${error.message}`);
  } finally {
    if (current === controller) element("busy").hidden = true;
  }
}

async function checkReadable(file, maxBytes) {
  if (file.size > maxBytes) {
    throw new ApiError(`more than ${Math.floor(maxBytes / 2 ** 20)} MiB; make it smaller.`, false);
  }
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new ApiError("cannot be read; is it a folder?", false);
  }
}

async function analyseUntilAnswered(file, signal) {
  const picture = await decode(file);
  signal.throwIfAborted();
  if (picture) drawPhoto({ width: picture.width, height: picture.height, faces: [] }, picture);
  for (;;) {
    try {
      const result = await analysePhoto(file, signal);
      hideMessage();
      drawPhoto(result, picture);
      describeDrawing(result.faces);
      cards.showPhoto(result, picture);
      if (!picture) {
        showMessage("This browser cannot show this picture format; only the results are drawn.", "note");
      }
      return;
    } catch (error) {
      if (!error.canRetry) throw error;
      showMessage(`${error.message} Retrying until there is an answer.`, "note");
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    signal.throwIfAborted();
  }
}

function drawPhoto(result, picture) {
  setMode("photo");
  resizeView(result.width, result.height);
  setScene({ ...result, picture });
}

/** Decode the picture, no larger than needed; null if the browser does not know its format. */
async function decode(file) {
  try {
    const bitmap = await createImageBitmap(file);
    const scale = MAX_SHOWN_SIDE / Math.max(bitmap.width, bitmap.height);
    if (scale >= 1) return bitmap;
    const size = { resizeWidth: Math.round(bitmap.width * scale), resizeQuality: "high" };
    const smaller = await createImageBitmap(bitmap, size);
    bitmap.close();
    return smaller;
  } catch {
    return null;
  }
}
