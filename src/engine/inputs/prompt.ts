/** From what the user gave (text, ids or tensors) to the tokens that are run. */
import type { Input } from '../../anatomy/anatomy.js';
import { pixelInput } from '../../anatomy/pictures.js';
import { SinkscopeError } from '../../errors.js';
import { modelFolder } from '../../models/folder.js';
import { DataType } from '../../onnx/model.js';
import { float32ToFloat16 } from '../../statistics/half.js';
import { openNpz } from '../../statistics/npz.js';
import { openSafetensors, type SafetensorsTensor, type SafetensorsType } from '../../statistics/safetensors.js';
import type { Extent, Preprocessing } from '../../tokens/preprocessing.js';
import type { Token } from '../../tokens/token.js';
import { checkFit, checkIds, type Tokenizer } from '../../tokens/tokenizer.js';
import type { RunRequest, TokensEvent } from '../contract/events.js';
import type { Values } from '../tensors/value.js';
import { filled, type TypedArray, type Value } from '../tensors/value.js';

export interface Prompt {
  /** Tensors by input name. */
  readonly given: Values;
  /** Undefined where the model is fed something else than tokens. */
  readonly tokens: readonly Token[] | undefined;
  readonly total: number;
  readonly window: TokensEvent['window'];
  readonly source: TokensEvent['source'];
  readonly bos: boolean | undefined;
  /** Tokens of a model that is not fed any, once their number is known. */
  readonly named?: (count: number) => readonly Token[];
  readonly picture?: TokensEvent['picture'];
}

/** What a prompt has to fit. */
export interface Limits {
  /** Path of the model. */
  readonly file: string;
  readonly inputs: readonly Input[];
  /** Pixels of a patch, in a model that cuts pictures into them. */
  readonly patch?: Extent | undefined;
  readonly vocabulary: number | undefined;
  /** Most tokens that can be run, and why no more, in words. */
  readonly context: number;
  readonly because: string;
}

/**
 * The tokens (or tensors) to run.
 *
 * @throws SinkscopeError `tokenizer`, `input`, `file`, or `too-long` where there are more tokens than the model takes
 * and no window was chosen.
 */
export async function readPrompt(
  request: RunRequest,
  limits: Limits,
  tokenizer: () => Tokenizer | undefined,
): Promise<Prompt> {
  const { prompt } = request;
  if ('text' in prompt) return fromText(prompt.text, request, limits, tokenizer());
  if ('image' in prompt) return fromImage(prompt.image, limits);
  if ('ids' in prompt) return fromIds(prompt.ids, request, limits, tokenizer());
  return fromFeeds(prompt, limits, tokenizer);
}

async function fromText(
  text: string,
  request: RunRequest,
  limits: Limits,
  tokenizer: Tokenizer | undefined,
): Promise<Prompt> {
  if (!tokenizer) {
    throw new SinkscopeError({
      code: 'tokenizer',
      file: limits.file,
      message: `${limits.file} has no tokenizer.json beside it: put the model's own there, or give token ids.`,
    });
  }
  if (limits.vocabulary !== undefined) checkFit(tokenizer, limits.vocabulary);
  const { tokens, bos, prefix, suffix } = await tokenizer.encode(text, { bos: request.bos });
  if (tokens.length === 0) {
    throw new SinkscopeError({ code: 'input', message: 'There is no text to analyze; select some or write some.' });
  }
  checkIds(
    tokens.map((token) => token.id),
    limits.vocabulary,
  );
  return { given: new Map(), source: 'text', bos, ...windowed(tokens, prefix, suffix, request, limits) };
}

function fromIds(
  ids: readonly number[],
  request: RunRequest,
  limits: Limits,
  tokenizer: Tokenizer | undefined,
): Prompt {
  if (ids.length === 0)
    throw new SinkscopeError({ code: 'input', message: 'No token ids were given; give at least one.' });
  checkIds(ids, limits.vocabulary);
  return {
    given: new Map(),
    source: 'ids',
    bos: undefined,
    ...windowed(tokensOf(ids, tokenizer), 0, 0, request, limits),
  };
}

/** The part of `tokens` that is run; what stands before and after the text is kept. */
function windowed(
  tokens: readonly Token[],
  prefix: number,
  suffix: number,
  request: RunRequest,
  limits: Limits,
): Pick<Prompt, 'tokens' | 'total' | 'window'> {
  const own = tokens.slice(prefix, tokens.length - suffix);
  const total = tokens.length;
  if (total <= limits.context) return { tokens, total, window: { start: 0, end: own.length } };

  const room = limits.context - prefix - suffix;
  if (request.window === undefined || room < 1) {
    throw new SinkscopeError({
      code: 'too-long',
      message: `The text has ${total} tokens, but ${limits.because}: choose a part of at most ${limits.context} tokens.`,
      limit: { tokens: total, context: limits.context },
    });
  }
  const latest = own.length - room;
  const asked = request.window === 'first' ? 0 : request.window === 'last' ? latest : request.window.start;
  const start = Math.max(0, Math.min(asked, own.length - 1));
  const end = Math.min(start + room, own.length);
  return {
    tokens: [...tokens.slice(0, prefix), ...own.slice(start, end), ...tokens.slice(total - suffix)],
    total,
    window: { start, end },
  };
}

