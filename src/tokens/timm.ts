/** timm's own account of how a model's pictures are prepared, `pretrained_cfg`. */
import * as v from 'valibot';
import type { Channels, Preprocessing } from './steps.js';

const length = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(4096));
const three = v.tuple([v.number(), v.number(), v.number()]);
/** Names of Pillow's filters, by their numbers. */
const filters = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'] as const;
const schema = v.object({
  input_size: v.tuple([v.literal(3), length, length]),
  interpolation: v.optional(v.picklist(filters), 'bicubic'),
  crop_pct: v.optional(v.pipe(v.number(), v.gtValue(0), v.maxValue(1)), 0.875),
  crop_mode: v.optional(v.picklist(['center', 'squash']), 'center'),
  mean: v.optional(three, [0.485, 0.456, 0.406]),
  std: v.optional(
    v.pipe(
      three,
      v.check((std) => std.every((value) => value > 0), 'must be above zero'),
    ),
    [0.229, 0.224, 0.225],
  ),
});

/**
 * The steps of timm's transform for evaluation (`transforms_imagenet_eval`): the shorter edge to size ÷ `crop_pct`, or
 * both edges where it squashes, then torchvision's centre crop.
 *
 * @param refuse makes the error for a key that is not known so
 */
export function timmPreprocessing(
  pretrained: Record<string, unknown>,
  refuse: (key: string, why: string) => Error,
): Preprocessing {
  const parsed = v.safeParse(schema, pretrained);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw refuse(`pretrained_cfg.${v.getDotPath(issue) ?? ''}`, issue.message);
  }
  const { input_size, interpolation, crop_pct, crop_mode, mean, std } = parsed.output;
  const [, height, width] = input_size;
  const larger = { height: Math.floor(height / crop_pct), width: Math.floor(width / crop_pct) };
  if (crop_mode === 'center' && larger.height !== larger.width) {
    throw refuse('pretrained_cfg.input_size', 'only squares are known');
  }
  const size = crop_mode === 'squash' ? larger : { shortestEdge: larger.height, longestEdge: undefined };
  return {
    resize: { size, resample: filters.indexOf(interpolation) },
    centerCrop: { height, width, rounds: true },
    rescale: 1 / 255,
    normalize: { mean: mean satisfies Channels, std },
    bgr: false,
  };
}
