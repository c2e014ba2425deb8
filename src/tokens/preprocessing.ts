/** What a vision model's own files say about its pictures. */
import { basename } from 'node:path';
import * as v from 'valibot';
import { SinkscopeError } from '../errors.js';
import type { ModelFolder } from '../models/folder.js';
import { jsonObject, readJson } from '../models/json.js';
import { quoted } from '../visible.js';
import processors from './processors.json';
import type { Channels, Extent, Preprocessing, Size } from './steps.js';
import { timmPreprocessing } from './timm.js';

const length = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(4096));
const extent = v.object({ height: length, width: length });
const side = v.union([
  length,
  extent,
  v.pipe(
    v.tuple([length, length]),
    v.transform(([height, width]): Extent => ({ height, width })),
  ),
]);
const edges = v.union([
  v.object({ shortest_edge: length, longest_edge: v.nullish(length) }),
  v.strictObject({ longest_edge: length }),
]);
const flag = v.nullish(v.boolean());
const channels = v.pipe(
  v.union([v.number(), v.tuple([v.number(), v.number(), v.number()])]),
  v.transform((value): Channels => (typeof value === 'number' ? [value, value, value] : value)),
);
const honoured = {
  do_resize: flag,
  size: v.nullish(v.union([side, edges])),
  max_size: v.nullish(length),
  default_to_square: flag,
  resample: v.optional(v.picklist([0, 1, 2, 3, 4, 5]), 2),
  do_center_crop: flag,
  crop_size: v.nullish(side),
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
  pad_size: v.nullish(side),
  size_divisor: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(4096))),
};
const schema = v.object(honoured);
type Config = v.InferOutput<typeof schema>;

/** Keys that change no pixel of a picture that is alone, or only together with one that is looked at. */
const idle = new Set(
  `image_processor_type feature_extractor_type processor_class auto_map do_convert_rgb input_data_format data_format device
  return_tensors model_input_names disable_grouping do_reduce_labels reduce_labels image_seq_length num_labels
  ignore_index num_text class_info_file repo_path do_convert_annotations format apply_ocr ocr_lang tesseract_config
  padding_value constant_values pad_mode num_channels _valid_processor_keys transformers_version mask_size
  mask_pad_size`.split(/\s+/),
);
/** Flava's second picture for its codebook, and the patches that it masks. */
const idleOfFlava = /^(codebook_|mask_group_|total_mask_patches$|input_size_patches$)/;
/** Those that pad pictures to the largest of a batch: one alone stays as it is. */
const padsBatches = /^(Detr|ConditionalDetr|DeformableDetr|GroundingDino|RTDetr|Yolos)$/;
/** What a file may ask for by any name, `constructor` too. */
function byName<T>(of: v.GenericSchema<T>) {
  return v.pipe(
    v.record(v.string(), of),
    v.transform((record) => new Map(Object.entries(record))),
  );
}
/**
 * What classes of transformers fill in where a file leaves keys out, for those whose steps are known; all others by name;
 * and the class of a type of model whose file names none. Written by `tools/references/processors.py`.
 */
const knowledge = v.parse(
  v.object({
    known: byName(jsonObject),
    others: v.array(v.string()),
    models: byName(v.string()),
  }),
  processors,
);

/** A preparation of pictures, and the file that asks for it. */
export interface FoundPreprocessing {
  readonly file: string;
  readonly preprocessing: Preprocessing;
  /** Why steps and what the file leaves out are taken to be ViT's, where nothing tells them. */
  readonly guess?: string | undefined;
}

/**
 * What the files beside a model say about its pictures: the image processor within `processor_config.json` (transformers
 * 5), else `preprocessor_config.json`, else timm's `pretrained_cfg` within `config.json`. Undefined where none does.
 *
 * @throws SinkscopeError `input` for a file that cannot be read or asks for something that is not known
 */
