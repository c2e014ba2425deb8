/**
 * What the rows of a hidden state stand for, where they are not simply the tokens that were fed: learned rows beside
 * them (soft prompts, meta tokens), and several inputs of each step in turn (a Decision Transformer).
 */
import { intAttribute, intsAttribute, type Node } from '../onnx/model.js';
import type { RowPart, Rows } from './anatomy.js';
import { partialVector } from './extents.js';
import { between, downstream, type Flow, inputsAbove, stripped } from './flow.js';
import { inputAbove, joinedIds } from './inputs/tables.js';
import { isFloat } from './inputs/types.js';
import { isPointwise, lookup } from './ops.js';
import { weightProduct } from './products.js';
import type { VectorAxes } from './vectors.js';

/** How many nodes a way back may have. */
const maxSteps = 64;

/** Rows of `value` as parts of those of `source`; undefined where they cannot be followed. */
export function partsOf(
  flow: Flow,
  vectors: VectorAxes,
  source: string,
  value: string,
  main = downstream(flow, source),
  steps = maxSteps,
): readonly RowPart[] | undefined {
  if (value === source) return partsOfIds(flow, source);
  const node = flow.producer(value);
  if (!node || steps === 0) return undefined;
  const before = (input: string) => partsOf(flow, vectors, source, input, main, steps - 1);
  if (node.op === 'Concat' && countsRows(vectors, node, value)) {
    const parts = node.inputs.map((input): readonly RowPart[] | undefined => {
      if (main.has(input)) return before(input);
      const [name, ...others] = flow.model.graph.inputs.filter(isFloat).filter((own) => leadsTo(flow, own.name, input));
      if (name && others.length === 0 && hasRowsOf(flow, input, name.name)) return [{ kind: 'input', name: name.name }];
      const count = rowsOfConstant(flow, input, intAttribute(node, 'axis', 0));
      if (count === undefined) return undefined;
      return [name ? { kind: 'input', name: name.name, count } : { kind: 'added', count }];
    });
    return parts.every((part) => part !== undefined) ? joinedParts(parts.flat()) : undefined;
  }
  const [first] = flow.reads(node).filter((input) => main.has(input));
  if (first === undefined) return undefined;
  if (node.op === 'Slice' && countsRows(vectors, node, value)) {
    const at = (place: number, name: string) =>
      (intsAttribute(node, name) ?? partialVector(flow, node.inputs[place] ?? ''))?.[0];
    const [start, end, step] = [at(1, 'starts'), at(2, 'ends'), node.inputs[4] ? at(4, 'steps') : 1];
    const [only, ...others] = before(first) ?? [];
    if (start === undefined || end === undefined || step !== 1 || others.length > 0) return undefined;
    return only?.kind === 'tokens' ? sliced(only, start, end) : undefined;
  }
  return isPointwise(node) && node.op !== 'Gather' && node.op !== 'Split' ? before(first) : undefined;
}

/** Rows of what ids are looked up as: theirs alone, or beside those of ids of the model's own (CPM-Ant's prompt). */
function partsOfIds(flow: Flow, source: string): readonly RowPart[] | undefined {
  const all: RowPart = { kind: 'tokens', from: 0, to: undefined };
  const node = flow.producer(source);
  const joined = joinedIds(flow, (node && lookup(node)?.indices) ?? '');
  if (!joined) return [all];
  const rank = flow.model.graph.inputs.find(({ name }) => name === joined.input)?.shape?.length ?? 2;
  const axis = intAttribute(joined.join, 'axis', 0);
  const parts = joined.join.inputs.map((part): RowPart | undefined => {
    if (inputAbove(flow, part)) return all;
    const count = rowsOfConstant(flow, part, axis < 0 ? axis : axis - rank);
    return count === undefined ? undefined : { kind: 'added', count };
  });
  return parts.every((part) => part !== undefined) ? joinedParts(parts) : undefined;
}

/** What picks the rows of `value`, among others, by something that is computed of these rows themselves. */
export function picksRows(flow: Flow, value: string): Node | undefined {
  const node = flow.producer(stripped(flow, value));
  if (!node?.op.startsWith('Gather')) return undefined;
  const [rows = '', indices = ''] = node.inputs;
  return between(flow, stripped(flow, rows), indices) ? node : undefined;
}

