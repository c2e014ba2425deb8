/**
 * JPEG of four components as RGB. ImageMagick decodes it, since the decoder of other JPEG is built without CMYK; it gives
 * the same CMYK as Pillow to the bit (Adobe's YCCK, subsampled, progressive), and the arithmetic to RGB here is Pillow's.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Picture } from './resample.js';

type Magick = typeof import('@imagemagick/magick-wasm');

let ready: Promise<Magick> | undefined;

/** 15 MB of WebAssembly, of which nobody needs to wait for who has no such picture. */
async function load(): Promise<Magick> {
  const { resolve } = createRequire(__filename);
  const magick = await import('@imagemagick/magick-wasm');
  await magick.initializeImageMagick(await readFile(resolve('@imagemagick/magick-wasm/magick.wasm')));
  return magick;
}

/**
 * Upright RGB of a JPEG in CMYK, as Pillow's `convert('RGB')` makes it: its colour profile is not looked at.
 *
 * @throws whatever the decoder throws at a broken file
 */
export async function readCmyk(bytes: Uint8Array): Promise<Picture> {
  ready ??= load();
  const { ImageMagick, MagickFormat } = await ready;
  return ImageMagick.read(bytes, MagickFormat.Jpeg, (image) => {
    image.autoOrient();
    const { width, height } = image;
    const cmyk = image.getPixels((pixels) => pixels.toByteArray(0, 0, width, height, 'CMYK'));
    if (cmyk?.length !== 4 * width * height) throw new Error('the decoder gives no CMYK');
    return { width, height, rgb: rgbOf(cmyk) };
  });
}

/** Pillow's `cmyk2rgb`. */
function rgbOf(cmyk: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((cmyk.length / 4) * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    const light = 255 - (cmyk[from + 3] ?? 0);
    for (let ink = 0; ink < 3; ink++) {
      const product = (cmyk[from + ink] ?? 0) * light + 128;
      rgb[to + ink] = light - (((product >> 8) + product) >> 8);
    }
  }
  return rgb;
}
