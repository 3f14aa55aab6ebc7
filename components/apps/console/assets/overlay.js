// Draws results over a picture: boxes, keypoints and the most probable emotion.

import { answerOf, colourOf, mostProbable, percent } from "./emotions.js";

// Keypoints that are joined by lines.
const LINES = [
  ["left_eyebrow_outer_end", "left_eyebrow_inner_end"],
  ["right_eyebrow_outer_end", "right_eyebrow_inner_end"],
  ["left_eye_outer_corner", "left_eye_center", "left_eye_inner_corner"],
  ["right_eye_outer_corner", "right_eye_center", "right_eye_inner_corner"],
  [
    "mouth_left_corner", "mouth_center_top_lip", "mouth_right_corner", "mouth_center_bottom_lip",
    "mouth_left_corner",
  ],
];

/** Fit a canvas to its size on the page; its context then uses CSS pixels. */
export function fitCanvas(canvas) {
  const ratio = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  const size = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/**
 * Draw faces, and below them the picture if there is one.
 *
 * `scene` has `faces` and the `width` and `height` of the picture that their pixels refer to. It
 * may have `picture`, `mirrored`, `showKeypoints` and `selected`, the number of a face to highlight.
 */
export function drawScene(canvas, scene) {
  const { context, width, height } = fitCanvas(canvas);
  if (scene.picture) {
    context.save();
    if (scene.mirrored) context.transform(-1, 0, 0, 1, width, 0);
    context.drawImage(scene.picture, 0, 0, width, height);
    context.restore();
  }
  const scale = width / scene.width;
  const toCanvas = ([x, y]) => {
    // Pixel centres of keypoints are at whole numbers.
    const left = (x + 0.5) * scale;
    return [scene.mirrored ? width - left : left, (y + 0.5) * scale];
  };
  const boxes = scene.faces.map((face) => {
    const left = face.box.left * scale;
    const boxWidth = face.box.width * scale;
    return {
      left: scene.mirrored ? width - left - boxWidth : left,
      top: face.box.top * scale,
      width: boxWidth,
      height: face.box.height * scale,
    };
  });
  const opacity = (face) => (scene.selected == null || scene.selected === face.number ? 1 : 0.35);
  scene.faces.forEach((face, k) => {
    context.globalAlpha = opacity(face);
    drawBox(context, boxes[k], colourOf(face.cannot_tell ? "other" : face.emotion));
    if (scene.showKeypoints) drawKeypoints(context, face, boxes[k].width, toCanvas);
  });
  // After all boxes, so that no line crosses a label.
  scene.faces.forEach((face, k) => {
    context.globalAlpha = opacity(face);
    drawLabel(context, boxes[k], face, { width, height });
  });
  context.globalAlpha = 1;
}

function drawBox(context, box, colour) {
  const lineWidth = Math.min(4, Math.max(1.5, box.width / 50));
  const path = new Path2D();
  path.roundRect(box.left, box.top, box.width, box.height, 0.09 * box.width);
  context.strokeStyle = "#0007";
  context.lineWidth = lineWidth + 2;
  context.stroke(path);
  context.strokeStyle = colour;
  context.lineWidth = lineWidth;
  context.stroke(path);
}

function drawKeypoints(context, face, boxWidth, toCanvas) {
  const dot = Math.min(4, Math.max(1, boxWidth / 70));
  const lines = new Path2D();
  for (const names of LINES) {
    names.forEach((name, k) => {
      const point = face.keypoints[name];
      if (point) lines[k ? "lineTo" : "moveTo"](...toCanvas(point));
    });
  }
  context.lineJoin = "round";
  for (const [colour, width] of [["#0005", dot * 1.1 + 1], ["#ffffffb0", dot * 0.6]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke(lines);
  }
  for (const [colour, radius] of [["#0009", dot + 1], ["#fff", dot]]) {
    context.fillStyle = colour;
    for (const point of Object.values(face.keypoints)) {
      context.beginPath();
      context.arc(...toCanvas(point), radius, 0, 2 * Math.PI);
      context.fill();
    }
  }
}

function drawLabel(context, box, face, picture) {
  const [emotion, probability] = mostProbable(face.probabilities);
  const share = face.cannot_tell ? "" : ` ${percent(probability)}`;
  const size = Math.min(17, Math.max(11, box.width / 9));
  const text = `${face.number}  ${answerOf(face)}${share}`;
  context.font = `600 ${size}px system-ui, sans-serif`;
  const height = 1.7 * size;
  const width = context.measureText(text).width + 2.1 * size;
  const left = Math.max(2, Math.min(picture.width - width - 2, box.left));
  const above = box.top - height - 4;
  const top = above > 2 ? above : Math.min(picture.height - height - 2, box.top + box.height + 4);
  context.fillStyle = "#16130fd9";
  context.beginPath();
  context.roundRect(left, top, width, height, height / 2);
  context.fill();
  context.fillStyle = colourOf(face.cannot_tell ? "other" : emotion);
  context.beginPath();
  context.arc(left + 0.85 * size, top + height / 2, 0.3 * size, 0, 2 * Math.PI);
  context.fill();
  context.fillStyle = "#fff";
  context.textBaseline = "middle";
  context.fillText(text, left + 1.45 * size, top + height / 2 + 0.5);
}