/** Whether an operator joins or cuts along an axis that is neither that of a vector nor the first of three. */
function countsRows(vectors: VectorAxes, node: Node, value: string): boolean {
  const { axis: own, rank } = vectors.of(value) ?? { axis: -1, rank: undefined };
  const along = node.op === 'Concat' ? intAttribute(node, 'axis', 0) : vectors.sliced(node);
  if (along === undefined) return false;
  const fromEnd = along < 0 ? along : along - (rank ?? 3);
  return fromEnd !== own && fromEnd >= -(rank ?? 3);
}

function sliced({ from, to }: Extract<RowPart, { kind: 'tokens' }>, start: number, end: number): RowPart[] | undefined {
  if (from !== 0 || to !== undefined) return undefined;
  return [{ kind: 'tokens', from: start, to: end >= 2 ** 31 - 1 ? undefined : end }];
}

/** Neighbouring parts of one kind as one. */
function joinedParts(parts: readonly RowPart[]): readonly RowPart[] {
  const result: RowPart[] = [];
  for (const part of parts) {
    const last = result.at(-1);
    if (last?.kind === 'added' && part.kind === 'added')
      result.splice(-1, 1, { kind: 'added', count: last.count + part.count });
    else if (last?.kind === 'tokens' && part.kind === 'tokens' && last.to === part.from)
      result.splice(-1, 1, { kind: 'tokens', from: last.from, to: part.to });
    else result.push(part);
  }
  return result;
}

const leadsTo = (flow: Flow, from: string, to: string) => from === to || between(flow, from, to) !== undefined;

/** Whether `value` has the rows of the float input `name`, projected or not; what else is added counts for nothing. */
function hasRowsOf(flow: Flow, value: string, name: string): boolean {
  const below = downstream(flow, name);
  const seen = new Set([value]);
  const open = [value];
  for (let next = open.pop(); next !== undefined && seen.size < 256; next = open.pop()) {
    const node = flow.producer(next);
    if (!node) continue;
    // What rearranges, picks or mixes tokens leaves other rows.
    const keeps = weightProduct(flow, node) !== undefined || (isPointwise(node) && !rearranges.has(node.op));
    if (!keeps) return false;
    for (const input of flow.reads(node))
      if (!seen.has(input) && below.has(input)) {
        seen.add(input);
        open.push(input);
      }
  }
  return true;
}

const rearranges = new Set(
  'Concat Expand Gather GatherElements GatherND Pad Reshape ScatterElements ScatterND Slice Split Squeeze Tile Transpose Unsqueeze'.split(
    ' ',
  ),
);

/** Extent along `axis` of a value that is the same whatever is run, up to its batch. */
function rowsOfConstant(flow: Flow, value: string, axis: number): number | undefined {
  const extents = extentsOf(flow, value);
  const extent = extents?.at(axis);
  return extent !== undefined && extent > 0 ? extent : undefined;
}

