/** Where a graph takes the keys and values of earlier tokens, and where it gives them with those of the new ones. */
import { indexGraph } from '../onnx/graph.js';
import { type Graph, intAttribute, type Model, type Node } from '../onnx/model.js';
import { quoted } from '../visible.js';
import type { Anatomy, Input } from './anatomy.js';
import { isNext } from './inputs/state.js';
import { attentionOperator, outputAs, roleOf } from './operators/table.js';

/** One cache: an input, and the value that it is fed next. */
export interface CachePair {
  readonly input: string;
  readonly present: string;
  /** The axis that counts tokens. */
  readonly axis: number;
  /**
   * `grows`: it is fed what was given, which is longer by the new tokens. `trims`: the same, of which the graph cuts off
   * the first at times. `state`: what the file gave, in which no token has a place. `slides`: it has room for so many tokens, is
   * fed the last of what was given, and what is not filled stands before them. `rolls`: the operator keeps the last
   * tokens itself, as many as any query sees. `fills`: new tokens are written to free places behind those before; with
   * `bounds` the model takes no more tokens than there are places, whatever it is fed.
   */
  readonly form: 'grows' | 'trims' | 'state' | 'slides' | 'rolls' | 'fills' | 'bounds';
  /** Tokens that there is room for, where there is such a number. */
  readonly room: number;
  /** What the graph joins to it behind its last token, and nothing else, to make `present`; where that is how it grows. */
  readonly added?: string;
}

/** All caches of a model, or why it cannot be run on with them, in words that follow a colon. */
export type Caches = { readonly pairs: readonly CachePair[] } | { readonly why: string };

/** Operators between a cache and what of it a graph gives. */
const passing = new Set(
  'Identity Cast Reshape Transpose Squeeze Unsqueeze Split Gather Slice Concat ScatterElements ScatterND TensorScatter'.split(
    ' ',
  ),
);

/** Finds them by following each cache through the graph that reads it. */
export function cachesOf({ graph }: Model, { inputs }: Pick<Anatomy, 'inputs'>): Caches {
  const pasts = inputs.filter(({ role }) => role === 'past' || role === 'state');
  if (pasts.length === 0) return { why: 'it has no inputs for keys and values of earlier tokens' };
  const index = indexGraph(graph);
  const given = new Set(graph.outputs.map(({ name }) => name));
  const pairs: CachePair[] = [];
  for (const input of pasts) {
    const open = openAxis(input);
    if (open !== undefined)
      return { why: `the shape of its cache input ${quoted(input.name)} cannot be told: axis ${open} may be anything` };
    const readersOf = (value: string) => index.consumers(value);
    const found = input.role === 'state' ? nextState(readersOf, graph, input) : presentOf(readersOf, given, input);
    if (!found) return { why: `what becomes of its cache input ${quoted(input.name)} is not given by the graph` };
    pairs.push({ input: input.name, ...found });
  }
  return { pairs };
}

/** An axis of which nothing tells the extent, beside that of the tokens; undefined: there is none. */
function openAxis({ shape, tokenAxis, extents }: Input): number | undefined {
  const open = (shape ?? [null]).findIndex(
    (extent, axis) => axis !== tokenAxis && extents[axis] === undefined && typeof extent !== 'number',
  );
  return open < 0 ? undefined : open;
}

/** Of the outputs that a state leads to and that are like it, the nearest. */
function nextState(
  readersOf: (value: string) => readonly Node[],
  { outputs }: Graph,
  input: Input,
): Omit<CachePair, 'input'> | undefined {
  const given = new Set(outputs.filter((output) => isNext(output, input)).map(({ name }) => name));
  const seen = new Set([input.name]);
  for (const value of seen) {
    if (given.has(value)) return { present: value, axis: 0, form: 'state', room: Number.POSITIVE_INFINITY };
    for (const node of readersOf(value)) for (const output of node.outputs) seen.add(output);
  }
  return undefined;
}

