/**
 * PNG as Pillow reads it. What a file claims is held against what it holds before a decoder that trusts it makes room:
 * the decoder takes the last of several headers, and inflates interlaced data however much it becomes.
 */
import { Readable } from 'node:stream';
import { createInflate } from 'node:zlib';
import { PNG } from 'pngjs';
import type { Picture } from './resample.js';

/** Pixels with transparency, one byte per channel. */
interface Rgba {
  readonly width: number;
  readonly height: number;
  readonly data: ArrayLike<number>;
}

/** Grey of 16 bits without transparency. */
export const isDeepGrey = (bytes: Buffer) => bytes[24] === 16 && bytes[25] === 0;

/**
 * A PNG as it lies, its transparency dropped.
 *
 * @throws Error where it is broken
 */
export async function readPng(bytes: Buffer): Promise<Picture> {
  await checkPng(bytes);
  if (bytes[24] !== 16) return withoutAlpha(PNG.sync.read(bytes));
  // Of samples of 16 bits Pillow takes the upper byte, where the decoder would round; those of grey alone it cuts off.
  const byte = isDeepGrey(bytes) ? (sample: number) => Math.min(sample, 255) : (sample: number) => sample >> 8;
  const { width, height, data } = PNG.sync.read(bytes, { skipRescale: true });
  return withoutAlpha({ width, height, data: Uint8Array.from(data, byte) });
}

/** The colours alone. */
export function withoutAlpha({ width, height, data }: Rgba): Picture {
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = data[from] ?? 0;
    rgb[to + 1] = data[from + 1] ?? 0;
    rgb[to + 2] = data[from + 2] ?? 0;
  }
  return { width, height, rgb };
}

/** Samples of a pixel by colour type: grey, RGB, palette, grey and alpha, RGBA. */
const samples: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** First column and row of each pass of an interlaced picture (Adam7), and the steps from one to the next. */
const passes = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

const headerLength = 13;

/**
 * Checks that a PNG has one header, and data that unfold to what the header says and no more. Holds no more of the
 * unfolded data than a part at a time.
 *
 * @throws Error in words that go on from the file's name
 */
async function checkPng(bytes: Buffer): Promise<void> {
  const chunks = [...chunksOf(bytes)];
  const headers = chunks.filter(({ type }) => type === 'IHDR');
  const [header] = headers;
  if (headers.length !== 1 || header === undefined || header !== chunks[0] || header.data.length !== headerLength)
    throw new Error('its header is not the one and first part of it');
  const room = unfoldedBytes(header.data);
  let unfolded = 0;
  const data = chunks.filter(({ type }) => type === 'IDAT').map((chunk) => chunk.data);
  for await (const part of Readable.from(data).pipe(createInflate())) {
    unfolded += part.length;
    if (unfolded > room) throw new Error(`its data unfold to more than the ${room} bytes of its picture`);
  }
}

/**
 * The parts of a PNG in order.
 *
 * @throws Error where one is longer than the file
 */
export function* chunksOf(bytes: Buffer): Generator<{ readonly type: string; readonly data: Buffer }> {
  // Each chunk is its length, its type, its data and a checksum; the signature comes before the first.
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    if (length > bytes.length - at - 12) throw new Error('a part of it is cut off');
    yield { type: bytes.toString('latin1', at + 4, at + 8), data: bytes.subarray(at + 8, at + 8 + length) };
    at += 12 + length;
  }
}

/** Bytes of all rows, each with the byte that names its filter. */
function unfoldedBytes(header: Buffer): number {
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const bits = header.readUInt8(8) * (samples[header.readUInt8(9)] ?? 0);
  const rows = (columns: number, count: number) => (columns === 0 ? 0 : count * (1 + Math.ceil((columns * bits) / 8)));
  if (header.readUInt8(12) === 0) return rows(width, height);
  return passes.reduce((sum, [x, y, stepX, stepY]) => {
    return sum + rows(Math.ceil((width - x) / stepX), Math.ceil((height - y) / stepY));
  }, 0);
}
