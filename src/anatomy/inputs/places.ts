/** Inputs that are looked up in tables, turned into rotations or compared with places: positions, segments, counts. */
import type { Node } from '../../onnx/model.js';
import { isPassThrough, lookup } from '../ops.js';
import { tokenAxisOf } from './axes.js';
import { readCount } from './masks.js';
import { saidBy } from './names.js';
import type { Reader, Recognised } from './reader.js';
import { isTable, maxTokenTypes, offsetOf, placesOwn, tableRoot, tableRows } from './tables.js';
import { isFloat, isScalar } from './types.js';

const compares = new Set(['Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual']);
const nodesOf = ({ direct: { through, touches } }: Reader) => [...through, ...touches.map(({ node }) => node)];

/** Numbers of a whole sequence: its length, what is in the cache, a row of a table; undefined for what has an axis of tokens. */
export function countRole(reader: Reader): Recognised | undefined {
  const { flow, info, hasCache } = reader;
  if (isFloat(info) || info.type === undefined || (!isScalar(info) && alongBatch(reader) === false)) return undefined;
  if (!isScalar(info) && info.shape?.length !== 1) return undefined;
  if (isScalar(info) && keepsLast(reader))
    return { role: 'kept-rows', how: 'of how many tokens, the last ones, there are logits: T' };
  const nodes = nodesOf(reader);
  const isOne = isScalar(info) || alongBatch(reader) === true;
  const table = nodes.map((node) => lookup(node)).find((found) => found && flow.isConstant(found.table));
  if (table && isOne && flow.model.graph.initializers.has(tableRoot(flow, table.table) ?? '')) {
    const rows = tableRows(flow, table.table) ?? 1;
    return { role: 'choice', how: `it chooses one of ${rows} rows of a table: a whole number from 0 to ${rows - 1}` };
  }
  const isPlace = nodes.some(
    ({ op }) => op === 'Cos' || op === 'Sin' || op.startsWith('Scatter') || op === 'TensorScatter',
  );
  const compared = nodes.filter(({ op }) => compares.has(op));
  if (compared.length === 0 || isPlace || table || (isScalar(info) && hasCache)) return undefined;
  // `arange < lengths` stops before a number, `arange <= positions` at it.
  const strict = compared.every(isStrict);
  if (!isOne && !strict) return undefined;
  const reading = readCount(flow, info, reader.main, reader.all);
  if (reading.kind === 'mask' && reading.keeps === 0)
    return { role: 'lengths', keeps: 0, how: '0: it counts tokens that are masked, and none is to be' };
  if (isOne && reading.kind === 'none')
    return { role: 'choice', how: 'it is compared with places, and masks nothing by itself' };
  // Of a prefix that all tokens see, say: T would let them see what comes after them.
  if (countsAPart.test(info.name))
    return { role: 'choice', how: 'it is compared with places, and its name says that it counts a part of the tokens' };
  const proven = reading.kind === 'mask';
  const guessed = !isOne || !strict || !proven || (saidBy(info.name) === 'other' && !countsAll.test(info.name));
  return { role: 'lengths', tokenAxis: undefined, how: 'the number of tokens: T', guessed };
}

/** Whether rows of the stream are cut by it and nothing else: `h[:, -n:]`. */
function keepsLast({ all: { touches, through } }: Reader): boolean {
  const isNegated = through.filter(({ op }) => op === 'Neg').length === 1;
  const cuts = touches.length > 0 && touches.every(({ node, index }) => node.op === 'Slice' && index === 1);
  return isNegated && cuts && through.every((node) => node.op === 'Neg' || isPassThrough(node));
}

const countsAPart = /prefix|prompt|window/i;
const countsAll = /len|size|count|num|valid|total/i;

const isStrict = (node: Node) => node.op === 'Less' || node.op === 'Greater' || node.op === 'GreaterOrEqual';

/** Whether the one axis of an input counts examples, as far as the file tells. */
function alongBatch({ info, ids }: Reader): boolean | undefined {
  const [extent] = info.shape ?? [];
  if (info.shape?.length !== 1 || extent === undefined || extent === null) return undefined;
  if (typeof extent === 'number') return extent === 1;
  if (extent === ids?.tokens) return false;
  return extent === ids?.batch ? true : undefined;
}

/** Roles that a lookup or a rotation gives, when it is reached without counting on the way (masks are counted). */
export function placeRole(reader: Reader): Recognised | undefined {
  const { flow, info, ids, start } = reader;
  const rank = info.shape?.length;
  const tokenAxis = tokenAxisOf(info, ids);
  const said = saidBy(info.name);
  const nodes = nodesOf(reader);
  if (start.shared.includes(info.name)) {
    const how = 'segments: zeros, looked up in the table of the tokens; told from the token ids by its name';
    return { role: 'token-type-ids', tokenAxis, how, guessed: true };
  }
  for (const node of nodes) {
    const table = lookup(node);
    if (!table || !flow.isConstant(table.table)) continue;
    const rows = tableRows(flow, table.table);
    if (rows === undefined || !isTable(flow, table.table)) continue;
    if (rank !== undefined && rank > 2 && tokenAxis !== undefined && tokenAxis < rank - 1)
      return { role: 'coordinates', tokenAxis, how: 'places of tokens, looked up in tables: zeros', guessed: true };
    const isFew = rows <= maxTokenTypes && said !== 'positions';
    if (isFew || said === 'segments')
      return { role: 'token-type-ids', tokenAxis, how: 'segments: zeros', guessed: said !== 'segments' };
    if (said !== undefined && said !== 'positions') {
      const how = `it is looked up in a table of ${rows} rows, and whether they are positions is not told`;
      return { role: 'unknown', tokenAxis, how };
    }
    if (said === undefined && placesOwn(flow, reader.main)) {
      const how = `it is looked up in a table of ${rows} rows, and the graph counts positions by itself`;
      return { role: 'unknown', tokenAxis, how };
    }
    reader.positionRows(rows - offsetOf(flow, table.indices));
    const role = rank === 1 ? 'cache-position' : 'position-ids';
    return { role, tokenAxis, how: 'positions: 0 to T - 1, looked up in a table', guessed: said !== 'positions' };
  }
  if (!nodes.some(({ op }) => op === 'Cos' || op === 'Sin')) return undefined;
  if (rank !== undefined && tokenAxis !== undefined && tokenAxis < rank - 1)
    return {
      role: 'unknown',
      tokenAxis,
      how: 'places of tokens, turned into rotations: several numbers for each token',
    };
  const role = rank === 1 ? 'cache-position' : 'position-ids';
  return { role, tokenAxis, how: 'positions: 0 to T - 1, turned into rotations' };
}
