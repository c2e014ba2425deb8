/**
 * Pictures that ImageMagick decodes: JPEG of four components, since the decoder of other JPEG is built without CMYK, and
 * WebP, GIF, BMP and TIFF as far as it gives Pillow's bytes; what it would not is refused.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { IMagickImage } from '@imagemagick/magick-wasm';
import type { OtherFormat } from './formats.js';
import type { Picture } from './resample.js';
import type { Extent } from './steps.js';
import { lyingTiff } from './upright.js';

type Magick = typeof import('@imagemagick/magick-wasm');

let ready: Promise<Magick> | undefined;

/** 15 MB of WebAssembly, of which nobody needs to wait for who has no such picture. */
async function load(): Promise<Magick> {
  const { resolve } = createRequire(__filename);
  const magick = await import('@imagemagick/magick-wasm');
  await magick.initializeImageMagick(await readFile(resolve('@imagemagick/magick-wasm/magick.wasm')));
  // Heads lie: what is larger than this fails, for there is no disk to go to.
  magick.ResourceLimits.memory = 2n ** 30n;
  magick.ResourceLimits.disk = 0n;
  return magick;
}

/**
 * RGB of the first frame as it lies, as Pillow's `convert('RGB')` makes it, and whether others follow; or why its pixels would
 * not be Pillow's, in words that go on from the file's name.
 *
 * @param check is given the size that the file claims before room is made for it, and throws where that is too much
 * @throws whatever the decoder throws at a broken file
 */
export async function readOther(
  file: Buffer,
  format: OtherFormat,
  check: (size: Extent) => void,
): Promise<(Picture & { readonly several: boolean }) | { readonly refused: string }> {
  ready ??= load();
  const { ImageMagick, MagickFormat, MagickImageCollection, MagickReadSettings } = await ready;
  // Some kinds of TIFF it turns by itself, and half of the way.
  const bytes = format === 'Tiff' ? lyingTiff(file) : file;
  const head = MagickImageCollection.use((frames) => {
    frames.ping(bytes, new MagickReadSettings({ format: MagickFormat[format], frameIndex: 0, frameCount: 2 }));
    const [first] = frames;
    if (!first) throw new Error('there is no frame in it');
    check(first);
    return { several: frames.length > 1, refused: refusedHead(bytes, format, first) };
  });
  if (head.refused !== undefined) return { refused: head.refused };
  return ImageMagick.read(bytes, MagickFormat[format], (image) => {
    // Divided by it again, colours are a level off Pillow's at times. The head does not tell.
    if (image.getAttribute('tiff:alpha') === 'associated')
      return { refused: 'is a TIFF whose colours are multiplied by its transparency' };
    const { width, height } = image;
    const rgb = image.getPixels((pixels) => pixels.toByteArray(0, 0, width, height, 'RGB'));
    if (rgb?.length !== 3 * width * height) throw new Error('the decoder gives no RGB');
    return { width, height, rgb, several: head.several };
  });
}

function refusedHead(bytes: Uint8Array, format: OtherFormat, image: IMagickImage): string | undefined {
  const { width, height, page, depth } = image;
  if (format === 'Tiff') return refusedTiff(image.getAttribute('tiff:photometric'), depth);
  // After a header of 40 bytes or more: five or six bits of each colour become eight in another way than Pillow's.
  if (format === 'Bmp' && bytes[14] !== 12 && bytes[28] === 16) return 'is a BMP of 16 bits per pixel';
  if (page.width !== width || page.height !== height) return 'has a first frame that does not fill it';
  return undefined;
}

function refusedTiff(colours: string | null, depth: number): string | undefined {
  if (depth > 8) return `is a TIFF of ${depth} bits per sample`;
  if (['RGB', 'YCBCR', 'min-is-black', 'min-is-white'].includes(colours ?? '')) return undefined;
  return `is a TIFF whose colours are ${colours === 'palette' ? 'a palette' : (colours ?? 'of a kind that it does not name')}`;
}

/**
 * RGB of a JPEG in CMYK as it lies, which is Pillow's to the bit (Adobe's YCCK, subsampled, progressive), as its
 * `convert('RGB')` makes it: its colour profile is not looked at.
 *
 * @throws whatever the decoder throws at a broken file
 */
export async function readCmyk(bytes: Uint8Array): Promise<Picture> {
  ready ??= load();
  const { ImageMagick, MagickFormat } = await ready;
  return ImageMagick.read(bytes, MagickFormat.Jpeg, (image) => {
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
