/** What a block's attention does with its queries, keys and values, as far as one must know to do it in its place. */
import { SinkscopeError } from '../../errors.js';
import { DataType } from '../../onnx/model.js';
import { type Rotation, rotationOf } from '../../statistics/rotary.js';
import { quoted } from '../../visible.js';
import { type Pattern, patternOf } from '../tensors/patterns.js';
import { type Columns, columnsOf, placeOf, type WeighedRows, weighedRows } from '../tensors/site.js';
import { floats, size, type Value, type Values, withFloats } from '../tensors/value.js';
import type { LoadedModel } from './loaded.js';

/** Names of values of the graph. */
export interface SiteNames {
  readonly queries: string;
  readonly keys: string;
  readonly values: string;
  /** What the pattern makes of the values, from which the block goes on. */
  readonly weighed: string;
  readonly pattern: string;
}

export interface AttentionSite {
  readonly names: SiteNames;
  readonly heads: number;
  /** Of heads that have keys and values of their own, as the graph has them: those of a group may be repeated. */
  readonly groups: number;
  readonly headDim: number;
  readonly valueDim: number;
  /** Whether `keys` lie with their last two axes exchanged. */
  readonly transposed: boolean;
  /** Row of the first token among keys and values. */
  readonly offset: number;
  readonly rotation: Rotation;
  /** Factor of the scores. */
  readonly scale: number;
  /** What is added to the scores for every token between a query and a key, by head (ALiBi); undefined: nothing. */
  readonly slopes: Float64Array | undefined;
  /** Keys that a query sees in the model as it is, its own included; undefined: all. */
  readonly window: number | undefined;
  /** Keys that belong to no token: [count, dims] of each group, and by head what is added to their scores. */
  readonly extra: {
    readonly count: number;
    readonly keys: readonly Float32Array[];
    readonly values: readonly Float32Array[];
    readonly logits: Float64Array | undefined;
  };
  /** [heads, tokens, valueDim] as `weighed` has it. */
  laidOut(rows: Float32Array, tokens: number): Value;
  /** Of `weighed` of the tokens that were read, what it has of some of them, laid out so. */
  part(weighed: Value, from: number, to: number): Float32Array;
}

/** How exact the numbers of a model are, relative to the largest of their kind. */
export function exactnessOf({ model, quantised }: LoadedModel, value: Value): number {
  if (quantised || model.graph.nodes.some(({ op }) => /^DynamicQuantize|Integer$/.test(op))) return 0.1;
  return value.type === DataType.float16 ? 2e-2 : 1e-3;
}

/**
 * The values that a block's attention multiplies.
 *
 * @returns undefined where the block has no attention
 * @throws SinkscopeError `input` where they are not found, or weights are made of them in another way than by a softmax
 */
export function siteNames(loaded: LoadedModel, block: number): SiteNames | undefined {
  const attention = loaded.anatomy.blocks[block - 1]?.attention;
  if (!attention) return undefined;
  const { queries, keys, values } = loaded.operands.get(block) ?? {};
  const pattern = loaded.patterns.get(block);
  const { weighed, weighting } = attention;
  if (weighting !== 'softmax') throw noSite(loaded, block, 'its weights come from no plain softmax');
  if (queries === undefined || keys === undefined || values === undefined || !weighed || !pattern)
    throw noSite(loaded, block, 'its queries, keys and values could not all be found');
  return { queries, keys, values, weighed, pattern };
}

/** That a cache cannot be kept for a block. */
export function noSite({ file }: Pick<LoadedModel, 'file'>, block: number, why: string): SinkscopeError {
  return new SinkscopeError({
    code: 'input',
    file,
    message: `The attention of block ${block} of ${file} cannot be run from a cache that Sinkscope keeps: ${why}; choose another model.`,
  });
}

/**
 * Reads off what a block does, from what it made of some tokens.
 *
 * @param read `names` of these tokens
 * @param still the same of as many tokens that all have one hidden state, so that positions alone tell them apart
 * @throws SinkscopeError `input` where it does something else than is known here
 */