async function fromFeeds(
  { feeds: file, tokenName = 'token' }: Extract<RunRequest['prompt'], { feeds: string }>,
  limits: Limits,
  tokenizer: () => Tokenizer | undefined,
): Promise<Prompt> {
  const tensors = await (file.toLowerCase().endsWith('.npz') ? openNpz : openSafetensors)(file);
  const given = new Map<string, Value>();
  for (const { name } of limits.inputs) {
    if (tensors.names.includes(name)) given.set(name, toValue(await tensors.tensor(name)));
  }
  if (given.size === 0) {
    const names = limits.inputs.map((input) => input.name).join(', ');
    throw new SinkscopeError({
      code: 'input',
      file,
      message: `${file} has a tensor for none of the model's inputs; give at least what it is about (inputs: ${names}).`,
    });
  }
  const idsInput = limits.inputs.find((input) => input.role === 'token-ids');
  const value = idsInput && given.get(idsInput.name);
  if (!value) {
    const named = (count: number) =>
      Array.from({ length: count }, (_, id) => ({ id, text: `${tokenName} ${id}`, start: 0, end: 0, special: false }));
    const nothing = { tokens: undefined, total: 0, window: { start: 0, end: 0 } };
    return { given, source: 'features', bos: undefined, named, ...nothing };
  }

  const ids = Array.from(value.data as ArrayLike<number | bigint>, Number);
  checkIds(ids, limits.vocabulary);
  if (ids.length > limits.context) {
    throw new SinkscopeError({
      code: 'too-long',
      file,
      message: `${file} has ${ids.length} tokens, but ${limits.because}: give at most ${limits.context}.`,
      limit: { tokens: ids.length, context: limits.context },
    });
  }
  const tokens = tokensOf(ids, tokenizer());
  return { given, source: 'feeds', bos: undefined, tokens, total: ids.length, window: { start: 0, end: ids.length } };
}

/** A picture, made into the pixels that the model's own configuration asks for, else what the graph's shape does. */
async function fromImage(file: string, { file: model, inputs, patch }: Limits): Promise<Prompt> {
  const input = pixelInput(inputs);
  if (!input) {
    throw new SinkscopeError({
      code: 'input',
      file: model,
      message: `${model} takes no picture: none of its inputs is [batch, 3, height, width]. Choose a vision model.`,
    });
  }
  // The decoders are loaded when there is a picture: they would hold up the first layer of every text.
  const [{ imageToPixels, patchRectangles }, { patchTokens }, { readPreprocessing }] = await Promise.all([
    import('../../tokens/image.js'),
    import('../../tokens/patches.js'),
    import('../../tokens/preprocessing.js'),
  ]);
  const config = modelFolder(model).preprocessorConfig;
  const [, , height, width] = input.shape ?? [];
  const fixed = typeof height === 'number' && typeof width === 'number' ? { height, width } : undefined;
  if (!config && !fixed) {
    throw new SinkscopeError({
      code: 'input',
      file: model,
      message: `${model} has no preprocessor_config.json beside it and takes pictures of any size; put its own there.`,
    });
  }
  const pixels = await imageToPixels(file, config ? readPreprocessing(config) : plainPreprocessing(fixed));
  const [, , ...made] = pixels.shape;
  if (fixed && (made[0] !== fixed.height || made[1] !== fixed.width)) {
    throw new SinkscopeError({
      code: 'input',
      file: config,
      message: `${config ?? file} makes pictures of ${made[1]} × ${made[0]} pixels, but the model takes ${fixed.width} × ${fixed.height}.`,
    });
  }
  const value: Value =
    input.type === DataType.float16
      ? { type: input.type, dims: pixels.shape, data: float32ToFloat16(pixels.pixels) }
      : { type: DataType.float, dims: pixels.shape, data: pixels.pixels };
  const given = new Map([[input.name, value]]);
  const orders = inputs.filter(({ role }) => role === 'order');
  for (const order of orders) {
    const count = patch ? patchRectangles(pixels, patch).length : order.shape?.at(-1);
    if (typeof count === 'number')
      given.set(
        order.name,
        filled(order.type, [1, count], (i) => i),
      );
  }
  return {
    given,
    source: 'image',
    bos: undefined,
    tokens: undefined,
    total: 0,
    window: { start: 0, end: 0 },
    named: (tokens) => patchTokens(tokens, pixels, patch, orders.length > 0),
    picture: { file, ...pixels.picture },
  };
}

/** ViT's own: bicubic, values from -1 to 1. */
function plainPreprocessing(size: Extent | undefined): Preprocessing {
  return {
    resize: size && { size, resample: 3 },
    centerCrop: undefined,
    rescale: 1 / 255,
    normalize: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  };
}

/** Tokens that stand nowhere in a text. */
export function tokensOf(ids: readonly number[], tokenizer: Tokenizer | undefined): Token[] {
  return ids.map((id) => ({
    id,
    text: tokenizer?.decode(id) ?? `token ${id}`,
    start: 0,
    end: 0,
    special: false,
  }));
}

type View = new (buffer: ArrayBuffer) => TypedArray;

const types: Readonly<Record<SafetensorsType, readonly [DataType, View]>> = {
  F64: [DataType.double, Float64Array],
  F32: [DataType.float, Float32Array],
  F16: [DataType.float16, Uint16Array],
  BF16: [DataType.bfloat16, Uint16Array],
  I64: [DataType.int64, BigInt64Array],
  I32: [DataType.int32, Int32Array],
  I16: [DataType.int16, Int16Array],
  I8: [DataType.int8, Int8Array],
  U64: [DataType.uint64, BigUint64Array],
  U32: [DataType.uint32, Uint32Array],
  U16: [DataType.uint16, Uint16Array],
  U8: [DataType.uint8, Uint8Array],
  BOOL: [DataType.bool, Uint8Array],
};

function toValue(tensor: SafetensorsTensor): Value {
  const [type, array] = types[tensor.dtype];
  return { type, dims: tensor.shape, data: new array(tensor.bytes.buffer) };
}
