/** What a vision model's own files say about its pictures. */
import * as v from 'valibot';
import { SinkscopeError } from '../errors.js';
import { readJson } from '../models/json.js';

/** What a vision model's pictures go through before it sees them, in this order; a step that is undefined is left out. */
export interface Preprocessing {
  readonly resize: { readonly size: Size; readonly resample: number } | undefined;
  readonly centerCrop: Extent | undefined;
  /** Factor for the bytes 0 … 255. */
  readonly rescale: number | undefined;
  readonly normalize: { readonly mean: Channels; readonly std: Channels } | undefined;
}

export interface Extent {
  readonly height: number;
  readonly width: number;
}
/** A fixed size, or the shorter edge with the other in proportion, and at most `longestEdge`. */
export type Size = Extent | { readonly shortestEdge: number; readonly longestEdge: number | undefined };
export type Channels = readonly [red: number, green: number, blue: number];

const length = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(4096));
const extent = v.object({ height: length, width: length });
const flag = v.nullish(v.boolean());
const channels = v.pipe(
  v.union([v.number(), v.tuple([v.number(), v.number(), v.number()])]),
  v.transform((value): Channels => (typeof value === 'number' ? [value, value, value] : value)),
);
const schema = v.object({
  do_resize: flag,
  size: v.nullish(v.union([length, extent, v.object({ shortest_edge: length, longest_edge: v.nullish(length) })])),
  resample: v.optional(v.picklist([0, 1, 2, 3, 4, 5]), 2),
  do_center_crop: flag,
  crop_size: v.nullish(v.union([length, extent])),
  do_rescale: flag,
  rescale_factor: v.optional(v.number(), 1 / 255),
  do_normalize: flag,
  image_mean: v.nullish(channels),
  image_std: v.nullish(
    v.pipe(
      channels,
      v.check((std) => std.every((value) => value > 0), 'must be above zero'),
    ),
  ),
});

/**
 * The steps that a `preprocessor_config.json` asks for, as transformers' image processors read it.
 *
 * @throws SinkscopeError `input` for a file that cannot be read or asks for something else
 */
export function readPreprocessing(file: string): Preprocessing {
  const parsed = v.safeParse(schema, readJson(file, 2 ** 20, 'input'));
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new SinkscopeError({
      code: 'input',
      file,
      message: `${file} asks for a preparation of pictures that Sinkscope does not know (${v.getDotPath(issue) ?? 'the file'}: ${issue.message}); give the pixels with --feeds.`,
    });
  }
  const config = parsed.output;
  const crops = config.do_center_crop === true;
  const { size, crop_size } = config;
  return {
    resize: size && config.do_resize !== false ? { size: sizeOf(size, crops), resample: config.resample } : undefined,
    centerCrop: crops && crop_size ? square(crop_size) : undefined,
    rescale: config.do_rescale === false ? undefined : config.rescale_factor,
    normalize:
      config.do_normalize === false
        ? undefined
        : { mean: config.image_mean ?? [0.5, 0.5, 0.5], std: config.image_std ?? [0.5, 0.5, 0.5] },
  };
}

type Parsed = v.InferOutput<typeof schema>;

/** A bare number is the shorter edge where a crop follows (CLIP), else a square (ViT). */
function sizeOf(size: NonNullable<Parsed['size']>, crops: boolean): Size {
  if (typeof size === 'number') return crops ? { shortestEdge: size, longestEdge: undefined } : square(size);
  if ('height' in size) return size;
  return { shortestEdge: size.shortest_edge, longestEdge: size.longest_edge ?? undefined };
}

function square(size: number | Extent): Extent {
  return typeof size === 'number' ? { height: size, width: size } : size;
}
