/** How each graph input is fed, from what the graph does with it. */
import { DataType, intAttribute, type Node, type ValueInfo } from '../onnx/model.js';
import type { Input, InputRole } from './anatomy.js';
import { partialVector } from './extents.js';
import { downstream, type Flow, stripped } from './flow.js';
import type { Role } from './operators/operator.js';
import { attentionOperator, inputAs, isFusedAttention, roleOf } from './operators/table.js';
import { argumentOf, isPassThrough, lookup } from './ops.js';
import { isOrder, patchOf } from './pictures.js';
import { weightProduct } from './products.js';

/** What is known of the model before its inputs are looked at. */
export interface InputContext {
  /** `h_0`. */
  readonly embedding: string;
  /** Columns of the unembedding. */
  readonly vocabulary: number | undefined;
  readonly kvHeads: number | undefined;
  readonly headDim: number | undefined;
}

export interface Inputs {
  readonly inputs: readonly Input[];
  /** Output of the token lookup, or the float input that the main path starts from. */
  readonly source: string;
  /** Most tokens that the position table has rows for, where positions are learned or tabulated. */
  readonly context: number | undefined;
}

interface Recognised {
  readonly role: InputRole;
  readonly how: string;
  readonly tokenAxis?: number;
  readonly extents?: Readonly<Record<number, number>>;
}

/** A table of more rows than this holds positions, not kinds of segment. */
const maxTokenTypes = 16;

/** Recognises every graph input. */
export function recogniseInputs(flow: Flow, context: InputContext): Inputs {
  const start = sourceOf(flow, context);
  const main = downstream(flow, start.source);
  let rows: number | undefined;
  const inputs = flow.model.graph.inputs.map((info): Input => {
    const { role, how, tokenAxis, extents } =
      info.name === start.input
        ? start.recognised
        : recognise(flow, info, main, context, (found) => {
            rows = Math.max(rows ?? 0, found);
          });
    return { name: info.name, role, type: info.type ?? 0, shape: info.shape, tokenAxis, extents: extents ?? {}, how };
  });
  return { inputs, source: start.source, context: rows ?? tabulatedPositions(flow, main) };
}

interface Start {
  readonly source: string;
  readonly input: string | undefined;
  readonly recognised: Recognised;
}

/** The token lookup above `h_0`, else the float input that is above it. */
function sourceOf(flow: Flow, { embedding, vocabulary }: InputContext): Start {
  const inputs = new Map(flow.model.graph.inputs.map((info) => [info.name, info]));
  const lookups: { source: string; input: string; rows: number }[] = [];
  let features: string | undefined;
  const seen = new Set<string>([embedding]);
  const open = [embedding];
  for (let value = open.shift(); value !== undefined; value = open.shift()) {
    const info = inputs.get(value);
    if (info && isFloat(info) && !isOrder(flow, value)) features ??= value;
    const node = flow.producer(value);
    if (!node) continue;
    const table = lookup(node);
    const input = table && flow.isConstant(table.table) ? inputAbove(flow, table.indices) : undefined;
    if (table && input !== undefined) lookups.push({ source: value, input, rows: rowsOf(flow, table.table) ?? 0 });
    for (const next of flow.reads(node)) {
      if (seen.has(next)) continue;
      seen.add(next);
      open.push(next);
    }
  }
  const exact = lookups.filter(({ rows }) => rows === vocabulary);
  const [best] = (exact.length > 0 ? exact : lookups).sort((a, b) => b.rows - a.rows);
  if (best) {
    const axes = inputs.get(best.input)?.shape?.length ?? 2;
    const recognised = {
      role: 'token-ids',
      tokenAxis: axes - 1,
      how: 'token ids: it indexes the embedding table',
    } as const;
    return { source: best.source, input: best.input, recognised };
  }
  const channels = features === undefined ? undefined : patchOf(flow, features)?.channels;
  const recognised: Recognised = {
    role: 'features',
    // Exporters leave even the number of channels open.
    extents: channels === undefined ? {} : { 1: channels },
    how: 'floats given by the user: the residual stream starts from it',
  };
  return { source: features ?? embedding, input: features, recognised };
}