export function preprocessingOf(folder: ModelFolder): FoundPreprocessing | undefined {
  const { preprocessorConfig, processorConfig } = folder;
  const config = folder.config === undefined ? undefined : readJson(folder.config, 4 * maxBytes, 'input');
  const ofModel = typeof config?.model_type === 'string' ? knowledge.models.get(config.model_type) : undefined;
  const processor = processorConfig === undefined ? undefined : readJson(processorConfig, maxBytes, 'input');
  if (processorConfig !== undefined && v.is(jsonObject, processor?.image_processor)) {
    return transformersPreprocessing(processor.image_processor, processorConfig, ofModel);
  }
  if (preprocessorConfig !== undefined) return readPreprocessing(preprocessorConfig, ofModel);
  const pretrained = config?.pretrained_cfg;
  if (folder.config === undefined || !v.is(jsonObject, pretrained)) return undefined;
  return ofTimm(pretrained, folder.config);
}

const maxBytes = 2 ** 20;

/**
 * The steps that a `preprocessor_config.json` asks for, as transformers' image processors read it.
 *
 * @param ofModel the class of the model's type (`ViT`), for a file that names none
 * @throws SinkscopeError `input` for a file that cannot be read or asks for something that is not known
 */
export function readPreprocessing(file: string, ofModel?: string): FoundPreprocessing {
  return transformersPreprocessing(readJson(file, maxBytes, 'input'), file, ofModel);
}

function ofTimm(pretrained: Record<string, unknown>, file: string): FoundPreprocessing {
  return { file, preprocessing: timmPreprocessing(pretrained, (key, why) => unknown(file, key, why)) };
}

const named = v.object({ image_processor_type: v.nullish(v.string()), feature_extractor_type: v.nullish(v.string()) });

function transformersPreprocessing(
  json: Record<string, unknown>,
  file: string,
  ofModel: string | undefined,
): FoundPreprocessing {
  const { image_processor_type, feature_extractor_type } = v.is(named, json) ? json : {};
  const said = image_processor_type ?? feature_extractor_type ?? undefined;
  const type = said?.replace(/(ImageProcessor(Fast|Pil)?|FeatureExtractor)$/, '') ?? ofModel;
  if (type === 'TimmWrapper' && v.is(jsonObject, json.pretrained_cfg)) return ofTimm(json.pretrained_cfg, file);
  if (type !== undefined && knowledge.others.includes(type))
    throw unknown(file, 'image_processor_type', `${quoted(said ?? type)} prepares pictures in its own way`);
  const defaults = type === undefined ? undefined : knowledge.known.get(type);
  const given = Object.fromEntries(Object.entries(json).filter(([, value]) => value !== null));

  // Of a class that is not known a bare number is the shorter edge where a crop follows, as for most that cut.
  const plain = { ...knowledge.known.get('ViT'), default_to_square: given.do_center_crop !== true };
  const parsed = v.safeParse(schema, { ...(defaults ?? plain), ...given });
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const why = issue.type === 'union' ? 'its form is not known' : issue.message;
    throw unknown(file, v.getDotPath(issue) ?? 'the file', why);
  }
  for (const [key, value] of Object.entries(given)) {
    if (key in honoured || idle.has(key) || value === false || (type === 'Flava' && idleOfFlava.test(key))) continue;
    throw unknown(file, key, 'it may change pixels');
  }
  const config = parsed.output;
  if (config.crop_pct && type !== 'ConvNext') throw unknown(file, 'crop_pct', 'only ConvNeXT’s is known');
  if (config.size_divisor && !/^Mask2?Former$/.test(type ?? '')) {
    throw unknown(file, 'size_divisor', 'only MaskFormer’s is known');
  }
  if (config.do_pad && type !== 'Sam' && (!padsBatches.test(type ?? '') || config.pad_size))
    throw unknown(file, 'do_pad', 'pictures are not padded');
  if (config.do_flip_channel_order && json.do_normalize) {
    throw unknown(file, 'do_flip_channel_order', 'with do_normalize it is not known which comes first');
  }
  const preprocessing = stepsOf(config, type);
  const { size } = preprocessing.resize ?? {};
  if (size && 'longest' in size && type !== 'Sam') throw unknown(file, 'size', 'only SAM’s longest_edge is known');
  const guess = said === undefined ? 'no image processor is named' : `the image processor ${quoted(said)} is not known`;
  return { file, preprocessing, ...(!defaults && { guess }) };
}

