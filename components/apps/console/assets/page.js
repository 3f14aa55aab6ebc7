// The page: photos in by choosing, dropping and pasting; the camera on and off; who answers.

import { counted } from "./emotions.js";
import { isCameraOn, startCamera, stopCamera } from "./live.js";
import { endLooking, look } from "./photos.js";
import { watchState } from "./server.js";
import { isTelling, part, say } from "./stage.js";

const STATES = { ready: "Ready", loading: "Loading", down: "No answer", empty: "No release" };

const stage = part("stage");
let mostBytes = Infinity;

async function take(files) {
  if (!files.length) {
    say("That is no file; drop or paste a picture itself.");
    return;
  }
  stopCamera();
  await look(files[0], mostBytes);
  if (files.length > 1 && !isTelling()) {
    const all = counted(files.length, "picture", "pictures");
    say(`This is the first of ${all}; the page looks at one at a time.`, "note");
  }
}

part("choose").addEventListener("click", () => part("file").click());
part("file").addEventListener("change", (event) => {
  if (event.target.files.length) take([...event.target.files]);
  // The same file may be chosen again.
  event.target.value = "";
});

part("example").addEventListener("click", async () => {
  // The button goes with the hint.
  part("choose").focus();
  try {
    const response = await fetch("example");
    take([new File([await response.blob()], "drawn faces")]);
  } catch {
    say("The console does not answer. Is it still running?");
  }
});

addEventListener("paste", (event) => {
  if (event.clipboardData) take([...event.clipboardData.files]);
});

// Counts what is entered and left: each element on the way sends both.
let inside = 0;

function endDragging() {
  inside = 0;
  stage.classList.remove("dropping");
}

addEventListener("dragenter", () => {
  inside += 1;
  stage.classList.add("dropping");
});
addEventListener("dragleave", () => {
  inside -= 1;
  if (inside <= 0) endDragging();
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  endDragging();
  take([...(event.dataTransfer?.files ?? [])]);
});

function useCamera(device) {
  endLooking();
  startCamera(device);
}

part("camera").addEventListener("click", () => {
  if (isCameraOn()) stopCamera();
  else useCamera();
});
part("cameras").addEventListener("change", (event) => useCamera(event.target.value));

watchState((state) => {
  const pill = part("state");
  pill.dataset.status = state.status;
  const words = `${STATES[state.status] ?? state.status}: ${state.words}`;
  if (pill.textContent !== words) pill.textContent = words;
  mostBytes = state.most_bytes ?? mostBytes;
  if (state.stays_here === false) {
    part("privacy").textContent =
      "Pictures are looked at on this machine; faces cut out of them go to the model server that " +
      "the console was started with, and nowhere else.";
  }
});
