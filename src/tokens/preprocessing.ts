/** What a vision model's own files say about its pictures. */
import { basename } from 'node:path';
import * as v from 'valibot';
import { SinkscopeError } from '../errors.js';
import type { ModelFolder } from '../models/folder.js';
import { jsonObject, readJson } from '../models/json.js';
import { quoted } from '../visible.js';
import type { Channels, Extent, Preprocessing, Size } from './steps.js';
import { timmPreprocessing } from './timm.js';

const length = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(4096));
const extent = v.object({ height: length, width: length });
const flag = v.nullish(v.boolean());
const channels = v.pipe(
  v.union([v.number(), v.tuple([v.number(), v.number(), v.number()])]),
  v.transform((value): Channels => (typeof value === 'number' ? [value, value, value] : value)),
);
const honoured = {
  do_resize: flag,
  size: v.nullish(v.union([length, extent, v.object({ shortest_edge: length, longest_edge: v.nullish(length) })])),
  resample: v.optional(v.picklist([0, 1, 2, 3, 4, 5]), 2),
  do_center_crop: flag,
  crop_size: v.nullish(v.union([length, extent])),
  crop_pct: v.nullish(v.pipe(v.number(), v.gtValue(0), v.maxValue(1))),
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
  keep_aspect_ratio: flag,
  ensure_multiple_of: v.nullish(length),
  do_flip_channel_order: flag,
  do_pad: flag,
  image_processor_type: v.nullish(v.string()),
  feature_extractor_type: v.nullish(v.string()),
};
const schema = v.object(honoured);
type Config = v.InferOutput<typeof schema>;

/** Keys that change no pixel of a picture that is alone, or only together with one that is looked at. */
const idle = new Set(
  `processor_class auto_map do_convert_rgb input_data_format data_format device return_tensors
  default_to_square model_input_names disable_grouping do_reduce_labels reduce_labels image_seq_length num_labels
  ignore_index num_text class_info_file repo_path do_convert_annotations format apply_ocr ocr_lang tesseract_config
  pad_size size_divisor padding_value constant_values pad_mode num_channels _valid_processor_keys transformers_version`.split(
    /\s+/,
  ),
);
/** Image processors that make something else of the keys that others share. */
const unlike =
  /^(Levit|PoolFormer|Perceiver|Vilt|BridgeTower|GLPN|TextNet|VitMatte|Idefics|Pixtral|LayoutLMv2|Kosmos|Fuyu|Mllama|Tvp|EfficientNet)/;
/** Those that pad pictures to the largest of a batch: one alone stays as it is. */
const padsBatches = /^(Detr|ConditionalDetr|DeformableDetr|GroundingDino|RTDetr|Yolos)/;

/** A preparation of pictures, and the file that asks for it. */
export interface FoundPreprocessing {
  readonly file: string;
  readonly preprocessing: Preprocessing;
}

/**
 * What the files beside a model say about its pictures: `preprocessor_config.json`, the image processor within
 * `processor_config.json` (transformers 5), or timm's `pretrained_cfg` within `config.json`. Undefined where none does.
 *
 * @throws SinkscopeError `input` for a file that cannot be read or asks for something that is not known
 */
export function preprocessingOf(folder: ModelFolder): FoundPreprocessing | undefined {
  const { preprocessorConfig, processorConfig, config } = folder;
  if (preprocessorConfig !== undefined) {
    return { file: preprocessorConfig, preprocessing: readPreprocessing(preprocessorConfig) };
  }
  const processor = processorConfig === undefined ? undefined : readJson(processorConfig, maxBytes, 'input');
  if (processorConfig !== undefined && v.is(jsonObject, processor?.image_processor)) {
    return {
      file: processorConfig,
      preprocessing: transformersPreprocessing(processor.image_processor, processorConfig),
    };
  }
  const pretrained = config === undefined ? undefined : readJson(config, 4 * maxBytes, 'input').pretrained_cfg;
  if (config === undefined || !v.is(jsonObject, pretrained)) return undefined;
  return { file: config, preprocessing: timmPreprocessing(pretrained, (key, why) => unknown(config, key, why)) };
}

const maxBytes = 2 ** 20;

