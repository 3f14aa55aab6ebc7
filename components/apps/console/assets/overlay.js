// Draws what was seen over a picture: boxes, keypoints and the most probable emotion.

import { colourOf, most, percent } from "./emotions.js";

// Keypoints that belong together are joined by a line.
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

/** Fit the canvas to its place on the page; its context then counts in CSS pixels. */
export function fitted(canvas) {
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
 * Draw faces, and the picture below them where there is one.
 *
 * `scene` has `width` and `height` of the picture that the faces' pixels are counted in, `faces`,
 * and may have `picture`, `mirrored`, `keypoints` (whether to draw them) and `chosen`, a face's
 * number to draw attention to.
 */
export function drawScene(canvas, scene) {
  const { context, width, height } = fitted(canvas);
  if (scene.picture) {
    context.save();
    if (scene.mirrored) context.transform(-1, 0, 0, 1, width, 0);
    context.drawImage(scene.picture, 0, 0, width, height);
    context.restore();
  }
  const scale = width / scene.width;
  const place = ([x, y]) => {
    // A keypoint's pixel centres lie at whole numbers.
    const across = (x + 0.5) * scale;
    return [scene.mirrored ? width - across : across, (y + 0.5) * scale];
  };
  const boxes = scene.faces.map((face) => {
    const left = face.box.left * scale;
    const wide = face.box.width * scale;
    return {
      left: scene.mirrored ? width - left - wide : left,
      top: face.box.top * scale,
      width: wide,
      height: face.box.height * scale,
    };
  });
  scene.faces.forEach((face, k) => {
    const quiet = scene.chosen != null && scene.chosen !== face.number;
    context.globalAlpha = quiet ? 0.35 : 1;
    drawBox(context, boxes[k], colourOf(face.emotion));
    if (scene.keypoints) drawKeypoints(context, face, boxes[k].width, place);
  });
  // Above all boxes, or a neighbour's line crosses the words.
  scene.faces.forEach((face, k) => {
    context.globalAlpha = scene.chosen != null && scene.chosen !== face.number ? 0.35 : 1;
    drawLabel(context, boxes[k], face, { width, height });
  });
  context.globalAlpha = 1;
}

function drawBox(context, box, colour) {
  const thick = Math.min(4, Math.max(1.5, box.width / 50));
  const path = new Path2D();
  path.roundRect(box.left, box.top, box.width, box.height, 0.09 * box.width);
  context.strokeStyle = "#0007";
  context.lineWidth = thick + 2;
  context.stroke(path);
  context.strokeStyle = colour;
  context.lineWidth = thick;
  context.stroke(path);
}

function drawKeypoints(context, face, side, place) {
  const dot = Math.min(4, Math.max(1, side / 70));
  const lines = new Path2D();
  for (const names of LINES) {
    names.forEach((name, k) => {
      const point = face.keypoints[name];
      if (point) lines[k ? "lineTo" : "moveTo"](...place(point));
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
      context.arc(...place(point), radius, 0, 2 * Math.PI);
      context.fill();
    }
  }
}

function drawLabel(context, box, face, picture) {
  const [emotion, share] = most(face.probabilities);
  const size = Math.min(17, Math.max(11, box.width / 9));
  const words = `${face.number}  ${emotion} ${percent(share)}`;
  context.font = `600 ${size}px system-ui, sans-serif`;
  const high = 1.7 * size;
  const wide = context.measureText(words).width + 2.1 * size;
  const left = Math.max(2, Math.min(picture.width - wide - 2, box.left));
  const above = box.top - high - 4;
  const top = above > 2 ? above : Math.min(picture.height - high - 2, box.top + box.height + 4);
  context.fillStyle = "#16130fd9";
  context.beginPath();
  context.roundRect(left, top, wide, high, high / 2);
  context.fill();
  context.fillStyle = colourOf(emotion);
  context.beginPath();
  context.arc(left + 0.85 * size, top + high / 2, 0.3 * size, 0, 2 * Math.PI);
  context.fill();
  context.fillStyle = "#fff";
  context.textBaseline = "middle";
  context.fillText(words, left + 1.45 * size, top + high / 2 + 0.5);
}
