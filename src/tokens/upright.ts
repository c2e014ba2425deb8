/**
 * How a picture is to be turned for people's eyes: what its file says of its orientation, as Pillow's `exif_transpose`
 * reads it, whichever program wrote it there.
 */
import { inflateSync } from 'node:zlib';
import type { OtherFormat } from './formats.js';
import { chunksOf } from './png.js';
import type { Picture } from './resample.js';

/** EXIF's numbers: 1 is upright, 2 to 4 are mirrored or upside down, from 5 on rows are columns. */
export interface Orientation {
  readonly number: number;
  /** What says so; viewers look at EXIF alone, and not at that of every format. */
  readonly from: 'exif' | 'xmp';
}

/** What of a file's own description may tell how it lies. */
interface Description {
  readonly exif?: Buffer | undefined;
  readonly xmp?: string | undefined;
}

/** The orientation that a file states; undefined: none, or one that is broken. */
export function orientationOf(bytes: Buffer, format: 'png' | 'jpeg' | OtherFormat): Orientation | undefined {
  const { exif, xmp } = descriptionOf(bytes, format);
  const stated = exif && ifdValue(exif, orientationTag)?.number;
  if (stated !== undefined) return { number: stated, from: 'exif' };
  const found = /tiff:Orientation(?:="|>)([0-9])/.exec(xmp ?? '')?.[1];
  return found === undefined ? undefined : { number: Number(found), from: 'xmp' };
}

/** A picture turned upright: as Pillow's `exif_transpose` makes it. */
export function upright(picture: Picture, orientation: Orientation | undefined): Picture {
  const { number = 1 } = orientation ?? {};
  if (!(number >= 2 && number <= 8)) return picture;
  const { width, height, rgb } = picture;
  const isTurned = number >= 5;
  const [mirrored, upsideDown] = [[2, 3, 7, 8].includes(number), [3, 4, 6, 7].includes(number)];
  const [columns, rows] = isTurned ? [height, width] : [width, height];
  const turned = new Uint8Array(rgb.length);
  for (let y = 0, to = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++, to += 3) {
      const [column, row] = isTurned ? [y, x] : [x, y];
      const from = 3 * ((upsideDown ? height - 1 - row : row) * width + (mirrored ? width - 1 - column : column));
      turned[to] = rgb[from] ?? 0;
      turned[to + 1] = rgb[from + 1] ?? 0;
      turned[to + 2] = rgb[from + 2] ?? 0;
    }
  }
  return { width: columns, height: rows, rgb: turned };
}

/** A copy of a TIFF that says of itself that it is upright. */
export function lyingTiff(bytes: Buffer): Buffer {
  const { number, first } = ifdValue(bytes, orientationTag) ?? {};
  if (number === undefined || first === undefined || number === 1) return bytes;
  const copy = Buffer.from(bytes);
  const isSmall = copy.toString('latin1', 0, 2) === 'II';
  copy.fill(0, first.from, first.to);
  copy.writeUInt8(1, isSmall ? first.from : first.to - 1);
  return copy;
}

/** A JPEG whose orientation viewers see: XMP's is not looked at by them, and is put in front as EXIF's. */
export function uprightJpeg(bytes: Buffer, orientation: Orientation | undefined): Uint8Array {
  if (orientation?.from !== 'xmp') return new Uint8Array(bytes);
  // One entry of one directory: a whole number of two bytes.
  const exif = Buffer.from(`${exifHead}MM\0*\0\0\0\b\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0`, 'latin1');
  exif.writeUInt16BE(orientation.number, exifHead.length + 18);
  const head = Buffer.of(0xff, 0xe1, 0, 2 + exif.length);
  return new Uint8Array(Buffer.concat([bytes.subarray(0, 2), head, exif, bytes.subarray(2)]));
}

function descriptionOf(bytes: Buffer, format: 'png' | 'jpeg' | OtherFormat): Description {
  if (format === 'png') return ofPng(bytes);
  if (format === 'jpeg') return ofJpeg(bytes);
  if (format === 'WebP') return ofWebp(bytes);
  if (format === 'Tiff') return { exif: bytes, xmp: ifdValue(bytes, xmpTag)?.bytes.toString('latin1') };
  return {};
}

const rawProfile = 'Raw profile type exif';
const xmpText = 'XML:com.adobe.xmp';

/** A part of its own, or a text: in hexadecimal digits from the fourth line on, as ImageMagick wrote it before there was one. */
function ofPng(bytes: Buffer): Description {
  const texts = new Map<string, string>();
  let exif: Buffer | undefined;
  for (const { type, data } of chunksOf(bytes)) {
    if (type === 'eXIf') exif = data;
    const text = pngText(type, data);
    if (text) texts.set(...text);
  }
  const digits = texts.get(rawProfile)?.split('\n').slice(3).join('');
  return { exif: exif ?? (digits ? Buffer.from(digits, 'hex') : undefined), xmp: texts.get(xmpText) };
}

