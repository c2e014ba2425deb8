/** What the graph's inputs are fed, by their role. */
import type { Anatomy, Input } from '../../anatomy/anatomy.js';
import { turnOf } from '../../anatomy/turned.js';
import { grouped, SinkscopeError } from '../../errors.js';
import { DataType } from '../../onnx/model.js';
import { quoted } from '../../visible.js';
import type { FedInput } from '../contract/inputs.js';
import type { Unfilled } from '../tensors/patterns.js';
import type { Values } from '../tensors/value.js';
import { filled, numbers, size, typeName, type Value } from '../tensors/value.js';

export interface Feeds {
  readonly values: ReadonlyMap<string, Value>;
  /** Positions the graph runs over: T, or the fixed length of a file that takes no other. Unknown for e.g. pixels. */
  readonly length: number | undefined;
  /** The token ids, without padding. */
  readonly ids: readonly number[] | undefined;
  /** The axis that counts tokens, of the ids and of what is looked up by them, where there are several examples. */
  readonly axis: number | undefined;
  /** Places of caches of a declared length, which are fed zeros and masked. */
  readonly unfilled: Unfilled;
}

/** Tokens that a run goes on from, by what is kept of them. */
export interface Before {
  readonly tokens: number;
  /** The caches, by the inputs that take them. */
  readonly values: Values;
}

/** The one length a file with static shapes takes. */
export function fixedLength(inputs: readonly Input[]): number | undefined {
  const ids = inputs.find((input) => input.role === 'token-ids');
  const extent = ids?.shape?.[tokenAxis(ids) ?? -1];
  return typeof extent === 'number' && extent > 1 ? extent : undefined;
}

/**
 * A tensor for every input that the graph uses: what the user gave, then the token ids, then what the role asks for.
 *
 * @param ids token ids to run; undefined where they are among `given` or the model takes none
 * @param before what they come after; undefined: nothing
 * @throws SinkscopeError `input` where an input cannot be filled or what was given does not fit, `too-long` where
 * the file's fixed length is exceeded.
 */
export function makeFeeds(inputs: readonly Input[], given: Values, ids?: readonly number[], before?: Before): Feeds {
  const idsInput = inputs.find((input) => input.role === 'token-ids');
  const tokens = ids ?? givenIds(inputs, given);
  const fixed = fixedLength(inputs);
  if (ids && !idsInput) {
    const open = inputs.find(({ role }) => role === 'unknown' || role === 'codes');
    if (open) throw asked(open);
    throw new SinkscopeError({
      code: 'input',
      message: 'This model takes no token ids; give its inputs as tensors in a safetensors file (--feeds).',
    });
  }
  if (tokens && fixed !== undefined && tokens.length > fixed) {
    throw new SinkscopeError({
      code: 'too-long',
      message: `The text has ${grouped(tokens.length)} tokens, but this file was exported for exactly ${grouped(fixed)}; choose a part of that length.`,
      limit: { tokens: tokens.length, context: fixed },
    });
  }
  const length = (tokens && (fixed ?? tokens.length)) ?? givenLength(inputs, given);
  const values = new Map<string, Value>();
  const run = { inputs, given, length, ids: tokens, past: before?.tokens ?? 0, symbols: symbolsOf(inputs, given) };
  for (const input of inputs) {
    const own = (isKept(input) ? before?.values.get(input.name) : undefined) ?? given.get(input.name);
    if (input.role === 'unused') {
      refuseSwitchedOn(input, given.get(input.name));
      continue;
    }
    const isShort = input === idsInput && tokens !== undefined && length !== tokens.length;
    values.set(input.name, own && !isShort ? fitted(input, own) : fill(input, run));
  }
  const several = idsInput && (values.get(idsInput.name)?.data.length ?? 0) > (length ?? 0);
  const axis = tokens && several ? tokenAxis(idsInput) : undefined;
  // What is given is shown as it is.
  const isFilled = ({ name, role, tokenAxis }: Input) => role === 'past' && tokenAxis === undefined && !given.has(name);
  const behind = inputs.some(isFilled);
  const unfilled = { before: Math.max(0, pastLength(inputs) - run.past), behind };
  // What is made of floats may have fewer rows than a mask over these (samples of a sound, steps of a series).
  const isOfIds = inputs.some(({ role }) => role === 'token-ids' || role === 'codes');
  return { values, length: isOfIds ? length : undefined, ids: tokens, axis, unfilled };
}

/**
 * The token ids among what was given; undefined where there are none, or several for each token.
 */
export function givenIds(inputs: readonly Input[], given: Values): readonly number[] | undefined {
  const input = inputs.find(({ role }) => role === 'token-ids');
  const value = input && given.get(input.name);
  if (!value) return undefined;
  const ids = numbers(value);
  return value.dims[tokenAxis(input) ?? -1] === ids.length ? ids : undefined;
}

/** How what was given came about. */
export type Fed = Pick<FedInput, 'how' | 'guessed'>;
const asGiven: Fed = { how: 'as it was given', guessed: false };

/**
 * How a run feeds each input, as it is kept with the result.
 *
 * @param fed how what was given came about
 * @param tokens how many token ids are run; undefined where they are among `given` or the model takes none
 */
