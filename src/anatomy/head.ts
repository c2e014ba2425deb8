/** What comes after the last residual point: the final norm, and what the model gives. */

import type { Node } from '../onnx/model.js';
import type { Anatomy, Output } from './anatomy.js';
import { declaredExtents } from './extents.js';
import { between, type Flow, stripped } from './flow.js';
import { tableRoot } from './inputs/tables.js';
import { lookup } from './ops.js';
import { lastProduct, type WeightProduct, weightProduct } from './products.js';

export interface End {
  /** The first output in the order of the file that depends on the last residual. */
  readonly output: string;
  readonly finalNorm: Anatomy['finalNorm'];
  /** The product with a weight that the output ends in, where it is computed from the last residual. */
  readonly product: WeightProduct | undefined;
  /** All of them. */
  readonly outputs: readonly Output[];
}

/** Undefined where no output depends on the last residual. */
export function endOf(flow: Flow, residual: string): End | undefined {
  const names = flow.model.graph.outputs.map(({ name }) => name);
  const [output, ...others] = names.filter((name) => name === residual || between(flow, residual, name));
  if (output === undefined) return undefined;
  const product = headProduct(flow, residual, output);
  return {
    output,
    product,
    finalNorm: finalNormOf(flow, residual, product?.activation ?? output),
    outputs: [output, ...others].map((name) => outputOf(flow, residual, name)),
  };
}

function headProduct(flow: Flow, residual: string, output: string): WeightProduct | undefined {
  const product = lastProduct(flow, probabilitiesOf(flow, output)?.inputs[0] ?? output);
  const isHead = product && (product.activation === residual || between(flow, residual, product.activation));
  return isHead ? product : undefined;
}

/** The softmax or sigmoid that an output ends in. */
function probabilitiesOf(flow: Flow, output: string): Node | undefined {
  const node = flow.producer(stripped(flow, output));
  return node?.op === 'Softmax' || node?.op === 'Sigmoid' ? node : undefined;
}

function outputOf(flow: Flow, residual: string, name: string): Output {
  const product = headProduct(flow, residual, name);
  const isStates =
    !product && (stripped(flow, name) === residual || finalNormOf(flow, residual, name)?.output === name);
  const isGiven = probabilitiesOf(flow, name) !== undefined;
  const made = isStates ? 'states' : isGiven ? 'probabilities' : isUnit(flow, name) ? 'unit' : undefined;
  return { name, columns: product?.columns, made };
}

/** Divided by its own length. */
function isUnit(flow: Flow, output: string): boolean {
  const node = flow.producer(stripped(flow, output));
  if (node?.op === 'LpNormalization') return true;
  if (node?.op !== 'Div') return false;
  let value = node.inputs[1] ?? '';
  for (let step = 0; step < 6; step++) {
    const before = flow.producer(value);
    if (!before) return false;
    if (before.op === 'ReduceL2' || before.op === 'Sqrt') return true;
    value = before.inputs[0] ?? '';
  }
  return false;
}

const choosing = new Set(['Gather', 'GatherND', 'GatherElements', 'Slice', 'Split', 'ArgMax']);

/** The norm of the last residual: what the head reads, before tokens are chosen; no product stands before it. */
function finalNormOf(flow: Flow, residual: string, read: string): Anatomy['finalNorm'] {
  let output = stripped(flow, read);
  for (let node = flow.producer(output); node && choosing.has(node.op); node = flow.producer(output))
    output = stripped(flow, node.inputs[0] ?? '');
  const nodes = [...(between(flow, residual, output) ?? [])];
  if (isUnit(flow, read) || nodes.some((node) => weightProduct(flow, node) !== undefined)) return undefined;
  if (!nodes.some(({ op }) => op.includes('Norm') || op === 'Sqrt' || op === 'Pow')) return undefined;
  // As the head reads it, in its own precision and shape.
  return { output: output === stripped(flow, read) ? read : output };
}

/**
 * Whether a product gives scores over the vocabulary that ids come from: it multiplies by their table, or has as many
 * columns as the table has rows, up to what exporters pad.
 */
export function isVocabulary(
  flow: Flow,
  product: WeightProduct,
  table: string | undefined,
  rows: number | undefined,
): boolean {
  if (rows === undefined) return true;
  const root = tableRoot(flow, product.weight);
  if (root !== undefined && root === table) return true;
  return product.columns === undefined || Math.abs(product.columns - rows) <= padding * rows;
}

/** Of the rows. */
const padding = 0.1;

/** The table that a lookup reads. */
export function tableRead(flow: Flow, source: string): string | undefined {
  const node = flow.producer(source);
  const table = node && lookup(node)?.table;
  return table === undefined ? undefined : tableRoot(flow, table);
}

/** Whether the head has a row for each token, as far as the file tells: its output has their axis, and no token is chosen. */
export function isPerToken(flow: Flow, residual: string, { output, product }: End): boolean {
  const nodes = [...(between(flow, residual, product?.activation ?? output) ?? [])];
  const isPooled = nodes.some(({ op }) => op !== 'Slice' && op !== 'Split' && choosing.has(op));
  return !isPooled && (declaredExtents(flow, output)?.length ?? 3) >= 3;
}