/** The graph input that `value` repeats in another shape or type. */
function inputAbove(flow: Flow, value: string): string | undefined {
  const origin = stripped(flow, value);
  const node = flow.producer(origin);
  if (!node) return flow.model.graph.inputs.some(({ name }) => name === origin) ? origin : undefined;
  const [only, ...others] = flow.reads(node);
  const keepsIndices = ['Clip', 'Max', 'Min', 'Where', 'Slice', 'Transpose', 'Mul'].includes(node.op);
  return keepsIndices && only !== undefined && others.length === 0 ? inputAbove(flow, only) : undefined;
}

const isFloat = ({ type }: ValueInfo) =>
  type === DataType.float || type === DataType.float16 || type === DataType.bfloat16 || type === DataType.double;

function rowsOf(flow: Flow, table: string): number | undefined {
  for (let value: string | undefined = table; value !== undefined; value = flow.producer(value)?.inputs[0]) {
    const tensor = flow.model.graph.initializers.get(value);
    if (tensor) return tensor.dims[0];
  }
  return undefined;
}

const isScalar = ({ shape }: ValueInfo) => shape?.length === 0 || (shape?.length === 1 && shape[0] === 1);

/** Where the main path reads something that an input was made into, and by what. */
interface Uses {
  readonly touches: readonly { readonly node: Node; readonly index: number; readonly value: string }[];
  /** Nodes off the main path. */
  readonly through: readonly Node[];
}

function usesOf(flow: Flow, input: string, main: ReadonlySet<string>, stopAt: (node: Node) => boolean): Uses {
  const touches: { node: Node; index: number; value: string }[] = [];
  const through = new Set<Node>();
  const seen = new Set([input]);
  const open = [input];
  for (let value = open.shift(); value !== undefined; value = open.shift()) {
    for (const node of flow.consumers(value)) {
      if (!flow.reads(node).includes(value)) continue;
      if (node.outputs.some((output) => main.has(output))) {
        touches.push({ node, index: node.inputs.indexOf(value), value });
        continue;
      }
      if (stopAt(node)) continue;
      through.add(node);
      for (const output of node.outputs)
        if (output !== '' && !seen.has(output)) {
          seen.add(output);
          open.push(output);
        }
    }
  }
  return { touches, through: [...through] };
}

const counts = (node: Node) => node.op === 'CumSum' || node.op === 'ReduceSum';

function recognise(
  flow: Flow,
  info: ValueInfo,
  main: ReadonlySet<string>,
  context: InputContext,
  positionRows: (rows: number) => void,
): Recognised {
  const rank = info.shape?.length;
  const last = rank === undefined ? undefined : Math.max(0, rank - 1);
  const all = usesOf(flow, info.name, main, () => false);
  if (all.touches.length === 0 && all.through.length === 0) {
    if (info.type === DataType.bool && isScalar(info))
      return { role: 'unused', how: 'a switch, taken as false: the branch without a cache' };
    return { role: 'unused', tokenAxis: last, how: 'not fed: nothing that leads to the output reads it' };
  }

  if (isFloat(info) && isOrder(flow, info.name))
    return { role: 'order', how: 'the order of patches: ascending, so that they stay as they are' };

  const cache = cacheAxis(all, rank);
  if (isFloat(info) && cache) return pastOf(info, cache, context);

  const direct = usesOf(flow, info.name, main, counts);
  const argument = argumentRole(direct, rank);
  if (argument) return { tokenAxis: last, ...argument };
  // Ids and masks of an encoder meet weights before they meet the stream; positions and masks of the stream do not.
  if (all.through.some((node) => weightProduct(flow, node) !== undefined))
    return {
      role: 'features',
      how: 'given by the user: an encoder, or another part beside the residual stream, reads it',
    };
  // Positions counted from a mask are multiplied by it, so that it reaches their table; positions are never counted.
  const isCounted = all.through.some((node) => node.op === 'CumSum');
  if (!isFloat(info) && !isCounted) {
    const positions = positionRole(flow, direct, rank, positionRows);
    if (positions) return { tokenAxis: last, ...positions };
  }
  if (info.type === DataType.bool && isScalar(info)) return { role: 'flag', how: 'a switch: false' };
  if (isFloat(info) && !all.touches.every(({ node }) => isMasking(node)))
    return { role: 'features', how: 'floats given by the user' };
  if (isScalar(info)) return { role: 'past-length', how: 'a count of tokens in the cache: zero' };
  if (rank === 1) return { role: 'cache-position', tokenAxis: 0, how: 'positions in the cache: 0 to T - 1' };
  if (isFloat(info) && rank !== undefined && rank > 2)
    return { role: 'features', how: 'floats given by the user: they are added to the attention scores' };
  return { role: 'attention-mask', tokenAxis: last, how: 'ones: it masks attention' };
}

