/** The steps by which a picture becomes what a vision model is fed. */

/** What a vision model's pictures go through before it sees them, in this order; a step that is undefined is left out. */
export interface Preprocessing {
  readonly resize: { readonly size: Size; readonly resample: number } | undefined;
  readonly centerCrop: Crop | undefined;
  /** Factor for the bytes 0 … 255. */
  readonly rescale: number | undefined;
  readonly normalize: { readonly mean: Channels; readonly std: Channels } | undefined;
  /** Whether the model is given blue first. */
  readonly bgr: boolean;
  /** What is filled up with zeros to the right and below, behind all else. */
  readonly pad?: Extent | undefined;
}

export interface Extent {
  readonly height: number;
  readonly width: number;
}

const maxPixels = 50e6;
/** As of JPEG: rows and columns have a cost of their own. */
const maxSide = 65_535;

/** Why a picture of this size is not taken, in words that go on from the file's name. */
export function tooLarge({ width, height }: Extent): string | undefined {
  if (Math.max(width, height) > maxSide)
    return `is ${width} × ${height} pixels, and at most ${maxSide} are taken in a row or column; cut it.`;
  if (!(width * height <= maxPixels))
    return `has ${width} × ${height} pixels, more than the 50 million that are taken; make it smaller.`;
  return undefined;
}

/** A crop whose odd pixel is left over at the end, or goes where rounding to even puts it (torchvision). */
export interface Crop extends Extent {
  readonly rounds?: boolean;
}
/**
 * Which edge of a picture decides: both, the shorter or the longer with the other in proportion, or the one that changes
 * least.
 */
export type Size =
  | Extent
  | {
      readonly shortestEdge: number;
      readonly longestEdge: number | undefined;
      /** Both edges are then brought to a multiple. */
      readonly multiple?: Multiple | undefined;
    }
  | { readonly longest: number }
  | { readonly nearest: Extent; readonly keepsRatio: boolean; readonly multiple: number };
export interface Multiple {
  readonly of: number;
  readonly towards: 'larger' | 'smaller';
}
export type Channels = readonly [red: number, green: number, blue: number];

const half = [0.5, 0.5, 0.5] as const;

/** ViT's own, for a model that nothing is said of: bicubic, values from -1 to 1. */
export function plainPreprocessing(size: Extent): Preprocessing {
  return {
    resize: { size, resample: 3 },
    centerCrop: undefined,
    rescale: 1 / 255,
    normalize: { mean: half, std: half },
    bgr: false,
  };
}

const filterNames = ['nearest', 'Lanczos', 'bilinear', 'bicubic', 'box', 'Hamming'];

/** The steps in words, in their order. */
export function preprocessingInWords({ resize, centerCrop, rescale, normalize, bgr, pad }: Preprocessing): string[] {
  const by = ({ height, width }: Extent) => `${width} × ${height}`;
  const steps: string[] = [];
  if (resize) {
    const { size } = resize;
    const filter = filterNames[resize.resample] ?? '';
    if ('height' in size) steps.push(`resized to ${by(size)} (${filter})`);
    else if ('nearest' in size) {
      const ratio = size.keepsRatio ? ', in proportion' : '';
      steps.push(`resized to about ${by(size.nearest)}${ratio}, in multiples of ${size.multiple} (${filter})`);
    } else if ('longest' in size) steps.push(`longer edge resized to ${size.longest} (${filter})`);
    else {
      const most = size.longestEdge === undefined ? '' : `, the longer at most ${size.longestEdge}`;
      const multiple = size.multiple
        ? `, both to the next ${size.multiple.towards} multiple of ${size.multiple.of}`
        : '';
      steps.push(`shorter edge resized to ${size.shortestEdge}${most}${multiple} (${filter})`);
    }
  }
  if (centerCrop) steps.push(`middle ${by(centerCrop)} cut out`);
  if (rescale !== undefined) steps.push(`bytes × ${Number(rescale.toPrecision(6))}`);
  if (normalize) steps.push(`minus ${normalize.mean.join(', ')}, divided by ${normalize.std.join(', ')}`);
  if (bgr) steps.push('blue first');
  if (pad) steps.push(`zeros to the right and below, up to ${by(pad)}`);
  return steps;
}
