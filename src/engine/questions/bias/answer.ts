/** Implicit attention bias (arXiv:2402.17762): what chosen keys add to every query's attention output, against the rest. */
import { grouped, SinkscopeError } from '../../../errors.js';
import { greatest } from '../../../statistics/numbers.js';
import type { AnswerTo } from '../../contract/questions.js';
import type { Pattern } from '../../tensors/patterns.js';
import { columnsOf, type Place, placeOf, updateOf, type WeighedRows, weighedRows } from '../../tensors/site.js';
import { floats, rowsOf, type Value, withFloats } from '../../tensors/value.js';
import { type Answerer, type Inside, valueNamed } from '../inside.js';

type Bias = AnswerTo<'bias'>;
type Update = Bias['heads'][number]['chosen'];
type Pair = Bias['norms']['input'];

/**
 * @throws SinkscopeError `input` where there is no such token or block, no query after the chosen keys, the block's
 *   pattern or values were not found, or are not of all tokens at once
 */
export const answerBias: Answerer<'bias'> = async (run, { layer, tokens: chosen }) => {
  const { loaded, tokens } = run;
  const attention = loaded.anatomy.blocks[layer - 1]?.attention;
  const pattern = await run.pattern(layer);
  const { values, keys } = loaded.operands.get(layer) ?? {};
  if (!attention?.weighed || values === undefined) throw notFound(layer);
  const { weighed, normed, projected } = attention;
  const names = [values, weighed, keys, normed].filter((name) => name !== undefined);
  const found = await run.inside(layer, names);
  const columns = columnsOf(pattern);
  const picked = chosen === 'extra' ? columns.extra : chosen.map((token) => columns.offset + token);
  const from = Math.max(chosen === 'extra' ? 0 : greatest(chosen), 0) + 1;
  if (picked.length === 0) {
    throw new SinkscopeError({
      code: 'input',
      message: `The attention of block ${layer} has no extra column; choose tokens.`,
    });
  }
  if (chosen !== 'extra' && chosen.some((token) => token >= tokens)) {
    throw new SinkscopeError({
      code: 'input',
      message: `There is no token ${greatest(chosen)}: the run has ${grouped(tokens)}.`,
    });
  }
  if (tokens - from < 2) {
    throw new SinkscopeError({
      code: 'input',
      message: `Fewer than two tokens come after the chosen ones (${tokens} in all), so there is nothing to compare; give a longer text.`,
    });
  }
  const product = valueNamed(found, weighed);
  const rows = weighedRows(valueNamed(found, values), pattern.heads);
  const place = placeOf(pattern, rows, product);
  if (!place) throw notFound(layer);
  const all = floats(product);
  const first = updateOf(pattern, rows, picked, place, all.length);
  const rest = all.map((value, i) => value - (first[i] ?? 0));

  const heads = Array.from({ length: pattern.heads }, (_, head) => ({
    share: share(pattern, head, picked, from),
    chosen: updateBy(first, rows.headDim, (query) => place(head, query), from, tokens),
    rest: updateBy(rest, rows.headDim, (query) => place(head, query), from, tokens),
  }));
  const isChosen = (token: number) => chosen !== 'extra' && chosen.includes(token);
  const residual = await run.state(layer - 1);
  const norm = normed === undefined ? undefined : found.get(normed);
  const byToken = (value: Value, measure: (vector: Float32Array) => number) => {
    const { dims } = rowsOf(value);
    const data = floats(value);
    return pairOf(tokens, isChosen, (token) => measure(data.subarray(token * dims, (token + 1) * dims)));
  };
  const chainOf = (measure: (vector: Float32Array) => number) => ({
    input: byToken(residual, measure),
    normed: norm && byToken(norm, measure),
  });
  const keyRows =
    keys === undefined
      ? undefined
      : keyRowsOf(valueNamed(found, keys), rows, pattern, !('operator' in attention.pattern));
  return {
    counted: { from, queries: tokens - from },
    heads,
    projected:
      projected === undefined
        ? undefined
        : await projections(run, layer, weighed, projected, product, first, rest, from),
    participation: chainOf(participation),
    norms: chainOf(length),
    keyNorm: keyRows && normsOf(keyRows, pattern, picked),
    valueNorm: normsOf(rows, pattern, picked),
  };
};