export function siteOf(
  loaded: LoadedModel,
  block: number,
  names: SiteNames,
  read: Values,
  still: Values,
): AttentionSite {
  const refused = (why: string) => noSite(loaded, block, why);
  const found = (values: Values, name: string) => {
    const value = values.get(name);
    if (!value) throw refused(`${quoted(name)} was not computed`);
    return value;
  };
  const pattern = patternOf(found(read, names.pattern));
  const { heads, queries, keys } = pattern;
  const columns = columnsOf(pattern);
  const keyValue = found(read, names.keys);
  const transposed = keyValue.dims.at(-2) !== keys;
  const keyRows = weighedRows(keyValue, heads, transposed);
  const values = weighedRows(found(read, names.values), heads);
  const { headDim } = keyRows;
  const groups = size(keyValue.dims) / (keys * headDim);
  const query = found(read, names.queries);
  const fits =
    keyRows.rows === keys &&
    values.rows === keys &&
    Number.isInteger(heads / groups) &&
    size(found(read, names.values).dims) / (keys * values.headDim) === groups &&
    size(query.dims) === heads * queries * headDim &&
    query.dims.at(-2) === queries;
  if (!fits) throw refused('its queries, keys and values are laid out in a form that is not known');
  const exact = exactnessOf(loaded, keyValue);

  const sameRows = weighedRows(found(still, names.keys), groups, transposed);
  const own = Array.from({ length: groups }, (_, group) =>
    sameRows.data.subarray(sameRows.at(group, columns.offset), sameRows.at(group, columns.offset) + queries * headDim),
  );
  const rotation = rotationOf({ heads: own, rows: queries, dims: headDim }, exact);
  if (!rotation) throw refused('its keys depend on their positions, and not by a rotation of pairs of their entries');
  const isTurned = rotation.frequencies.length > 0;
  const slopes = isTurned ? undefined : slopesOf(patternOf(found(still, names.pattern)), columns);
  const scores = scoresOf(pattern, columns, floats(query), keyRows);
  const scale = scaleOf(pattern, columns, scores, slopes, headDim);
  const logits = absentLogits(pattern, columns, scores, scale);

  const weighed = found(read, names.weighed);
  const place = placeOf(pattern, values, weighed);
  if (!place) throw refused('what comes of it is laid out in a form that is not known');
  const byHeads = heads > 1 && place(1, 0) !== values.headDim;
  const extraOf = (from: WeighedRows, dims: number) =>
    Array.from({ length: groups }, (_, group) => {
      const head = (group * heads) / groups;
      const rows = columns.extra.map((column) =>
        from.data.subarray(from.at(head, column), from.at(head, column) + dims),
      );
      return Float32Array.from([
        ...rows.flatMap((row) => [...row]),
        ...(logits ? new Array<number>(dims).fill(0) : []),
      ]);
    });
  return {
    names,
    heads,
    groups,
    headDim,
    valueDim: values.headDim,
    transposed,
    offset: columns.offset,
    rotation,
    scale,
    slopes,
    window: ownWindow(loaded, block, pattern),
    extra: {
      count: columns.extra.length + (logits ? 1 : 0),
      keys: extraOf(keyRows, headDim),
      values: extraOf(values, values.headDim),
      logits,
    },
    laidOut: (rows, tokens) =>
      laidOut(weighed, rows, { heads, dims: values.headDim, before: queries, tokens }, byHeads),
    part: (value, from, to) => {
      const width = values.headDim * (byHeads ? 1 : heads);
      const entries = floats(value);
      const blocks = Array.from({ length: byHeads ? heads : 1 }, (_, i) => i * queries);
      const parts = blocks.flatMap((start) => [...entries.subarray((start + from) * width, (start + to) * width)]);
      return Float32Array.from(parts);
    },
  };
}

/** The last queries of a pattern, by which it is told how far back they look. */
const lastQueries = 8;

/**
 * How many keys a query sees, its own included, where these are fewer than there are; undefined: all of them.
 *
 * @throws SinkscopeError `input` where it is some, and they are no window
 */
export function ownWindow(loaded: LoadedModel, block: number, pattern: Pattern): number | undefined {
  const { heads, queries, keys, values } = pattern;
  const { offset } = columnsOf(pattern);
  /** The first key that some head gives weight to: in single precision a weight can be 0 that a mask has not made so. */
  const first = (query: number) => {
    for (let key = 0; key < query; key++)
      for (let head = 0; head < heads; head++)
        if ((values[(head * queries + query) * keys + offset + key] ?? 0) > 0) return key;
    return query;
  };
  const window = queries - first(queries - 1);
  if (window === queries) return undefined;
  for (let query = Math.max(0, queries - lastQueries); query < queries; query++)
    if (first(query) !== Math.max(0, query - window + 1))
      throw noSite(loaded, block, 'what its queries see is neither everything before them nor a window of it');
  return window;
}