const isMasking = (node: Node) => ['Add', 'Where', 'Mul', 'Sub', 'And'].includes(node.op) || isFusedAttention(node);

interface Cache {
  /** The axis that counts tokens, where it grows. */
  readonly axis: number | undefined;
  /** Tokens that a cache of fixed length has room for, filled or not. */
  readonly room?: number;
}

/** The axis of a key or value cache that grows by the tokens that are run, if the uses are those of a cache. */
function cacheAxis({ touches, through }: Uses, rank: number | undefined): Cache | undefined {
  if (rank === undefined || rank < 3) return undefined;
  for (const { node, index } of touches) {
    if (node.op === 'Concat') {
      const axis = intAttribute(node, 'axis', 0);
      // Counted from the end, for caches that are unpacked on the way ([2, batch, heads, past, head_dim]).
      const fromEnd = axis < 0 ? axis : axis - (through.length > 0 ? 4 : rank);
      return { axis: rank + fromEnd };
    }
    const role = roleOf(node, index);
    if (role === 'past') return { axis: 3 };
    if (role === 'past-key' || role === 'past-value') return { axis: 2, room: attentionOperator(node)?.room?.(node) };
    if (['ScatterElements', 'ScatterND', 'TensorScatter'].includes(node.op) && index === 0) return { axis: undefined };
  }
  const split = through.filter((node) => node.op === 'Concat').length;
  return split > 0 && touches.length > 0 && touches.every(({ node }) => isFusedAttention(node))
    ? { axis: 2 }
    : undefined;
}

function pastOf(info: ValueInfo, { axis, room }: Cache, { kvHeads, headDim }: InputContext): Recognised {
  if (axis === undefined) return { role: 'past', how: 'a cache of fixed length: zeros' };
  const rank = info.shape?.length ?? 4;
  const extents: Record<number, number> = { [rank - 4]: 1 };
  if (rank === 5) extents[0] = 2;
  const headAxis = axis === rank - 2 ? rank - 3 : rank - 2;
  if (kvHeads !== undefined) extents[headAxis] = kvHeads;
  if (headDim !== undefined) extents[axis === rank - 1 ? rank - 2 : rank - 1] = headDim;
  for (const [place, extent] of (info.shape ?? []).entries())
    if (typeof extent === 'number' && place !== axis && extent > 0) extents[place] = extent;
  if (room)
    return { role: 'past', extents: { ...extents, [axis]: room }, how: `key/value cache of ${room} tokens: zeros` };
  return { role: 'past', tokenAxis: axis, extents, how: 'key/value cache: empty' };
}

const meanings: Readonly<Partial<Record<Role, Recognised>>> = {
  positions: { role: 'position-ids', how: 'positions: 0 to T - 1' },
  segments: { role: 'token-type-ids', how: 'segments: zeros' },
  padding: { role: 'attention-mask', how: 'ones: it masks attention' },
  'past-length': { role: 'past-length', how: 'a count of tokens in the cache: zero' },
  'last-key': { role: 'last-key-index', how: 'index of the last key: T - 1' },
  'key-count': { role: 'total-length', how: 'number of keys: T' },
};

