/** A run on a picture, for looking at and testing what is drawn over one. */
import type { RunEvent, TokensEvent } from '../../src/engine/contract/events.js';
import { type Run, synthetic } from './runs.js';

/** Upright; the file itself lies on its side, as cameras write them. */
const size = { width: 320, height: 200 };
const patch = 20;
const names = ['CLS', 'register 1', 'register 2'];

/** 10 × 16 patches; CLS and patch 0,1 are massive. */
export async function onPicture(): Promise<Run> {
  const columns = size.width / patch;
  const tokens = names.length + columns * (size.height / patch);
  const run = synthetic({ layers: 6, tokens, dims: 64, heads: 2 });
  const bytes = await turnedJpeg();
  const named: TokensEvent = {
    type: 'tokens',
    tokens: Array.from({ length: tokens }, (_, id) => {
      const place = id - names.length;
      const [row, column] = [Math.floor(place / columns), place % columns];
      const region = { x: column * patch, y: row * patch, width: patch, height: patch };
      return place < 0
        ? { id, text: names[id] ?? '', start: 0, end: 0, special: true }
        : { id, text: `patch ${row},${column}`, start: 0, end: 0, special: false, region };
    }),
    total: tokens,
    window: { start: 0, end: tokens },
    source: 'image',
    picture: { file: 'pictures/coast.jpg', ...size },
    tokenizer: false,
  };
  const events = run.events
    .filter(({ type }) => type !== 'predictions')
    .map((event): RunEvent => (event.type === 'tokens' ? named : event));
  return { ...run, events, picture: () => bytes };
}

/** Upright, its left half is red and its right half blue; below, it is dark. */
async function turnedJpeg(): Promise<Uint8Array> {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [size.height, size.width];
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('This browser gives no 2D canvas.');
  // What orientation 6 undoes: a quarter turn to the left.
  context.rotate(-Math.PI / 2);
  context.translate(-size.width, 0);
  for (const [x, color] of [
    [0, 'rgb(220 30 30)'],
    [size.width / 2, 'rgb(30 60 220)'],
  ] as const) {
    const shade = context.createLinearGradient(0, 0, 0, size.height);
    shade.addColorStop(0.3, color);
    shade.addColorStop(1, 'black');
    context.fillStyle = shade;
    context.fillRect(x, 0, size.width / 2, size.height);
  }
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/jpeg'));
  if (blob === null) throw new Error('This browser writes no JPEG.');
  const jpeg = new Uint8Array(await blob.arrayBuffer());
  // After the start of the file: an Exif segment with one entry, orientation (0x0112) 6.
  const tiff = [0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0];
  const exif = [0xff, 0xe1, 0, 8 + tiff.length, 0x45, 0x78, 0x69, 0x66, 0, 0, ...tiff];
  return Uint8Array.of(...jpeg.subarray(0, 2), ...exif, ...jpeg.subarray(2));
}
