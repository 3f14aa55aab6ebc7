// The page's controls: photos by choosing, dropping and pasting; the camera; the server's state.

import { pluralize } from "./emotions.js";
import { setPurpose } from "./history.js";
import { isCameraOn, startCamera, stopCamera } from "./live.js";
import { cancelPhoto, showPhotoFile } from "./photos.js";
import { pollState } from "./server.js";
import { element, hasMessage, showMessage } from "./stage.js";

const STATES = { ready: "Ready", loading: "Loading", down: "Not available", empty: "No release" };

// What the browser remembers for this address, so that the notice is shown once.
const UNDERSTOOD = "emotion-ai: notice understood";

const stage = element("stage");
let maxBytes = Infinity;

async function takeFiles(files) {
  if (!files.length) {
    showMessage("That is not a file; drop or paste a picture itself.");
    return;
  }
  stopCamera();
  await showPhotoFile(files[0], maxBytes);
  if (files.length > 1 && !hasMessage()) {
    const all = pluralize(files.length, "picture", "pictures");
    showMessage(`This is the first of ${all}; the page shows one at a time.`, "note");
  }
}

element("choose").addEventListener("click", () => element("file").click());
element("file").addEventListener("change", (event) => {
  if (event.target.files.length) takeFiles([...event.target.files]);
  // Without this, choosing the same file again sends no event.
  event.target.value = "";
});

element("example").addEventListener("click", async () => {
  // This button disappears with the hint, so the focus moves first.
  element("choose").focus();
  try {
    const response = await fetch("example");
    takeFiles([new File([await response.blob()], "drawn faces")]);
  } catch {
    showMessage("The console does not respond. Is it still running?");
  }
});

addEventListener("paste", (event) => {
  if (event.clipboardData) takeFiles([...event.clipboardData.files]);
});

// Each element under the pointer sends both events; at zero the pointer has left the page.
let dragDepth = 0;

function endDragging() {
  dragDepth = 0;
  stage.classList.remove("dropping");
}

addEventListener("dragenter", () => {
  dragDepth += 1;
  stage.classList.add("dropping");
});
addEventListener("dragleave", () => {
  dragDepth -= 1;
  if (dragDepth <= 0) endDragging();
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  endDragging();
  takeFiles([...(event.dataTransfer?.files ?? [])]);
});

function useCamera(device) {
  cancelPhoto();
  startCamera(device);
}

element("camera").addEventListener("click", () => {
  if (isCameraOn()) stopCamera();
  else useCamera();
});
element("cameras").addEventListener("change", (event) => useCamera(event.target.value));

element("notice").hidden = wasUnderstood();
element("understood").addEventListener("click", () => {
  // The button disappears with the notice, so the focus moves first.
  element("choose").focus();
  element("notice").hidden = true;
  try {
    localStorage.setItem(UNDERSTOOD, "yes");
  } catch {
    // Without storage it is shown again the next time.
  }
});

function wasUnderstood() {
  try {
    return localStorage.getItem(UNDERSTOOD) !== null;
  } catch {
    return false;
  }
}

pollState((state) => {
  const badge = element("state");
  badge.dataset.status = state.status;
  const text = `${STATES[state.status] ?? state.status}: ${state.words}`;
  if (badge.textContent !== text) badge.textContent = text;
  maxBytes = state.most_bytes ?? maxBytes;
  if (state.purpose) {
    element("purpose").textContent = `Purpose: ${state.purpose}`;
    element("purpose").hidden = false;
    setPurpose(state.purpose);
  }
  if (state.stays_here === false) {
    element("privacy").textContent =
      "Pictures are analysed on this machine; faces cropped from them are sent to the model " +
      "server that the console was started with, and nowhere else.";
  }
});