function presentOf(
  readersOf: (value: string) => readonly Node[],
  given: ReadonlySet<string>,
  input: Input,
): Omit<CachePair, 'input'> | undefined {
  /** What each value was made by, and of which. */
  const seen = new Map<string, { readonly node: Node; readonly of: string } | undefined>([[input.name, undefined]]);
  const open = [input.name];
  let joined: string | undefined;
  const operators: Node[] = [];
  for (let value = open.shift(); value !== undefined; value = open.shift()) {
    for (const node of readersOf(value)) {
      const next = attentionOperator(node) ? attended(node, value) : passing.has(node.op) ? node.outputs : [];
      if (next.length === 0) continue;
      operators.push(node);
      // Of a file that does not give it: what new tokens are joined to as it is, is the cache to come.
      if (value === input.name) joined ??= next[0];
      for (const output of next)
        if (output !== '' && !seen.has(output)) {
          seen.set(output, { node, of: value });
          open.push(output);
        }
    }
  }
  const present = [...seen.keys()].find((name) => name !== input.name && given.has(name)) ?? joined;
  if (present === undefined) return undefined;
  const way: Node[] = [];
  for (let made = seen.get(present); made; made = seen.get(made.of)) way.unshift(made.node);
  const form = formOf(input, operators);
  if (form.form !== 'grows') return { present, ...form };
  return isCut(way)
    ? { present, ...form, form: 'trims' }
    : { present, ...form, added: addedTo(input, present, operators) };
}

/** Operators that may leave out tokens behind the one that joins new ones to those before. */
const cutting = new Set(['Slice', 'Gather', 'Split']);

function isCut(way: readonly Node[]): boolean {
  const joins = way.findIndex(({ op }) => op === 'Concat');
  return joins >= 0 && way.slice(joins).some(({ op }) => cutting.has(op));
}

/** The value behind a cache in the one Concat that makes its present of it. */
function addedTo({ name, shape, tokenAxis }: Input, present: string, operators: readonly Node[]): string | undefined {
  const concat = operators.find(({ op, outputs }) => op === 'Concat' && outputs[0] === present);
  const axis = concat && intAttribute(concat, 'axis', 0);
  const [first, added, ...others] = concat?.inputs ?? [];
  const isAlong = axis === tokenAxis || (axis !== undefined && axis + (shape?.length ?? Number.NaN) === tokenAxis);
  return isAlong && first === name && others.length === 0 ? added : undefined;
}

/** The cache that an operator gives for the one that it takes. */
function attended(node: Node, value: string): readonly string[] {
  const role = roleOf(node, node.inputs.indexOf(value));
  const result = role === 'past' ? 'present' : role === 'past-key' ? 'present-key' : 'present-value';
  const output = role?.startsWith('past') && role !== 'past-length' ? outputAs(node, result) : undefined;
  return output ? [output] : [];
}

function formOf(
  { tokenAxis, shape, extents }: Input,
  operators: readonly Node[],
): Omit<CachePair, 'input' | 'present'> {
  const rank = shape?.length ?? 4;
  const declared = shape?.[tokenAxis ?? -1];
  if (tokenAxis !== undefined)
    return typeof declared === 'number' && declared > 0
      ? { axis: tokenAxis, form: 'slides', room: declared }
      : { axis: tokenAxis, form: 'grows', room: Number.POSITIVE_INFINITY };
  const scatter = operators.find(({ op }) => op === 'TensorScatter');
  const axis = scatter ? (intAttribute(scatter, 'axis', -2) + rank) % rank : rank - 2;
  const extent = extents[axis] ?? shape?.[axis];
  const room = typeof extent === 'number' ? extent : 0;
  const rolls = operators.some((node) => attentionOperator(node)?.room?.(node) !== undefined);
  const isOperators = operators.some((node) => attentionOperator(node));
  return { axis, form: rolls ? 'rolls' : isOperators && !scatter ? 'fills' : 'bounds', room };
}