export function fedInputs(inputs: readonly Input[], given: Values, fed: Fed = asGiven, tokens?: number): FedInput[] {
  const padding = tokens === undefined ? 0 : Math.max(0, (fixedLength(inputs) ?? 0) - tokens);
  const isMasked = inputs.some((input) => tellsPadding(input));
  return inputs.map((input): FedInput => {
    const { name, role, how, guessed } = input;
    if (given.has(name) && role !== 'unused') return { name, role, ...fed };
    if (padding > 0 && role === 'token-ids') {
      const why = isMasked ? 'masked' : 'no input masks them, so that tokens may see them';
      return { name, role, how: `${how}; then ${padding} × 0 as padding, ${why}`, guessed: guessed || !isMasked };
    }
    if (padding > 0 && role === 'attention-mask' && tellsPadding(input))
      return { name, role, how: `${how}; the ${padding} places of padding are masked`, guessed };
    return { name, role, how, guessed };
  });
}

const tellsPadding = ({ role, along }: Input) =>
  (role === 'attention-mask' || role === 'lengths') && along === undefined;

/** What a run is fed beside what was given. */
interface Run {
  readonly inputs: readonly Input[];
  readonly given: Values;
  readonly length: number | undefined;
  readonly ids: readonly number[] | undefined;
  /** Tokens before them, of which caches hold all or the last. */
  readonly past: number;
  /** Extents that were given, by the name that the file has for them. */
  readonly symbols: ReadonlyMap<string, number>;
}

/** A boolean that chose a branch when the graph was read is false, whatever is given. */
function refuseSwitchedOn({ name, type, how }: Input, value: Value | undefined): void {
  if (type !== DataType.bool || value?.data.length !== 1 || !Number(value.data[0])) return;
  throw new SinkscopeError({
    code: 'input',
    message: `Input ${quoted(name)} was given as true, and is ${how}. Leave it out, and caches with it, and give all tokens.`,
  });
}

/** What a run leaves to the next. */
const isKept = ({ role }: Input) => role === 'past' || role === 'state';

function symbolsOf(inputs: readonly Input[], given: Values): ReadonlyMap<string, number> {
  const symbols = new Map<string, number>();
  for (const { name, shape } of inputs)
    for (const [axis, extent] of (shape ?? []).entries()) {
      const found = given.get(name)?.dims[axis];
      if (typeof extent === 'string' && found !== undefined) symbols.set(extent, found);
    }
  return symbols;
}

/** What only the user can know. */
export const askedRoles: ReadonlySet<Input['role']> = new Set([
  'features',
  'order',
  'unknown',
  'choice',
  'pair-mask',
  'codes',
]);

function asked(input: Input): SinkscopeError {
  const why = input.role === 'features' || input.role === 'order' ? '' : `: ${input.how}`;
  return new SinkscopeError({
    code: 'input',
    message: `Input ${quoted(input.name)} (${describe(input)}) has to be given as a tensor in a safetensors file (--feeds)${why}.`,
  });
}

function fill(input: Input, run: Run): Value {
  const { role, type } = input;
  const { inputs, past, ids = [] } = run;
  const length = input.along === undefined ? run.length : lengthOf(inputs, input.along, run.given);
  if (askedRoles.has(role)) throw asked(input);
  if (isKept(input)) return filled(type, extents(input, 0, run), () => 0);
  if (role === 'flag') return filled(type, extents(input, 1, run), () => 0);
  if (role === 'past-length') return filled(type, extents(input, 1, run), () => past);
  if (length === undefined) {
    throw new SinkscopeError({
      code: 'input',
      message: `Input ${quoted(input.name)} (${describe(input)}) depends on the number of tokens, which nothing tells; give it with --feeds.`,
    });
  }
  const tokens = input.along === undefined ? (run.ids?.length ?? length) : length;
  if (role === 'kept-rows') return filled(type, extents(input, 1, run), () => length);
  if (role === 'last-key-index') return filled(type, extents(input, 1, run), () => past + length - 1);
  if (role === 'total-length') return filled(type, extents(input, 1, run), () => past + length);
  if (role === 'lengths') return filled(type, extents(input, 1, run), () => (input.keeps === 0 ? 0 : past + tokens));

  if (role === 'attention-mask') {
    const places = pastLength(inputs);
    const held = places > 0 ? Math.min(past, places) : past;
    const before = input.along === undefined ? places - Math.min(past, places) : 0;
    const dims = extents(input, length + before + held, run);
    const keeps = input.keeps ?? 1;
    const columns = dims.at(-1) ?? 1;
    // What a file of one length has behind the tokens is padding, and before them places of a cache that nothing fills.
    const isToken = (column: number) => column >= before && column < before + held + tokens;
    return filled(type, dims, (i) => (isToken(i % columns) ? keeps : 1 - keeps));
  }
  const dims = extents(input, length, run);
  const at = along(dims, tokenAxis(input));
  if (role === 'token-type-ids' || role === 'coordinates') return filled(type, dims, () => 0);
  // In a batch that is fixed, every example is the same.
  if (role === 'token-ids') return filled(type, dims, (i) => ids[at(i)] ?? 0);
  // Position ids may have further axes (one table for each of several kinds of position): all count alike.
  const first = input.along === undefined ? past : 0;
  return filled(type, dims, (i) => first + at(i));
}

