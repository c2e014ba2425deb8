/** Pictures for people's eyes. */
import { PNG } from 'pngjs';
import { otherFormatOf, pictureHead } from './formats.js';
import { readOther } from './magick.js';
import { readPng } from './png.js';
import type { Picture } from './resample.js';
import { tooLarge } from './steps.js';
import { orientationOf, upright, uprightJpeg } from './upright.js';

/**
 * A picture file as every viewer shows it upright: PNG and JPEG as they are where viewers turn them as far as is to be
 * turned, of the rest the first frame, as PNG.
 *
 * @throws whatever the decoder throws at a broken file
 */
export async function pictureToShow(bytes: Buffer): Promise<Uint8Array> {
  const format = otherFormatOf(bytes) ?? pictureHead(bytes)?.format ?? 'jpeg';
  const orientation = orientationOf(bytes, format);
  if (format === 'jpeg') return uprightJpeg(bytes, orientation);
  if (format === 'png')
    return orientation ? encoded(upright(await readPng(bytes), orientation)) : new Uint8Array(bytes);
  const read = await readOther(bytes, format, (size) => {
    const why = tooLarge(size);
    if (why !== undefined) throw new Error(why);
  });
  if ('refused' in read) throw new Error(`it ${read.refused}`);
  return encoded(upright(read, orientation));
}

function encoded({ width, height, rgb }: Picture): Uint8Array {
  const png = new PNG({ width, height, inputHasAlpha: false });
  png.data = Buffer.from(rgb);
  return new Uint8Array(PNG.sync.write(png, { inputHasAlpha: false, colorType: 2 }));
}