/** What is added to scores for each token of distance, from a pattern in which nothing but that tells keys apart. */
function slopesOf({ heads, queries, keys, values }: Pattern, { offset }: Columns): Float64Array | undefined {
  const slopes = new Float64Array(heads);
  for (let head = 0; head < heads; head++) {
    const row = (head * queries + queries - 1) * keys + offset;
    let [products, squares] = [0, 0];
    for (let distance = 1; distance < queries; distance++) {
      const weight = values[row + queries - 1 - distance] ?? 0;
      if (!(weight > 1e-6)) continue;
      products += distance * Math.log(weight / (values[row + queries - 1] ?? Number.NaN));
      squares += distance * distance;
    }
    slopes[head] = squares > 0 ? products / squares : 0;
  }
  return slopes.some((slope) => Math.abs(slope) > 1e-5) ? slopes : undefined;
}

/** Of a head, a query and a token: the product of query and key. */
type Scores = (head: number, query: number, token: number) => number;

function scoresOf({ queries }: Pattern, { offset }: Columns, q: Float32Array, keys: WeighedRows): Scores {
  const { headDim } = keys;
  return (head, query, token) => {
    const [from, to] = [(head * queries + query) * headDim, keys.at(head, offset + token)];
    let sum = 0;
    for (let d = 0; d < headDim; d++) sum += (q[from + d] ?? 0) * (keys.data[to + d] ?? 0);
    return sum;
  };
}

/** Queries that are looked at: enough to tell. */
const looked = 24;

/** The factor that makes logarithms of weights of scores, by least squares; a usual one where it is that. */
function scaleOf(
  { heads, queries, keys, values }: Pattern,
  { offset }: Columns,
  scores: Scores,
  slopes: Float64Array | undefined,
  headDim: number,
): number {
  let [products, squares] = [0, 0];
  for (let head = 0; head < heads; head++) {
    for (let query = Math.max(1, queries - looked); query < queries; query++) {
      const row = (head * queries + query) * keys + offset;
      const own = values[row + query] ?? 0;
      if (!(own > 1e-4)) continue;
      const ownScore = scores(head, query, query);
      for (let token = 0; token < query; token++) {
        const weight = values[row + token] ?? 0;
        if (!(weight > 1e-4)) continue;
        const difference = scores(head, query, token) - ownScore;
        products += difference * (Math.log(weight / own) - (slopes?.[head] ?? 0) * (query - token));
        squares += difference * difference;
      }
    }
  }
  const scale = squares > 0 ? products / squares : 1 / Math.sqrt(headDim);
  return [1, 1 / Math.sqrt(headDim), 1 / headDim].find((usual) => Math.abs(scale / usual - 1) < 2e-3) ?? scale;
}

/** By head, the logit of a key without a column, whose weight rows lack to 1; undefined where they lack nothing. */
function absentLogits(
  { heads, queries, keys, values }: Pattern,
  { offset }: Columns,
  scores: Scores,
  scale: number,
): Float64Array | undefined {
  const logits = new Float64Array(heads).fill(Number.NEGATIVE_INFINITY);
  let lacks = false;
  for (let head = 0; head < heads; head++) {
    let [sum, count] = [0, 0];
    for (let query = 0; query < Math.min(looked, queries); query++) {
      const row = (head * queries + query) * keys;
      const absent = 1 - values.subarray(row, row + keys).reduce((total, weight) => total + weight, 0);
      const own = values[row + offset + query] ?? 0;
      if (!(absent > 1e-3 && own > 1e-4)) continue;
      sum += scale * scores(head, query, query) + Math.log(absent / own);
      count++;
    }
    if (count === 0) continue;
    logits[head] = sum / count;
    lacks = true;
  }
  return lacks ? logits : undefined;
}

/** [heads, tokens, dims] in the type and axes of a value of `before` tokens. */
function laidOut(
  like: Value,
  rows: Float32Array,
  { heads, dims, before, tokens }: { heads: number; dims: number; before: number; tokens: number },
  byHeads: boolean,
): Value {
  const axis = byHeads ? -2 : like.dims.at(-1) === heads * dims ? -2 : -3;
  const at = like.dims.length + axis;
  const extents = like.dims.map((extent, i) => (i === at ? (extent * tokens) / before : extent));
  if (byHeads) return withFloats({ ...like, dims: extents }, rows);
  const placed = new Float32Array(rows.length);
  for (let head = 0; head < heads; head++)
    for (let token = 0; token < tokens; token++) {
      const from = (head * tokens + token) * dims;
      placed.set(rows.subarray(from, from + dims), (token * heads + head) * dims);
    }
  return withFloats({ ...like, dims: extents }, placed);
}