function unknown(file: string, key: string, why: string): SinkscopeError {
  return new SinkscopeError({
    code: 'input',
    file,
    message: `${file} asks for a preparation of pictures that Sinkscope does not know (${key}: ${why}); give the pixels with --feeds.`,
  });
}

function stepsOf(config: Config, type: string | undefined): Preprocessing {
  const { resample } = config;
  const size = config.do_resize === false ? undefined : sizeOf(config, type);
  const crop = config.do_center_crop && config.crop_size ? square(config.crop_size) : undefined;
  const bgr = config.do_flip_channel_order === true;
  const common = {
    rescale: config.do_rescale === false ? undefined : config.rescale_factor,
    normalize:
      config.do_normalize === false || bgr
        ? undefined
        : { mean: config.image_mean ?? half, std: config.image_std ?? half },
    bgr,
    ...(config.do_pad && config.pad_size && { pad: square(config.pad_size) }),
  };
  // ConvNeXT's own: a square at once, or where that is small the middle of a larger one.
  if (type === 'ConvNext' && size && 'shortestEdge' in size) {
    const { shortestEdge: edge } = size;
    const larger = Math.trunc(edge / (config.crop_pct ?? 224 / 256));
    return edge >= 384
      ? { resize: { size: square(edge), resample }, centerCrop: undefined, ...common }
      : { resize: { size: shorter(larger), resample }, centerCrop: square(edge), ...common };
  }
  return { resize: size && { size, resample }, centerCrop: crop, ...common };
}

const half: Channels = [0.5, 0.5, 0.5];
const shorter = (shortestEdge: number, longestEdge?: number) => ({ shortestEdge, longestEdge });

function sizeOf(config: Config, type: string | undefined): Size | undefined {
  const { max_size, keep_aspect_ratio: keepsRatio } = config;
  const isShorter = typeof config.size === 'number' && config.default_to_square === false;
  const size = isShorter ? { shortest_edge: Number(config.size), longest_edge: max_size } : config.size;
  if (!size) return undefined;
  const divisor = config.size_divisor || 1;
  if (typeof size === 'number' || 'height' in size) {
    const nearest = square(size);
    const multiple = config.ensure_multiple_of ?? 1;
    if (keepsRatio || multiple > 1) return { nearest, keepsRatio: keepsRatio === true, multiple };
    const up = (length: number) => Math.ceil(length / divisor) * divisor;
    return { height: up(nearest.height), width: up(nearest.width) };
  }
  if (!('shortest_edge' in size)) return { longest: size.longest_edge };
  if (type === 'Levit') return shorter(Math.trunc((256 / 224) * size.shortest_edge));
  const edges = shorter(size.shortest_edge, size.longest_edge ?? undefined);
  if (type === 'Yolos') return { ...edges, multiple: { of: 16, towards: 'smaller' } };
  return divisor > 1 ? { ...edges, multiple: { of: divisor, towards: 'larger' } } : edges;
}

function square(size: number | Extent): Extent {
  return typeof size === 'number' ? { height: size, width: size } : size;
}

/** Where the preparation comes from, for the record of how inputs were fed. */
export function preprocessingSource(found: FoundPreprocessing | undefined): string {
  if (!found)
    return 'made from the picture as ViT does, for no configuration of an image processor is beside the model';
  const guess =
    found.guess === undefined
      ? ''
      : `, in the order of ViT and with its values where none is given, for ${found.guess}`;
  return `made from the picture as ${basename(found.file)} says${guess}`;
}
