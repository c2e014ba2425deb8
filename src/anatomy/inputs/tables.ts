/** Tables whose rows are looked up: how many they have, and at which row they begin. */
import { DataType, type Node } from '../../onnx/model.js';
import { partialVector } from '../extents.js';
import { type Flow, stripped } from '../flow.js';
import { inputAs } from '../operators/table.js';
import { isPassThrough, lookup } from '../ops.js';

/** A table of more rows than this holds positions, not kinds of segment. */
export const maxTokenTypes = 16;

/** The initializer that a table, or a weight, is made of; undefined where it is none. */
export function tableRoot(flow: Flow, table: string): string | undefined {
  for (let value: string | undefined = table; value !== undefined; value = flow.producer(value)?.inputs[0])
    if (flow.model.graph.initializers.has(value)) return value;
  return undefined;
}

const tensorOf = (flow: Flow, table: string) => flow.model.graph.initializers.get(tableRoot(flow, table) ?? '');

/** Rows of a table, which may be kept as columns: one matrix for the tokens and for the head. */
export function tableRows(flow: Flow, table: string): number | undefined {
  const isTurned = turns(flow, table) % 2 === 1;
  return tensorOf(flow, table)?.dims.at(isTurned ? -1 : 0);
}

function turns(flow: Flow, table: string): number {
  let count = 0;
  for (let node = flow.producer(table); node; node = flow.producer(node.inputs[0] ?? ''))
    if (node.op === 'Transpose') count++;
  return count;
}

/** A matrix of floats: no shape vector, no single constant. */
export function isTable(flow: Flow, table: string): boolean {
  const tensor = tensorOf(flow, table);
  return (
    tensor !== undefined && tensor.dims.length >= 2 && tensor.type !== DataType.int64 && tensor.type !== DataType.bool
  );
}

const picking = new Set(['Gather', 'GatherND', 'Slice', 'Split']);
const keepsIndices = new Set([
  'Clip',
  'Max',
  'Min',
  'Where',
  'Slice',
  'Add',
  'Sub',
  'Transpose',
  'Mul',
  'Gather',
  'GatherND',
  'Split',
]);

/** The graph input whose elements `value` repeats, all or a part of them, in another shape or type or shifted. */
export function inputAbove(
  flow: Flow,
  value: string,
): { readonly input: string; readonly isPart: boolean } | undefined {
  const origin = stripped(flow, value);
  const node = flow.producer(origin);
  if (!node) {
    const isInput = flow.model.graph.inputs.some(({ name }) => name === origin);
    return isInput ? { input: origin, isPart: false } : undefined;
  }
  // Bounds of a cut say which ids are looked up, and are none (XLM takes as many as there are).
  const [only, ...others] = node.op === 'Slice' ? node.inputs.slice(0, 1) : flow.reads(node);
  if (!keepsIndices.has(node.op) || only === undefined || others.length > 0) return undefined;
  const above = inputAbove(flow, only);
  return above && { ...above, isPart: above.isPart || picking.has(node.op) };
}

/** What joins ids of the model's own, the same in every run, with those that an input gives, where `indices` are both. */
export function joinedIds(flow: Flow, indices: string): { readonly join: Node; readonly input: string } | undefined {
  const join = flow.producer(stripped(flow, indices));
  if (join?.op !== 'Concat') return undefined;
  const [given, ...others] = join.inputs.flatMap((part) => inputAbove(flow, part)?.input ?? []);
  return given !== undefined && others.length === 0 ? { join, input: given } : undefined;
}

/** Rows before that of the first token: OPT's positions begin at 2, RoBERTa's are counted from 1 on and 1 is added. */
export function offsetOf(flow: Flow, indices: string): number {
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

/** Whether the stream starts from a table of positions whose rows are not told by an input. */
export function placesOwn(flow: Flow, main: ReadonlySet<string>): boolean {
  return flow.model.graph.nodes.some((node) => {
    const table = lookup(node);
    const [output = ''] = node.outputs;
    if (!table || main.has(output) || !flow.isConstant(table.table) || !isTable(flow, table.table)) return false;
    return (
      (tableRows(flow, table.table) ?? 0) > maxTokenTypes &&
      inputAbove(flow, table.indices) === undefined &&
      flow.consumers(output).some(({ outputs }) => outputs.some((made) => main.has(made)))
    );
  });
}

/** Rows of a position table that positions made in the graph index: learned positions or rotary caches. */
export function tabulatedPositions(flow: Flow, main: ReadonlySet<string>): number | undefined {
  let rows: number | undefined;
  const note = (table: string, offset: number) => {
    const found = tableRows(flow, table);
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