function notFound(layer: number): SinkscopeError {
  return new SinkscopeError({
    code: 'input',
    message: `The values that block ${layer} attends to were not found in a form Sinkscope can read, so its update cannot be split.`,
  });
}

/** Keys, of which the graph's product reads the transpose. */
function keyRowsOf(value: Value, values: WeighedRows, pattern: Pattern, inGraph: boolean): WeighedRows | undefined {
  const [rows, columns] = value.dims.slice(-2);
  const isTransposed = rows !== columns ? columns === values.rows && rows !== values.rows : inGraph;
  const keys = weighedRows(value, pattern.heads, isTransposed);
  return keys.rows === values.rows ? keys : undefined;
}

/** Both updates through the output projection, which may add a bias: what it makes of zeros is taken off. */
async function projections(
  run: Inside,
  layer: number,
  weighed: string,
  projected: string,
  product: Value,
  first: Float32Array,
  rest: Float32Array,
  from: number,
): Promise<Bias['projected']> {
  const through = async (update: Float32Array) => {
    const results = await run.inside(layer, [projected], new Map([[weighed, withFloats(product, update)]]));
    return valueNamed(results, projected);
  };
  const nothing = floats(await through(new Float32Array(first.length)));
  const of = async (update: Float32Array) => {
    const value = await through(update);
    const { dims } = rowsOf(value);
    const added = floats(value).map((x, i) => x - (nothing[i] ?? 0));
    return updateBy(added, dims, (query) => query * dims, from, run.tokens);
  };
  return { chosen: await of(first), rest: await of(rest) };
}

function share({ queries, keys, values }: Pattern, head: number, columns: readonly number[], from: number): number {
  let sum = 0;
  for (let query = from; query < queries; query++) {
    for (const column of columns) sum += values[(head * queries + query) * keys + column] ?? 0;
  }
  return sum / (queries - from);
}

/** Norm and similarity of the vectors of queries `from` … `to`. */
function updateBy(
  data: Float32Array,
  width: number,
  place: (query: number) => ReturnType<Place>,
  from: number,
  to: number,
): Update {
  const sum = new Float64Array(width);
  const count = to - from;
  let [norms, units] = [0, 0];
  for (let query = from; query < to; query++) {
    const vector = data.subarray(place(query), place(query) + width);
    const norm = length(vector);
    norms += norm;
    if (norm === 0) continue;
    units++;
    for (let d = 0; d < width; d++) sum[d] = (sum[d] ?? 0) + (vector[d] ?? 0) / norm;
  }
  // The squared length of a sum of unit vectors holds every pair twice, and each vector with itself.
  const squares = sum.reduce((total, x) => total + x * x, 0);
  return { norm: norms / count, cosine: (squares - units) / (count * (count - 1)) };
}

function length(vector: Float32Array): number {
  let squares = 0;
  for (const x of vector) squares += x * x;
  return Math.sqrt(squares);
}

function participation(vector: Float32Array): number {
  let [squares, fourths] = [0, 0];
  for (const x of vector) {
    squares += x * x;
    fourths += x ** 4;
  }
  return squares ** 2 / fourths;
}

/** By value head, the mean norm over the chosen columns and over the others. */
function normsOf(rows: WeighedRows, { heads, keys }: Pattern, chosen: readonly number[]): Pair[] {
  const starts = [...new Set(Array.from({ length: heads }, (_, head) => rows.at(head, 0)))];
  return starts.map((start) =>
    pairOf(
      Math.min(keys, rows.rows),
      (column) => chosen.includes(column),
      (column) => length(rows.data.subarray(start + column * rows.headDim, start + (column + 1) * rows.headDim)),
    ),
  );
}

function pairOf(count: number, isChosen: (i: number) => boolean, measure: (i: number) => number): Pair {
  const chosen = { sum: 0, count: 0 };
  const others = { sum: 0, count: 0 };
  for (let i = 0; i < count; i++) {
    const side = isChosen(i) ? chosen : others;
    side.sum += measure(i);
    side.count++;
  }
  return [chosen.sum / chosen.count, others.sum / others.count];
}
