/** Picture files as pixels. Untrusted: what a file claims is checked before room is made for it. */
import { readFile, stat } from 'node:fs/promises';
import mozjpeg from '@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm';
import decodeJpeg, { init } from '@jsquash/jpeg/decode.js';
import { SinkscopeError } from '../errors.js';
import { isHeif, type OtherFormat, otherFormatOf, type PictureHead, pictureHead } from './formats.js';
import { readCmyk, readOther } from './magick.js';
import { isDeepGrey, readPng, withoutAlpha } from './png.js';
import type { Picture } from './resample.js';
import { type Extent, tooLarge } from './steps.js';
import { orientationOf, upright } from './upright.js';

const maxBytes = 128 * 2 ** 20;

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

  const checkSize = (size: Extent) => {
    const why = tooLarge(size);
    if (why !== undefined) throw fail(why);
  };
  const other = otherFormatOf(bytes);
  const kind = other ? { format: other } : pictureHead(bytes);
  if (isHeif(bytes)) throw fail('is an AVIF or HEIC picture, which is not read; save it as PNG or WebP.');
  if (!kind) throw fail('is no picture that is read (PNG, JPEG, WebP, GIF, BMP, TIFF); save it as one of these.');
  // Before decoding: a file of a kilobyte may claim a picture of gigabytes.
  if ('width' in kind) checkSize(kind);
  try {
    const read = await decoded(bytes, kind, checkSize);
    if ('refused' in read) throw fail(`${read.refused}, which is not read; save it as PNG.`);
    const { picture, remark } = read;
    return { ...upright(picture, orientationOf(bytes, kind.format)), remark };
  } catch (error) {
    if (SinkscopeError.is(error)) throw error;
    const why = other ? 'is a broken picture or compressed in a way that is not read; save it as PNG.' : broken;
    throw fail(why, error);
  }
}

/** A picture as it lies in its file, or why it is not read. */
async function decoded(
  bytes: Buffer,
  kind: PictureHead | { readonly format: OtherFormat },
  checkSize: (size: Extent) => void,
): Promise<{ readonly picture: Picture; readonly remark?: string | undefined } | { readonly refused: string }> {
  if (kind.format === 'png') return { picture: await readPng(bytes), remark: isDeepGrey(bytes) ? deepGrey : undefined };
  if (kind.format === 'jpeg') {
    // The decoder would fill what is missing with grey. (A thumbnail, with an end of its own, comes before the frame.)
    if (!bytes.includes(endOfImage, kind.frame)) throw new Error('the end of the file is missing');
    return kind.cmyk ? { picture: await readCmyk(bytes), remark: inks } : jpeg(bytes);
  }
  const read = await readOther(bytes, kind.format, checkSize);
  return 'refused' in read ? read : { picture: read, remark: read.several ? firstFrame : undefined };
}

const deepGrey = 'grey of 16 bits cut off at 255, as Pillow does: all above is white';
const broken = 'is a broken picture; save it again.';
const firstFrame = 'the first of its frames or pages, and no other';
const inks = 'CMYK made RGB as Pillow does, without its colour profile';

const endOfImage = Buffer.of(0xff, 0xd9);
let ready: Promise<void> | undefined;
/** What the decoder says of the picture that it reads. */
let said: string[] = [];

async function jpeg(bytes: Buffer) {
  ready ??= init({ wasmBinary: mozjpeg.slice().buffer, printErr: (line: string) => said.push(line) });
  await ready;
  said = [];
  const picture = withoutAlpha(await decodeJpeg(new Uint8Array(bytes).buffer, { preserveOrientation: false }));
  const damage = said.find((line) => /^(Corrupt JPEG data|Premature end)/.test(line));
  return { picture, remark: damage && `read though it is damaged (${damage}): other programs may see other pixels` };
}
