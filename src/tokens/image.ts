/** A picture as what a vision model is fed. */
import { SinkscopeError } from '../errors.js';
import { halfToEven } from '../statistics/numbers.js';
import { readPicture } from './picture.js';
import { type Picture, resize } from './resample.js';
import type { Channels, Crop, Extent, Preprocessing, Size } from './steps.js';
import type { Rectangle } from './token.js';

const maxPixels = 50e6;

export interface Pixels {
  /** Row-major [1, 3, H, W]. */
  readonly pixels: Float32Array;
  readonly shape: readonly [batch: 1, channels: 3, height: number, width: number];
  /** Of the picture itself. */
  readonly picture: Extent;
  /** The part of the picture that the H × W pixels show, evenly. */
  readonly crop: Rectangle;
  /** How the file's colours were made RGB, where people may not expect it. */
  readonly remark?: string | undefined;
}

/**
 * What a vision model is fed for a picture: equal to transformers' image processors on Pillow.
 *
 * @throws SinkscopeError `input` for a file that is no readable picture, or too long and thin to be resized so
 */
export async function imageToPixels(file: string, preprocessing: Preprocessing): Promise<Pixels> {
  const picture = await readPicture(file);
  const { resize: step } = preprocessing;
  const extent = step ? resizedExtent(picture, step.size) : picture;
  if (!(extent.width * extent.height >= 1)) {
    const message = `${file} would become ${extent.width} × ${extent.height} pixels for this model; give a larger picture.`;
    throw new SinkscopeError({ code: 'input', file, message });
  }
  if (extent.width * extent.height > maxPixels) {
    const message = `${file} would become ${extent.width} × ${extent.height} pixels for this model; cut it to a less extreme shape.`;
    throw new SinkscopeError({ code: 'input', file, message });
  }
  const resized = step ? resize(picture, extent.width, extent.height, step.resample) : picture;

  const { centerCrop, pad } = preprocessing;
  const { height, width, rounds = false }: Crop = centerCrop ?? pad ?? extent;
  if (pad && !centerCrop && (pad.height < extent.height || pad.width < extent.width)) {
    const message = `${file} becomes ${extent.width} × ${extent.height} pixels, more than the ${pad.width} × ${pad.height} to which they are filled up; check size and pad_size of the image processor.`;
    throw new SinkscopeError({ code: 'input', file, message });
  }
  // As Python's floor division; negative where the crop is larger and zeros surround the picture.
  const before = (room: number) => (rounds ? halfToEven(room / 2) : Math.floor(room / 2));
  const [top, left] = centerCrop ? [before(extent.height - height), before(extent.width - width)] : [0, 0];
  const [scaleX, scaleY] = [picture.width / extent.width, picture.height / extent.height];
  return {
    pixels: channelsFirst(resized, { top, left, height, width }, preprocessing),
    shape: [1, 3, height, width],
    picture: { height: picture.height, width: picture.width },
    crop: { x: left * scaleX, y: top * scaleY, width: width * scaleX, height: height * scaleY },
    remark: picture.remark,
  };
}

/**
 * Where on the picture the patches of a vision transformer lie, row by row. Patch p is token `prefix + p` where
 * `prefix` tokens (CLS, registers) stand before them; what is left at the right and bottom belongs to no patch.
 *
 * @param patch pixels each patch is high and wide
 */
export function patchRectangles({ shape, crop }: Pick<Pixels, 'shape' | 'crop'>, patch: Extent): Rectangle[] {
  const [, , height, width] = shape;
  const [rows, columns] = [Math.floor(height / patch.height), Math.floor(width / patch.width)];
  const size = { width: (patch.width / width) * crop.width, height: (patch.height / height) * crop.height };
  return Array.from({ length: rows * columns }, (_, index) => ({
    x: crop.x + (index % columns) * size.width,
    y: crop.y + Math.floor(index / columns) * size.height,
    ...size,
  }));
}

/** The rules of transformers' `get_resize_output_image_size` (each of the two so called) and `get_size_with_aspect_ratio`. */
function resizedExtent(picture: Extent, size: Size): Extent {
  if ('height' in size) return size;
  if ('nearest' in size) return nearestExtent(picture, size);
  const [short, long] = [Math.min(picture.height, picture.width), Math.max(picture.height, picture.width)];
  if ('longest' in size) {
    const scaled = (length: number) => Math.trunc(length * (size.longest / long) + 0.5);
    return { height: scaled(picture.height), width: scaled(picture.width) };
  }
  let { shortestEdge: newShort } = size;
  let newLong = Math.trunc((newShort * long) / short);
  if (size.longestEdge !== undefined && (long / short) * newShort > size.longestEdge) {
    const exact = (size.longestEdge * short) / long;
    newShort = Math.max(1, halfToEven(exact));
    newLong = Math.trunc((exact * long) / short);
  }
  const { multiple } = size;
  if (multiple) {
    const round = multiple.towards === 'larger' ? Math.ceil : Math.floor;
    newShort = round(newShort / multiple.of) * multiple.of;
    newLong = round(newLong / multiple.of) * multiple.of;
  }
  return picture.width <= picture.height ? { width: newShort, height: newLong } : { width: newLong, height: newShort };
}

/** DPT's: in proportion by the edge that changes least, and then to multiples. */
function nearestExtent(picture: Extent, { nearest, keepsRatio, multiple }: Extract<Size, { nearest: Extent }>): Extent {
  const [byHeight, byWidth] = [nearest.height / picture.height, nearest.width / picture.width];
  const byBoth = Math.abs(1 - byWidth) < Math.abs(1 - byHeight) ? byWidth : byHeight;
  const to = (length: number, scale: number) =>
    Math.max(multiple, halfToEven((length * (keepsRatio ? byBoth : scale)) / multiple) * multiple);
  return { height: to(picture.height, byHeight), width: to(picture.width, byWidth) };
}

function channelsFirst(
  { width, height, rgb }: Picture,
  crop: Extent & { top: number; left: number },
  { rescale, normalize, bgr, pad }: Preprocessing,
): Float32Array {
  const plane = crop.height * crop.width;
  const pixels = new Float32Array(3 * plane);
  for (let channel = 0; channel < 3; channel++) {
    const values = valuesOfBytes(rescale, normalize, channel);
    for (let y = 0; y < crop.height; y++) {
      for (let x = 0; x < crop.width; x++) {
        const [row, column] = [y + crop.top, x + crop.left];
        const inside = row >= 0 && row < height && column >= 0 && column < width;
        if (pad && !inside) continue;
        const byte = inside ? (rgb[3 * (row * width + column) + (bgr ? 2 - channel : channel)] ?? 0) : 0;
        pixels[channel * plane + y * crop.width + x] = values[byte] ?? 0;
      }
    }
  }
  return pixels;
}

/** What each of the 256 bytes becomes in a channel, rounded to 32 bits after each step as NumPy does. */
function valuesOfBytes(
  rescale: number | undefined,
  normalize: { mean: Channels; std: Channels } | undefined,
  channel: number,
): Float32Array {
  const [mean, std] = [Math.fround(normalize?.mean[channel] ?? 0), Math.fround(normalize?.std[channel] ?? 1)];
  return Float32Array.from({ length: 256 }, (_, byte) => {
    const scaled = Math.fround(byte * (rescale ?? 1));
    return Math.fround(scaled - mean) / std;
  });
}