/** The place along an axis of an element. */
function along(dims: readonly number[], axis = dims.length - 1): (element: number) => number {
  const step = size(dims.slice(axis + 1));
  return (element) => Math.floor(element / step) % (dims[axis] ?? 1);
}

/** Most elements of an input that is filled in here: what a file states of its inputs costs it nothing. */
const mostElements = 2 ** 28;

/**
 * Concrete extents: `tokens` along the token axis, what is known elsewhere, 1 for the batch and other open axes.
 *
 * @throws SinkscopeError `input` where that makes more elements than are filled in
 */
function extents(input: Input, tokens: number, { symbols }: Pick<Run, 'symbols'>): number[] {
  const axis = tokenAxis(input);
  const dims = (input.shape ?? [null, null]).map((extent, i) => {
    const known = input.extents[i] ?? (typeof extent === 'number' ? extent : undefined);
    const given = typeof extent === 'string' && !isKept(input) ? symbols.get(extent) : undefined;
    return known ?? given ?? (i === axis ? tokens : 1);
  });
  if (size(dims) <= mostElements) return dims;
  throw new SinkscopeError({
    code: 'input',
    message: `Input ${quoted(input.name)} (${describe(input)}) takes ${grouped(size(dims))} elements, and at most ${grouped(mostElements)} are filled in; export the model with axes that are open.`,
  });
}

function tokenAxis(input: Input): number | undefined {
  if (input.tokenAxis !== undefined) return input.tokenAxis;
  const sequence = ['token-ids', 'position-ids', 'attention-mask', 'token-type-ids', 'cache-position', 'coordinates'];
  return sequence.includes(input.role) ? (input.shape?.length ?? 2) - 1 : undefined;
}

/** Entries that the caches hold before the first token: none, except where a model refuses an empty cache. */
function pastLength(inputs: readonly Input[]): number {
  const past = inputs.find((input) => input.role === 'past');
  return past?.tokenAxis === undefined ? 0 : (extents(past, 0, { symbols: new Map() })[past.tokenAxis] ?? 0);
}

/** T as an input's token axis tells it, where there are no token ids. */
function givenLength(inputs: readonly Input[], given: Values): number | undefined {
  for (const input of inputs) {
    const isOwn = !['past', 'state', 'features', 'unused'].includes(input.role) && input.along === undefined;
    const extent = isOwn && input.tokenAxis !== undefined && given.get(input.name)?.dims[input.tokenAxis];
    if (extent) return extent;
  }
  return undefined;
}

/** Tokens of what was given for another input. */
function lengthOf(inputs: readonly Input[], name: string, given: Values): number | undefined {
  const axis = inputs.find((input) => input.name === name)?.tokenAxis;
  return given.get(name)?.dims.at(axis ?? -1);
}

/** A given tensor, checked against what the graph declares; integers are taken in any width. */
function fitted(input: Input, value: Value): Value {
  const { shape } = input;
  const misfit =
    shape !== undefined &&
    (shape.length !== value.dims.length ||
      shape.some((extent, i) => typeof extent === 'number' && extent !== value.dims[i]));
  const converted = value.type === input.type ? value : asIntegers(value, input.type);
  if (misfit || !converted) {
    throw new SinkscopeError({
      code: 'input',
      message: `Input ${quoted(input.name)} must be ${describe(input)}, but ${typeName(value.type)} [${value.dims.join(', ')}] was given.`,
    });
  }
  return converted;
}

const integers: readonly DataType[] = [DataType.int64, DataType.int32, DataType.bool, DataType.uint8];

function asIntegers(value: Value, type: DataType): Value | undefined {
  if (!integers.includes(value.type) || !integers.includes(type)) return undefined;
  return filled(type, value.dims, (i) => Number(value.data[i]));
}

function describe(input: Input): string {
  const shape = input.shape?.map((extent) => extent ?? '?').join(', ');
  return `${typeName(input.type)}${shape === undefined ? '' : ` [${shape}]`}`;
}

/**
 * The axis of h_0 that counts tokens, after its vectors were turned to lie last.
 *
 * @param chosen axis of the file's own h_0; undefined where it was not asked for
 * @throws SinkscopeError `input` where vectors lie along it, so that it counts no tokens
 */
export function countingAxis({ turns, embedding }: Anatomy, { axis }: Feeds, chosen?: number): number | undefined {
  const turn = turns.find(({ value }) => value === embedding);
  if (!turn) return chosen ?? axis;
  if (chosen === undefined) return axis === undefined ? undefined : turn.rank - 2;
  if (chosen !== turn.axis) return turnOf(turn).indexOf(chosen);
  throw new SinkscopeError({
    code: 'input',
    message: `Axis ${chosen} of the residual stream holds the elements of each token's vector; choose one of its other ${turn.rank - 1} axes (--token-axis), or none.`,
  });
}