/** As Pillow: what unfolds to more is no text. */
const maxText = 2 ** 20;

/** A text of a PNG and its name; undefined for other parts, texts of other names and broken ones. */
function pngText(type: string, data: Buffer): readonly [name: string, text: string] | undefined {
  const end = data.indexOf(0);
  const name = data.toString('latin1', 0, end);
  if (!['tEXt', 'zTXt', 'iTXt'].includes(type) || ![rawProfile, xmpText].includes(name)) return undefined;
  // In iTXt: whether it is folded and how, a language, and the name in that language.
  const start = type === 'iTXt' ? data.indexOf(0, data.indexOf(0, end + 3) + 1) : type === 'zTXt' ? end + 1 : end;
  const text = data.subarray(start + 1);
  const isFolded = type === 'zTXt' || (type === 'iTXt' && data[end + 1] === 1);
  try {
    return [name, (isFolded ? inflateSync(text, { maxOutputLength: maxText }) : text).toString('latin1')];
  } catch {
    return undefined;
  }
}

const exifHead = 'Exif\0\0';
const xmpHead = 'http://ns.adobe.com/xap/1.0/\0';

function ofJpeg(bytes: Buffer): Description {
  const exif: Buffer[] = [];
  let xmp: string | undefined;
  // Segments, each with its length, up to the data.
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda; ) {
    // 0xff may be repeated before a marker.
    const length = bytes[at + 1] === 0xff ? -1 : bytes.readUInt16BE(at + 2);
    const data = bytes.subarray(at + 4, at + 2 + length);
    if (bytes[at + 1] === 0xe1) {
      if (startsWith(data, exifHead)) exif.push(data.subarray(exifHead.length));
      if (startsWith(data, xmpHead)) xmp = data.toString('latin1', xmpHead.length);
    }
    at += 2 + length;
  }
  return { exif: exif.length > 0 ? Buffer.concat(exif) : undefined, xmp };
}

function ofWebp(bytes: Buffer): Description {
  const parts = new Map<string, Buffer>();
  for (let at = 12; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt32LE(at + 4);
    const type = bytes.toString('latin1', at, at + 4);
    if (!parts.has(type)) parts.set(type, bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length + (length % 2);
  }
  // Only what the header announces is there.
  const [flags = 0] = parts.get('VP8X') ?? [];
  return {
    exif: (flags & 8) !== 0 ? parts.get('EXIF') : undefined,
    xmp: (flags & 4) !== 0 ? parts.get('XMP ')?.toString('latin1') : undefined,
  };
}

const orientationTag = 274;
const xmpTag = 700;

/** Bytes of a value of whole numbers, by TIFF's numbers of types: bytes, texts and undefined ones are none. */
const widths: Readonly<Record<number, number>> = { 1: 1, 2: 1, 3: 2, 4: 4, 7: 1, 8: 2, 9: 4 };

interface IfdValue {
  /** The first one, where it is a whole number of two or four bytes. */
  readonly number: number | undefined;
  /** Where that one stands. */
  readonly first: { readonly from: number; readonly to: number };
  readonly bytes: Buffer;
}

/** A value of the first directory of a TIFF, which EXIF is; undefined where there is none or the file is broken. */
function ifdValue(exif: Buffer, wanted: number): IfdValue | undefined {
  let tiff = exif;
  while (startsWith(tiff, exifHead)) tiff = tiff.subarray(exifHead.length);
  const order = tiff.toString('latin1', 0, 2);
  if (tiff.length < 16 || (order !== 'II' && order !== 'MM')) return undefined;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const small = order === 'II';
  // BigTIFF's numbers are of eight bytes where others are of four, and so is the number of entries.
  const big = view.getUint16(2, small) === 43;
  const wordAt = (at: number) => (big ? Number(view.getBigUint64(at, small)) : view.getUint32(at, small));
  const [word, entry] = big ? [8, 20] : [4, 12];
  const start = wordAt(big ? 8 : 4);
  const first = start + (big ? 8 : 2);
  if (first > tiff.length) return undefined;
  const count = big ? wordAt(start) : view.getUint16(start, small);
  for (let at = first; at < first + entry * count && at + entry <= tiff.length; at += entry) {
    if (view.getUint16(at, small) !== wanted) continue;
    const width = widths[view.getUint16(at + 2, small)];
    const length = (width ?? 0) * wordAt(at + 4);
    const inside = at + 4 + word;
    const place = length > word ? wordAt(inside) : inside;
    if (width === undefined || length === 0 || place + length > tiff.length) return undefined;
    const number = width === 2 ? view.getUint16(place, small) : width === 4 ? view.getUint32(place, small) : undefined;
    return { number, first: { from: place, to: place + width }, bytes: tiff.subarray(place, place + length) };
  }
  return undefined;
}

const startsWith = (bytes: Buffer, head: string) => bytes.toString('latin1', 0, head.length) === head;
