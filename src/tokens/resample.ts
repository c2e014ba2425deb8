/**
 * Resizing as Pillow does it, bit for bit: models were trained on pictures that Pillow had resized, and other
 * libraries' filters of the same name give other pixels. Method and constants: Pillow's `Resample.c` up to version 12
 * (later ones do rows last where a picture gets much flatter, which rounds differently by a level or two).
 */

/** An RGB picture, one byte per channel, row-major. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

interface Filter {
  /** The filter is zero beyond this distance. */
  readonly support: number;
  readonly weight: (distance: number) => number;
}

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
const bicubicSharpness = -0.5;

/** `PIL.Image.Resampling` by its number, as `preprocessor_config.json` has it; 0 is "nearest". */
const filters: Readonly<Record<number, Filter>> = {
  1: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
  2: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  3: { support: 2, weight: bicubic },
  4: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  5: { support: 1, weight: (x) => (Math.abs(x) < 1 ? sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x)) : 0) },
};

function bicubic(distance: number): number {
  const a = bicubicSharpness;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/** @param resample number of a `PIL.Image.Resampling`, 0 to 5 */
export function resize(picture: Picture, width: number, height: number, resample: number): Picture {
  // Each pass rounds to bytes and is left out where the length stays; columns first.
  const wide = picture.width === width ? picture : resizeRows(picture, width, resample);
  return wide.height === height ? wide : transpose(resizeRows(transpose(wide), height, resample));
}

function transpose({ width, height, rgb }: Picture): Picture {
  const turned = new Uint8Array(rgb.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 3 * (y * width + x);
      turned.set(rgb.subarray(from, from + 3), 3 * (x * height + y));
    }
  }
  return { width: height, height: width, rgb: turned };
}

const fixedPoint = 1 << 22;

function resizeRows({ width, height, rgb }: Picture, newWidth: number, resample: number): Picture {
  const out = new Uint8Array(newWidth * height * 3);
  const columns = Array.from({ length: newWidth }, (_, column) => contributions(column, width, newWidth, resample));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < newWidth; x++) {
      const { first, weights } = columns[x] ?? { first: 0, weights: [] };
      for (let channel = 0; channel < 3; channel++) {
        let sum = fixedPoint / 2;
        let at = 3 * (y * width + first) + channel;
        for (const weight of weights) {
          sum += weight * (rgb[at] ?? 0);
          at += 3;
        }
        out[3 * (y * newWidth + x) + channel] = Math.min(255, Math.max(0, Math.floor(sum / fixedPoint)));
      }
    }
  }
  return { width: newWidth, height, rgb: out };
}

/** Which pixels of a row of `length` make pixel `column` of the new one, with weights in 22-bit fixed point. */
function contributions(column: number, length: number, newLength: number, resample: number) {
  const scale = length / newLength;
  const center = (column + 0.5) * scale;
  const filter = filters[resample];
  if (!filter) return { first: Math.min(length - 1, Math.floor(center)), weights: [fixedPoint] };

  const stretch = Math.max(scale, 1);
  const support = filter.support * stretch;
  const first = Math.max(0, Math.trunc(center - support + 0.5));
  const end = Math.min(length, Math.trunc(center + support + 0.5));
  const weights = Array.from({ length: end - first }, (_, k) => filter.weight((k + first - center + 0.5) / stretch));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return {
    first,
    weights: weights.map((weight) => {
      const scaled = (weight / total) * fixedPoint;
      return Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    }),
  };
}
