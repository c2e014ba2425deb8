/** Where the main path begins: which input is the token ids, or the floats that the stream is made from. */
import { downstream, type Flow } from '../flow.js';
import { isPointwise, isSum, lookup } from '../ops.js';
import { isOrder } from '../pictures.js';
import { saidBy, saysTokensAlone } from './names.js';
import { inputAbove, joinedIds, maxTokenTypes, tableRoot, tableRows } from './tables.js';
import { isFloat } from './types.js';

/** The product that the output ends in, if it may be an unembedding: one row for each token. */
export interface HeadProduct {
  readonly weight: string;
  readonly columns: number | undefined;
}

export interface Start {
  /** Output of the token lookup, or the float input. */
  readonly source: string;
  readonly input: string | undefined;
  readonly kind: 'ids' | 'features';
  /** Rows of the table that the ids index. */
  readonly rows: number | undefined;
  /** Tables that the ids are taken apart for; 1 where they are not. */
  readonly codes: number;
  /** Why it was a choice. */
  readonly guess: string | undefined;
  /** Inputs that index the ids' own table beside them. */
  readonly shared: readonly string[];
  /** Inputs of which one takes the token ids, and nothing tells which. */
  readonly equal: readonly string[];
}

interface Lookup {
  readonly source: string;
  readonly input: string;
  readonly rows: number;
  readonly root: string | undefined;
  /** Axes of the input. */
  readonly rank: number;
  /** Only a part of the input's elements is looked up. */
  readonly isPart: boolean;
}

/** The token lookup above `h_0`, else the float input that is above it. */
export function startOf(flow: Flow, embedding: string, head: HeadProduct | undefined): Start {
  const { lookups, floats } = above(flow, embedding);
  const features = floats.find((name) => saidBy(name) !== 'padding') ?? floats[0];
  const found = tokenLookup(flow, lookups, floats, head);
  if (found === undefined) {
    const none = { kind: 'features', rows: undefined, codes: 1, guess: undefined, shared: [], equal: [] } as const;
    return { ...none, source: features ?? embedding, input: features };
  }
  const { best, guess, equal } = found;
  const beside = lookups.filter(({ root, input }) => root !== undefined && root === best.root && input !== best.input);
  return {
    kind: 'ids',
    source: best.source,
    input: equal.length > 0 ? undefined : best.input,
    rows: best.rows || undefined,
    codes: new Set(lookups.filter((one) => one.isPart && one.input === best.input).map(({ root }) => root)).size || 1,
    guess,
    shared: [...new Set(beside.map(({ input }) => input))],
    equal,
  };
}

/** The lookups of inputs, and the float inputs, that `h_0` is made from. */
function above(flow: Flow, embedding: string): { lookups: readonly Lookup[]; floats: readonly string[] } {
  const inputs = new Map(flow.model.graph.inputs.map((info) => [info.name, info]));
  const lookups: Lookup[] = [];
  const floats: string[] = [];
  const seen = new Set<string>([embedding]);
  const open = [embedding];
  for (let value = open.shift(); value !== undefined; value = open.shift()) {
    const info = inputs.get(value);
    if (info && isFloat(info) && !isOrder(flow, value)) floats.push(value);
    const node = flow.producer(value);
    if (!node) continue;
    const table = lookup(node);
    const given = table && flow.isConstant(table.table) ? idsAbove(flow, table.indices) : undefined;
    const rank = inputs.get(given?.input ?? '')?.shape?.length ?? 2;
    if (table && given !== undefined && rank > 0) {
      const rows = tableRows(flow, table.table) ?? 0;
      lookups.push({ source: value, ...given, rows, root: tableRoot(flow, table.table), rank });
    }
    for (const next of flow.reads(node)) {
      if (seen.has(next)) continue;
      seen.add(next);
      open.push(next);
    }
  }
  return { lookups, floats };
}

