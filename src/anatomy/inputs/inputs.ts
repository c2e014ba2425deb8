/** How each graph input is fed, from what the graph does with it. */
import { DataType, type Node, type ValueInfo } from '../../onnx/model.js';
import { quoted } from '../../visible.js';
import type { Input } from '../anatomy.js';
import { between, downstream, type Flow } from '../flow.js';
import type { Role } from '../operators/operator.js';
import { isFusedAttention, roleOf } from '../operators/table.js';
import { argumentOf, factors, isPassThrough } from '../ops.js';
import { isOrder, patchOf } from '../pictures.js';
import { weightProduct } from '../products.js';
import { type IdAxes, idAxes } from './axes.js';
import { type Cache, cacheAxis, pastOf } from './cache.js';
import { maskRole } from './masked.js';
import { countRole, placeRole } from './places.js';
import type { InputContext, Reader, Recognised, Uses } from './reader.js';
import { type Start, startOf } from './start.js';
import { isState } from './state.js';
import { tabulatedPositions } from './tables.js';
import { isFloat, isScalar, mayBeKept } from './types.js';

export interface Inputs {
  readonly inputs: readonly Input[];
  /** Output of the token lookup, or the float input that the main path starts from. */
  readonly source: string;
  /** Rows of the table that token ids index. */
  readonly rows: number | undefined;
  /** Most tokens that the position table has rows for, where positions are learned or tabulated. */
  readonly context: number | undefined;
}

/** Recognises every graph input. */
export function recogniseInputs(flow: Flow, context: InputContext): Inputs {
  const start = startOf(flow, context.embedding, context.head);
  const main = downstream(flow, start.source);
  const graphInputs = flow.model.graph.inputs;
  const uses = new Map(graphInputs.map(({ name }) => [name, usesOf(flow, name, main, () => false)]));
  const usesOfAll = (name: string): Uses => uses.get(name) ?? { touches: [], through: [] };
  // What joins the stream before its first block are rows of it, and no keys.
  const toStart = between(flow, start.source, context.embedding) ?? new Set();
  const cacheOf = (info: ValueInfo): Cache | undefined => {
    const found = usesOfAll(info.name);
    if (found.touches.some(({ node }) => toStart.has(node))) return undefined;
    // Keys and values are joined as they are; what products make of an input (patches, another stream) is none of them.
    const isMade = (value: string) => [...(between(flow, info.name, value) ?? [])].some((node) => factors(node));
    return cacheAxis({ ...found, touches: found.touches.filter(({ value }) => !isMade(value)) }, info);
  };
  const hasCache = graphInputs.some((info) => mayBeKept(info) && cacheOf(info));
  const idsInput = graphInputs.find(({ name }) => start.kind === 'ids' && name === (start.input ?? start.equal[0]));
  const ids = idsInput && idAxes(flow, idsInput);
  let rows: number | undefined;
  const positionRows = (found: number) => {
    rows = Math.max(rows ?? 0, found);
  };
  const inputs = graphInputs.map((info): Input => {
    const { name, type = 0, shape } = info;
    const direct = usesOf(flow, name, main, counts);
    const reader = { flow, info, main, start, ids, hasCache, all: usesOfAll(name), direct, positionRows };
    const found =
      name === start.input
        ? startRole(flow, start, ids)
        : recognise(reader, context, mayBeKept(info) ? cacheOf(info) : undefined);
    const { role, how, tokenAxis, extents = {}, keeps, guessed = false } = found;
    return { name, role, type, shape, tokenAxis, extents, along: undefined, keeps, how, guessed };
  });
  const isMasked = inputs.some(({ role }) => role === 'attention-mask');
  return {
    inputs: isMasked ? inputs : inputs.map(unmasked),
    source: start.source,
    rows: start.rows,
    context: rows ?? tabulatedPositions(flow, main),
  };
}