/**
 * The steps that a `preprocessor_config.json` asks for, as transformers' image processors read it.
 *
 * @throws SinkscopeError `input` for a file that cannot be read or asks for something that is not known
 */
export function readPreprocessing(file: string): Preprocessing {
  return transformersPreprocessing(readJson(file, maxBytes, 'input'), file);
}

function transformersPreprocessing(json: Record<string, unknown>, file: string): Preprocessing {
  const parsed = v.safeParse(schema, json);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw unknown(file, v.getDotPath(issue) ?? 'the file', issue.message);
  }
  for (const [key, value] of Object.entries(json)) {
    if (key in honoured || idle.has(key) || value === null || value === false) continue;
    throw unknown(file, key, 'it may change pixels');
  }
  const config = parsed.output;
  const type = config.image_processor_type ?? config.feature_extractor_type ?? '';
  if (unlike.test(type))
    throw unknown(file, 'image_processor_type', `${quoted(type)} prepares pictures in its own way`);
  if (config.do_pad && (!padsBatches.test(type) || json.pad_size))
    throw unknown(file, 'do_pad', 'pictures are not padded');
  if (config.crop_pct && !/^ConvNext/i.test(type)) throw unknown(file, 'crop_pct', 'only ConvNeXT’s is known');
  if (config.do_flip_channel_order && config.do_normalize) {
    throw unknown(file, 'do_flip_channel_order', 'with do_normalize it is not known which comes first');
  }
  return stepsOf(config, /^ConvNext/i.test(type));
}

function unknown(file: string, key: string, why: string): SinkscopeError {
  return new SinkscopeError({
    code: 'input',
    file,
    message: `${file} asks for a preparation of pictures that Sinkscope does not know (${key}: ${why}); give the pixels with --feeds.`,
  });
}

function stepsOf(config: Config, isConvNext: boolean): Preprocessing {
  const crops = config.do_center_crop === true;
  const { size, crop_size, resample } = config;
  const resized = size && config.do_resize !== false ? sizeOf(size, crops || isConvNext, config) : undefined;
  const convNext = isConvNext && resized && 'shortestEdge' in resized ? resized.shortestEdge : undefined;
  const bgr = config.do_flip_channel_order === true;
  const common = {
    rescale: config.do_rescale === false ? undefined : config.rescale_factor,
    normalize:
      config.do_normalize === false || bgr
        ? undefined
        : { mean: config.image_mean ?? half, std: config.image_std ?? half },
    bgr,
  };
  // ConvNeXT's own: a square at once, or where that is small the middle of a larger one.
  if (convNext !== undefined) {
    const edge = convNext >= 384 ? undefined : Math.trunc(convNext / (config.crop_pct ?? 224 / 256));
    const larger = edge === undefined ? square(convNext) : { shortestEdge: edge, longestEdge: undefined };
    return {
      resize: { size: larger, resample },
      centerCrop: edge === undefined ? undefined : square(convNext),
      ...common,
    };
  }
  return {
    resize: resized && { size: resized, resample },
    centerCrop: crops && crop_size ? square(crop_size) : undefined,
    ...common,
  };
}

const half: Channels = [0.5, 0.5, 0.5];

/** A bare number is the shorter edge where a crop follows (CLIP), else a square (ViT). */
function sizeOf(size: NonNullable<Config['size']>, crops: boolean, config: Config): Size {
  if (typeof size === 'number') return crops ? { shortestEdge: size, longestEdge: undefined } : square(size);
  if ('shortest_edge' in size) return { shortestEdge: size.shortest_edge, longestEdge: size.longest_edge ?? undefined };
  const { keep_aspect_ratio: keepsRatio, ensure_multiple_of: multiple } = config;
  return keepsRatio || multiple ? { nearest: size, keepsRatio: keepsRatio === true, multiple: multiple ?? 1 } : size;
}

function square(size: number | Extent): Extent {
  return typeof size === 'number' ? { height: size, width: size } : size;
}

/** Where the preparation comes from, for the record of how inputs were fed. */
export function preprocessingSource(found: FoundPreprocessing | undefined): string {
  return found
    ? `made from the picture as ${basename(found.file)} says`
    : 'made from the picture as ViT does, for no configuration of an image processor is beside the model';
}
