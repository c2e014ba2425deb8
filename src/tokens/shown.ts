/** Pictures for people's eyes. */
import { PNG } from 'pngjs';
import { otherFormatOf, readOther } from './magick.js';

/**
 * A picture file as every viewer shows it: PNG and JPEG as they are, of the rest the first frame, upright, as PNG.
 *
 * @throws whatever the decoder throws at a broken file
 */
export async function pictureToShow(bytes: Buffer): Promise<Uint8Array> {
  const format = otherFormatOf(bytes);
  if (!format) return new Uint8Array(bytes);
  const read = await readOther(bytes, format, () => undefined);
  if ('refused' in read) throw new Error(`it ${read.refused}`);
  const { width, height, rgb } = read;
  const png = new PNG({ width, height, inputHasAlpha: false });
  png.data = Buffer.from(rgb);
  return new Uint8Array(PNG.sync.write(png, { inputHasAlpha: false, colorType: 2 }));
}