/** What an operator that the main path goes through takes an input for. */
function argumentRole({ touches, through }: Uses, rank: number | undefined): Recognised | undefined {
  for (const { node, index } of touches) {
    const role = roleOf(node, index) ?? argumentOf(node, index);
    // What padding is computed from may be anything. With one axis it is the number of keys of each sequence.
    if (role === 'padding' && !through.every(isPassThrough)) continue;
    const meaning = role && meanings[role === 'padding' && rank === 1 ? 'key-count' : role];
    if (meaning) return meaning;
  }
  return undefined;
}

/** Roles that a lookup or a rotation gives, when it is reached without counting on the way (masks are counted). */
function positionRole(
  flow: Flow,
  { through, touches }: Uses,
  rank: number | undefined,
  positionRows: (rows: number) => void,
): Recognised | undefined {
  const nodes = [...through, ...touches.map(({ node }) => node)];
  for (const node of nodes) {
    const table = lookup(node);
    if (!table || !flow.isConstant(table.table)) continue;
    const tensorRows = rowsOf(flow, table.table);
    if (tensorRows === undefined || !isTable(flow, table.table)) continue;
    if (tensorRows <= maxTokenTypes) return { role: 'token-type-ids', how: 'segments: zeros' };
    positionRows(tensorRows - offsetOf(flow, table.indices));
    return { role: rank === 1 ? 'cache-position' : 'position-ids', how: 'positions: 0 to T - 1, looked up in a table' };
  }
  if (nodes.some(({ op }) => op === 'Cos' || op === 'Sin'))
    return {
      role: rank === 1 ? 'cache-position' : 'position-ids',
      how: 'positions: 0 to T - 1, turned into rotations',
    };
  return undefined;
}

/** A matrix of floats: no shape vector, no single constant. */
function isTable(flow: Flow, value: string): boolean {
  for (let current: string | undefined = value; current !== undefined; current = flow.producer(current)?.inputs[0]) {
    const tensor = flow.model.graph.initializers.get(current);
    if (tensor) return tensor.dims.length >= 2 && tensor.type !== DataType.int64 && tensor.type !== DataType.bool;
  }
  return false;
}

/** Rows of a position table that positions made in the graph index: learned positions or rotary caches. */
function tabulatedPositions(flow: Flow, main: ReadonlySet<string>): number | undefined {
  let rows: number | undefined;
  const note = (table: string, offset: number) => {
    const found = rowsOf(flow, table);
    if (found !== undefined && found > maxTokenTypes && isTable(flow, table))
      rows = Math.min(rows ?? found, found - offset);
  };
  // Not through any rearrangement: a table of relative positions meets the scores so, and its rows are no bound.
  const meetsMain = (value: string): boolean =>
    flow
      .consumers(value)
      .some(
        ({ op, outputs }) =>
          outputs.some((output) => main.has(output)) || (op === 'Cast' && outputs.some((output) => meetsMain(output))),
      );
  for (const node of flow.model.graph.nodes) {
    const rotary = inputAs(node, 'cos');
    if (rotary) note(rotary, 0);
    const table = lookup(node);
    if (
      table &&
      meetsMain(node.outputs[0] ?? '') &&
      flow.isConstant(table.table) &&
      !main.has(node.outputs[0] ?? '') &&
      flow.reads(node).length > 0
    )
      note(table.table, offsetOf(flow, table.indices));
  }
  return rows;
}

/** Rows before that of the first token: OPT's positions begin at 2, RoBERTa's are counted from 1 on and 1 is added. */
function offsetOf(flow: Flow, indices: string): number {
  let offset = 0;
  for (let value = indices; ; ) {
    const node = flow.producer(value);
    if (node?.op === 'CumSum') return offset + 1;
    if (node?.op !== 'Add' && node?.op !== 'Sub' && node?.op !== 'Mul' && !(node && isPassThrough(node))) return offset;
    const [first = '', second = ''] = node.inputs;
    const constant = flow.isConstant(second) ? second : flow.isConstant(first) ? first : undefined;
    const [amount = 0] = (constant !== undefined && partialVector(flow, constant)) || [];
    if (node.op === 'Add') offset += amount;
    if (node.op === 'Sub') offset -= amount;
    value = constant === first ? second : first;
  }
}