/** The extents of what constants are made into by a few operators; undefined elements for the batch. */
function extentsOf(flow: Flow, value: string, steps = 8): readonly (number | undefined)[] | undefined {
  const tensor = flow.model.graph.initializers.get(value);
  if (tensor) return tensor.dims;
  const node = flow.producer(value);
  if (!node || steps === 0) return undefined;
  const inner = () => extentsOf(flow, node.inputs[0] ?? '', steps - 1);
  switch (node.op) {
    case 'Cast':
    case 'Identity':
      return inner();
    case 'Unsqueeze': {
      const axes = intsAttribute(node, 'axes') ?? partialVector(flow, node.inputs[1] ?? '');
      const before = inner();
      if (!before || !axes) return undefined;
      const result: (number | undefined)[] = [...before];
      const rank = before.length + axes.length;
      for (const axis of axes.map((each = 0) => (each < 0 ? each + rank : each)).sort((a, b) => a - b))
        result.splice(axis, 0, 1);
      return result;
    }
    case 'Expand': {
      const before = inner();
      const target = partialVector(flow, node.inputs[1] ?? '');
      const length = Math.max(before?.length ?? 0, target?.length ?? 0);
      if (!before) return undefined;
      return Array.from({ length }, (_, i) => {
        const own = before.at(i - length);
        return own === 1 || own === undefined ? target?.at(i - length) : own;
      });
    }
    case 'Reshape': {
      const target = partialVector(flow, node.inputs[1] ?? '');
      const before = inner();
      // To the same number of axes, as einops writes it: what is inferred is taken to be what it was.
      return target?.map((extent, i) =>
        extent === -1 ? (before?.length === target.length ? before[i] : undefined) : extent,
      );
    }
    case 'Tile': {
      const before = inner();
      const repeats = partialVector(flow, node.inputs[1] ?? '');
      return before?.map((extent, i) => {
        // Leading extents may not be known.
        const times = repeats?.at(i - before.length);
        return extent === undefined || times === undefined ? undefined : extent * times;
      });
    }
    case 'Gather': {
      const [table, indices] = [inner(), extentsOf(flow, node.inputs[1] ?? '', steps - 1)];
      return table && indices ? [...indices, ...table.slice(1)] : undefined;
    }
    case 'LayerNormalization':
      return inner();
    case 'Add':
    case 'Sub':
    case 'Mul':
    case 'Div': {
      const sides = node.inputs.map((input) => extentsOf(flow, input, steps - 1));
      const isKnown = sides.every((side) => side !== undefined);
      const length = sides.reduce((most, side) => Math.max(most, side?.length ?? 0), 0);
      // Beside what is not known an extent of 1 may be stretched.
      return Array.from({ length }, (_, i) => {
        const own = sides.map((side) => side?.at(i - length)).filter((extent) => extent !== undefined);
        const most = own.reduce((most, extent) => Math.max(most, extent), 0);
        return most > 1 || (isKnown && own.length > 0) ? most : undefined;
      });
    }
  }
  return undefined;
}

/** What the rows of h_0 stand for, where the model is fed token ids: undefined where that is the tokens alone. */
export function rowsOfTokens(flow: Flow, vectors: VectorAxes, source: string, embedding: string): Rows | undefined {
  const parts = partsOf(flow, vectors, source, embedding);
  return parts?.some(({ kind }) => kind !== 'tokens') ? { kind: 'parts', parts } : undefined;
}

/**
 * Of floats: the inputs that are stacked and then taken in turn, one row of each for every step, or one after another.
 * Each must be made from an input that the others are not.
 */
export function rowsOfInputs(flow: Flow, embedding: string): Rows | undefined {
  let value = embedding;
  let turned = false;
  for (let step = 0; step < maxSteps; step++) {
    const node = flow.producer(value);
    if (!node) return undefined;
    if (node.op === 'Concat') {
      const own = ownInputs(flow, node);
      const parts = node.inputs.map((input) => flow.producer(input));
      const stacks = parts.every((part) => part?.op === 'Unsqueeze' || part?.op === 'Reshape');
      if (!own || own.length < 2 || !stacks) return undefined;
      // [batch, T, inputs, D] counts inputs inside a step, [batch, inputs, T, D] does once it is turned.
      const inTurn = turned !== (intAttribute(node, 'axis', 0) === 2 || intAttribute(node, 'axis', 0) === -2);
      return { kind: 'inputs', names: own, inTurn };
    }
    if (node.op === 'Transpose') turned = !turned;
    const [first, ...others] = flow.reads(node);
    if (first === undefined || !isPointwise(node)) return undefined;
    // The value that a norm divides and subtracts from goes on; it is the least deep of what is read.
    value = [first, ...others].reduce((least, each) => (flow.depth(each) < flow.depth(least) ? each : least));
  }
  return undefined;
}

/** Of each part of a Concat the graph input above it that none of the others has. */
function ownInputs(flow: Flow, { inputs }: Node): readonly string[] | undefined {
  const above = inputs.map((part) => inputsAbove(flow, part, 512));
  const own = above.map((found, i) =>
    [...found].filter((name) => !above.some((other, j) => j !== i && other.has(name))),
  );
  return own.every(({ length }) => length === 1) ? own.flat() : undefined;
}