/** The input whose elements are looked up, beside ids of the model's own or alone. */
function idsAbove(flow: Flow, indices: string): Pick<Lookup, 'input' | 'isPart'> | undefined {
  const joined = joinedIds(flow, indices);
  return joined ? { input: joined.input, isPart: false } : inputAbove(flow, indices);
}

interface Found {
  readonly best: Lookup;
  readonly guess: string | undefined;
  readonly equal: readonly string[];
}

/**
 * The lookup of the token ids: in the table that the head multiplies by, or that has as many rows as the head has
 * columns; else what the names say, or the largest of those that are no kinds of segment.
 */
function tokenLookup(
  flow: Flow,
  lookups: readonly Lookup[],
  floats: readonly string[],
  head: HeadProduct | undefined,
): Found | undefined {
  const weight = head && tableRoot(flow, head.weight);
  const tied = lookups.filter(({ root }) => root !== undefined && root === weight);
  const exact = lookups.filter(({ rows }) => rows > maxTokenTypes && rows === head?.columns);
  const certain = tied.length > 0 ? tied : exact;
  const many = lookups.filter(({ rows }) => rows > maxTokenTypes);
  // What has an axis behind the tokens' are places or codes.
  const flat = many.filter(({ rank }) => rank < 3);
  const pool = firstOf(certain, flat, many, lookups).toSorted((a, b) => b.rows - a.rows);
  const names = [...new Set(pool.map(({ input }) => input))];
  const [largest] = pool;
  if (!largest) return undefined;
  const find = (input: string | undefined) => pool.find((one) => one.input === input);
  if (floats.length > 0 && certain.length === 0 && names.every((name) => isNoToken(flow, floats, pool, name)))
    return undefined;
  if (names.length === 1) return { best: largest, guess: undefined, equal: [] };

  const tokens = names.filter((name) => saidBy(name) === 'tokens');
  const alone = tokens.filter(saysTokensAlone);
  const saying = alone.length === 1 ? alone : tokens;
  const silent = names.filter((name) => saidBy(name) === undefined || saidBy(name) === 'other');
  const named = find(
    saying.length === 1 ? saying[0] : saying.length === 0 && silent.length === 1 ? silent[0] : undefined,
  );
  const equals = pool.filter(({ rows }) => rows === largest.rows);
  const rivals = [...new Set(equals.map(({ input }) => input))];
  if (named) {
    const isLargest = named.rows === largest.rows && rivals.length === 1;
    return { best: named, guess: isLargest ? undefined : 'told from others that may be so by its name', equal: [] };
  }
  if (rivals.length > 1) return { best: largest, guess: undefined, equal: rivals };
  return { best: largest, guess: 'its table is the largest of those that are looked up', equal: [] };
}

const firstOf = <T>(...lists: readonly (readonly T[])[]): readonly T[] => lists.find((list) => list.length > 0) ?? [];

/**
 * Beside floats that the stream is made from, a lookup that is only added to what they were made into is one of
 * positions or times, unless its name says that it is one of tokens.
 */
function isNoToken(flow: Flow, floats: readonly string[], lookups: readonly Lookup[], input: string): boolean {
  const said = saidBy(input);
  if (said !== undefined && said !== 'other') return said !== 'tokens';
  const made = new Set(floats.flatMap((name) => [...downstream(flow, name)]));
  return lookups.filter((one) => one.input === input).every(({ source }) => isAddedTo(flow, source, made));
}

function isAddedTo(flow: Flow, value: string, made: ReadonlySet<string>): boolean {
  return flow.consumers(value).every((node) => {
    if (isSum(node)) {
      const others = flow.reads(node).filter((term) => term !== value);
      return others.some((term) => made.has(term)) || node.outputs.some((output) => isAddedTo(flow, output, made));
    }
    return isPointwise(node) && node.op !== 'Where' && node.op !== 'Concat' && !node.op.startsWith('Scatter')
      ? node.outputs.every((output) => output === '' || isAddedTo(flow, output, made))
      : false;
  });
}