/** A cache of a declared length in a model without a mask: its zeros are keys like others. */
function unmasked(input: Input): Input {
  const { role, tokenAxis, shape } = input;
  const declared = role === 'past' && tokenAxis !== undefined ? shape?.[tokenAxis] : undefined;
  if (typeof declared !== 'number' || declared === 0) return input;
  const how = `key/value cache of ${declared} tokens: zeros, and nothing masks them, so that tokens see them as keys`;
  return { ...input, how, guessed: true };
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

/** The input that the main path starts from. */
function startRole(flow: Flow, { input, guess, codes }: Start, ids: IdAxes | undefined): Recognised {
  if (ids) {
    if (codes > 1) {
      const how = `token ids of ${codes} tables, several for each token`;
      return { role: 'codes', tokenAxis: ids.axis, how };
    }
    const how = 'token ids: it indexes the embedding table';
    const told = guess === undefined ? how : `${how}, ${guess}`;
    return { role: 'token-ids', tokenAxis: ids.axis, how: told, guessed: guess !== undefined || ids.named };
  }
  const channels = input === undefined ? undefined : patchOf(flow, input)?.channels;
  return {
    role: 'features',
    // Exporters leave even the number of channels open.
    extents: channels === undefined ? {} : { 1: channels },
    how: 'floats given by the user: the residual stream starts from it',
  };
}

const unread = (tokenAxis: number | undefined): Recognised => ({
  role: 'unused',
  tokenAxis,
  how: 'not fed: nothing that leads to the output reads it',
});

function recognise(reader: Reader, context: InputContext, cache: Cache | undefined): Recognised {
  const { flow, info, start, all, direct } = reader;
  const rank = info.shape?.length;
  const last = rank === undefined ? undefined : Math.max(0, rank - 1);
  if (all.touches.length === 0 && all.through.length === 0) {
    if (info.type === DataType.bool && isScalar(info)) return switchedOff(info.name);
    return unread(last);
  }
  // An output of its own, that has nothing of the stream in it, is none that is shown.
  if (all.touches.length === 0 && !between(flow, info.name, start.source)) return unread(last);
  if (start.equal.includes(info.name)) {
    const others = start.equal.filter((name) => name !== info.name).map(quoted);
    return {
      role: 'unknown',
      tokenAxis: last,
      how: `it and ${others.join(', ')} index one table, or tables of one size, and nothing tells which takes the token ids: give all of them`,
    };
  }
  if (isFloat(info) && isOrder(flow, info.name))
    return { role: 'order', how: 'the order of patches: ascending, so that they stay as they are' };

  if (isFloat(info) && isState(flow, info, all, cache !== undefined) && !isMask(reader))
    return {
      role: 'state',
      extents: { 0: typeof info.shape?.[0] === 'number' ? info.shape[0] : 1 },
      how: 'what a layer keeps of earlier tokens: zeros',
      guessed: cache === undefined,
    };
  if (cache) return pastOf(info, cache, context);

  const argument = argumentRole(direct, rank);
  if (argument) return { tokenAxis: last, ...argument };
  const row = countRole(reader);
  if (row) return row;
  // Ids and masks of an encoder meet weights before they meet the stream; positions and masks of the stream do not.
  if (all.through.some((node) => weightProduct(flow, node) !== undefined))
    return {
      role: 'features',
      how: 'given by the user: an encoder, or another part beside the residual stream, reads it',
    };
  // Positions counted from a mask are multiplied by it, so that it reaches their table; positions are never counted.
  const isCounted = all.through.some((node) => node.op === 'CumSum');
  const place = isFloat(info) || isCounted ? undefined : placeRole(reader);
  if (place) return place;
  if (info.type === DataType.bool && isScalar(info)) return { role: 'flag', how: 'a switch: false', guessed: true };
  if (isFloat(info) && !all.touches.every(({ node }) => isMasking(node)))
    return { role: 'features', how: 'floats given by the user' };
  return maskRole(reader);
}

/** Whether what zeros and ones in it would do proves that it masks. */
function isMask(reader: Reader): boolean {
  if (!reader.all.touches.every(({ node }) => isMasking(node))) return false;
  const { role, guessed } = maskRole(reader);
  return role === 'attention-mask' && !guessed;
}

/** A switch that chose a branch when the graph was prepared. */
function switchedOff(name: string): Recognised {
  const how = 'a switch, taken as false';
  return /cache|past/i.test(name)
    ? { role: 'unused', how: `${how}: the branch without a cache` }
    : { role: 'unused', how, guessed: true };
}

const isMasking = (node: Node) => ['Add', 'Where', 'Mul', 'Sub', 'And'].includes(node.op) || isFusedAttention(node);

const meanings: Readonly<Partial<Record<Role, Recognised>>> = {
  positions: { role: 'position-ids', how: 'positions: 0 to T - 1' },
  segments: { role: 'token-type-ids', how: 'segments: zeros' },
  padding: { role: 'attention-mask', keeps: 1, how: 'ones: it masks attention' },
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
