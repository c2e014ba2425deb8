/** Picture files as pixels. Untrusted: what a file claims is checked before room is made for it. */
import { readFile, stat } from 'node:fs/promises';
import mozjpeg from '@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm';
import decodeJpeg, { init } from '@jsquash/jpeg/decode.js';
import { PNG } from 'pngjs';
import { SinkscopeError } from '../errors.js';
import { otherFormatOf, readCmyk, readOther } from './magick.js';
import { checkPng } from './png.js';
import type { Picture } from './resample.js';
import type { Extent } from './steps.js';

const maxBytes = 128 * 2 ** 20;
const maxPixels = 50e6;
/** As of JPEG: rows and columns have a cost of their own. */
const maxSide = 65_535;

export interface ReadPicture extends Picture {
  /** How colours were made, or which frame was taken, where people may not expect it. */
  readonly remark?: string | undefined;
}

/**
 * A picture as RGB, upright (EXIF), transparency dropped: as Pillow's `convert('RGB')` gives it. PNG, JPEG, WebP, GIF, BMP
 * or TIFF; of several frames the first.
 *
 * @throws SinkscopeError `input` for any other file, a broken one, one whose pixels would not be Pillow's, or one of more than 50 million pixels or 65,535 in a
 *   row or column
 */
export async function readPicture(file: string): Promise<ReadPicture> {
  const fail = (cause: string, error?: unknown) =>
    new SinkscopeError(
      { code: 'input', file, detail: error === undefined ? undefined : String(error), message: `${file} ${cause}` },
      { cause: error },
    );
  const info = await stat(file).catch((error) => {
    throw fail('cannot be read; check that it exists and that you may read it.', error);
  });
  if (!info.isFile() || info.size > maxBytes) throw fail('is no picture file of at most 128 MB; choose another.');
  const bytes = await readFile(file);

  const checkSize = ({ width, height }: Extent) => {
    if (Math.max(width, height) > maxSide)
      throw fail(`is ${width} × ${height} pixels, and at most ${maxSide} are taken in a row or column; cut it.`);
    if (!(width * height <= maxPixels))
      throw fail(`has ${width} × ${height} pixels, more than the 50 million that are taken; make it smaller.`);
  };
  const other = otherFormatOf(bytes);
  const kind = other ? { format: other } : kindOf(bytes);
  if (isHeif(bytes)) throw fail('is an AVIF or HEIC picture, which is not read; save it as PNG or WebP.');
  if (!kind) throw fail('is no picture that is read (PNG, JPEG, WebP, GIF, BMP, TIFF); save it as one of these.');
  // Before decoding: a file of a kilobyte may claim a picture of gigabytes.
  if ('width' in kind) checkSize(kind);
  try {
    if (kind.format === 'png') {
      await checkPng(bytes);
      return { ...withoutAlpha(png(bytes)), remark: isDeepGrey(bytes) ? deepGrey : undefined };
    }
    if (kind.format === 'jpeg') {
      // The decoder would fill what is missing with grey. (A thumbnail, with an end of its own, comes before the frame.)
      if (!bytes.includes(endOfImage, kind.frame)) throw new Error('the end of the file is missing');
      if (!kind.cmyk) return withoutAlpha(await jpeg(bytes));
      return { ...(await readCmyk(bytes)), remark: inks };
    }
    const read = await readOther(bytes, kind.format, checkSize);
    if ('refused' in read) throw fail(`${read.refused}, which is not read; save it as PNG.`);
    const { several, ...picture } = read;
    return { ...picture, remark: several ? firstFrame : undefined };
  } catch (error) {
    if (SinkscopeError.is(error)) throw error;
    const why = other ? 'is a broken picture or compressed in a way that is not read; save it as PNG.' : broken;
    throw fail(why, error);
  }
}

interface Rgba {
  readonly width: number;
  readonly height: number;
  readonly data: ArrayLike<number>;
}

/** Grey of 16 bits without transparency. */
const isDeepGrey = (bytes: Buffer) => bytes[24] === 16 && bytes[25] === 0;
const deepGrey = 'grey of 16 bits cut off at 255, as Pillow does: all above is white';
const broken = 'is a broken picture; save it again.';
const firstFrame = 'the first of its frames or pages, and no other';
const inks = 'CMYK made RGB as Pillow does, without its colour profile';

function png(bytes: Buffer): Rgba {
  if (bytes[24] !== 16) return PNG.sync.read(bytes);
  // Of samples of 16 bits Pillow takes the upper byte, where the decoder would round; those of grey alone it cuts off.
  const byte = isDeepGrey(bytes) ? (sample: number) => Math.min(sample, 255) : (sample: number) => sample >> 8;
  const { width, height, data } = PNG.sync.read(bytes, { skipRescale: true });
  return { width, height, data: Uint8Array.from(data, byte) };
}

const endOfImage = Buffer.of(0xff, 0xd9);
let ready: Promise<void> | undefined;

async function jpeg(bytes: Buffer): Promise<Rgba> {
  ready ??= init({ wasmBinary: mozjpeg.slice().buffer });
  await ready;
  return decodeJpeg(new Uint8Array(bytes).buffer, { preserveOrientation: true });
}

function withoutAlpha({ width, height, data }: Rgba): Picture {
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = data[from] ?? 0;
    rgb[to + 1] = data[from + 1] ?? 0;
    rgb[to + 2] = data[from + 2] ?? 0;
  }
  return { width, height, rgb };
}

interface Kind {
  readonly format: 'png' | 'jpeg';
  readonly width: number;
  readonly height: number;
  /** Where the header with the size is. */
  readonly frame: number;
  /** A JPEG of four components: CMYK, or its YCCK. */
  readonly cmyk: boolean;
}

/** The container that AVIF and HEIC share, by its brands. */
const isHeif = (bytes: Buffer) => /^.{4}ftyp(avi|hei|hev|mif|msf)/s.test(bytes.toString('latin1', 0, 12));

/** Format and size from the head of a PNG or JPEG. */
function kindOf(bytes: Buffer): Kind | undefined {
  if (bytes.length >= 24 && bytes.readUInt32BE(0) === 0x89504e47 && bytes.toString('latin1', 12, 16) === 'IHDR') {
    return {
      format: 'png',
      width: bytes.readUInt32BE(16),
      height: bytes.readUInt32BE(20),
      frame: 16,
      cmyk: false,
    };
  }
  if (bytes.length < 4 || bytes.readUInt16BE(0) !== 0xffd8) return undefined;
  // Segments, each with its length, up to the frame header (SOF0 … SOF15 without the three that are none).
  for (let at = 2; at + 9 <= bytes.length; ) {
    const marker = bytes.readUInt16BE(at);
    if (marker >= 0xffc0 && marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker)) {
      return {
        format: 'jpeg',
        height: bytes.readUInt16BE(at + 5),
        width: bytes.readUInt16BE(at + 7),
        frame: at,
        cmyk: bytes[at + 9] === 4,
      };
    }
    if (marker < 0xff00) return undefined;
    // 0xff may be repeated before a marker.
    at += marker === 0xffff ? 1 : 2 + bytes.readUInt16BE(at + 2);
  }
  return undefined;
}
