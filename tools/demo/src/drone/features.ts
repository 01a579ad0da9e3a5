import { sha256Hex, toBase64 } from '@antirio/kernel';
import type { Picture } from './feed.ts';

/** What is kept of a picture. All integers, so that every machine finds the same. */
export interface Features {
  /** Mean and spread of the grey values, in thousandths of the full scale. */
  readonly brightness: number;
  readonly contrast: number;
  /** Mean step between neighbours in a row, in thousandths of a grey value. */
  readonly sharpness: number;
  /** Centre of the brightest spot, pixels from the left and from the top. */
  readonly targetX: number;
  readonly targetY: number;
  /** 16 x 12 grey values, base64. */
  readonly thumbnail: string;
  /** SHA-256 of all pixels, hex. */
  readonly digest: string;
}

const THUMBNAIL = { width: 16, height: 12 };
const SPOT = 12;
const FULL_SCALE = 255;

interface Sums {
  readonly sum: number;
  readonly squares: number;
  readonly steps: number;
}

function sumsOf({ width, pixels }: Picture): Sums {
  let sum = 0;
  let squares = 0;
  let steps = 0;
  let before = 0;
  for (const [i, grey] of pixels.entries()) {
    sum += grey;
    squares += grey * grey;
    if (i % width !== 0) steps += Math.abs(grey - before);
    before = grey;
  }
  return { sum, squares, steps };
}

/** Sums over every rectangle from the upper left corner: any other rectangle's sum is four of them. */
function integralOf({ width, height, pixels }: Picture): (x: number, y: number) => number {
  const row = width + 1;
  const integral = new Uint32Array(row * (height + 1));
  for (let y = 0; y < height; y++) {
    let line = 0;
    for (let x = 0; x < width; x++) {
      line += pixels[y * width + x] ?? 0;
      integral[(y + 1) * row + x + 1] = (integral[y * row + x + 1] ?? 0) + line;
    }
  }
  return (x, y) => integral[y * row + x] ?? 0;
}

type Rectangle = (left: number, top: number, right: number, bottom: number) => number;

function brightestSpot({ width, height }: Picture, within: Rectangle): { x: number; y: number } {
  let most = -1;
  let found = { x: 0, y: 0 };
  for (let top = 0; top + SPOT <= height; top++)
    for (let left = 0; left + SPOT <= width; left++) {
      const sum = within(left, top, left + SPOT, top + SPOT);
      if (sum <= most) continue;
      most = sum;
      found = { x: left + SPOT / 2, y: top + SPOT / 2 };
    }
  return found;
}

function thumbnailOf({ width, height }: Picture, within: Rectangle): Uint8Array {
  const out = new Uint8Array(THUMBNAIL.width * THUMBNAIL.height);
  const edge = (i: number, parts: number, size: number): number => Math.floor((i * size) / parts);
  for (let y = 0; y < THUMBNAIL.height; y++)
    for (let x = 0; x < THUMBNAIL.width; x++) {
      const [left, right] = [edge(x, THUMBNAIL.width, width), edge(x + 1, THUMBNAIL.width, width)];
      const [top, bottom] = [edge(y, THUMBNAIL.height, height), edge(y + 1, THUMBNAIL.height, height)];
      const area = (right - left) * (bottom - top);
      out[y * THUMBNAIL.width + x] = Math.floor(within(left, top, right, bottom) / Math.max(1, area));
    }
  return out;
}

/** The pre-processing: what is worth sending on of a picture. */
export function featuresOf(picture: Picture): Features {
  const { width, height, pixels } = picture;
  const { sum, squares, steps } = sumsOf(picture);
  const at = integralOf(picture);
  const within: Rectangle = (left, top, right, bottom) =>
    at(right, bottom) - at(left, bottom) - at(right, top) + at(left, top);
  const count = pixels.length;
  const variance = squares / count - (sum / count) ** 2;
  const { x, y } = brightestSpot(picture, within);
  return {
    brightness: Math.round((1000 * sum) / count / FULL_SCALE),
    contrast: Math.round((1000 * Math.sqrt(Math.max(0, variance))) / FULL_SCALE),
    sharpness: Math.round((1000 * steps) / Math.max(1, (width - 1) * height)),
    targetX: x,
    targetY: y,
    thumbnail: toBase64(thumbnailOf(picture, within)),
    digest: sha256Hex(pixels),
  };
}
