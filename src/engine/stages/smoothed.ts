/**
 * A model whose outliers are shared between activations and weights (SmoothQuant, arXiv:2211.10438): what products read
 * is divided by a factor for each dim where it is made, and the products' weights are multiplied by it. In floats the
 * model gives what it gave.
 */
import { type Flow, flowOf } from '../../anatomy/flow.js';
import type { LinearInput } from '../../anatomy/linear.js';
import { isShapeOnly } from '../../anatomy/ops.js';
import { DataType, type Graph, intAttribute, type Model, type Node, type Tensor } from '../../onnx/model.js';
import { constantType } from './counterparts.js';
import type { LoadedModel } from './loaded.js';
import { quantisables } from './simulated.js';

/** A constant that a node reads, and what is done to it: along its last axis, or its last but one. */
interface Edit {
  readonly node: Node;
  readonly place: number;
  readonly op: 'Mul' | 'Div';
  readonly axis: -1 | -2;
}

/** What products read, and what changes where it is divided. */
interface Fold {
  readonly input: LinearInput;
  readonly edits: readonly Edit[];
}

/** Of each input of products by its tensor, what of the graph changes where it is divided; others cannot be. */
export function foldsOf(loaded: LoadedModel): ReadonlyMap<string, Fold> {
  const flow = flowOf(loaded.model);
  const take = quantisables(loaded.model, { takes: ['MatMul', 'Gemm'] });
  const products = new Set(loaded.linear().flatMap(({ products }) => products.flatMap((one) => take(one)?.node ?? [])));
  const outputs = new Set(loaded.model.graph.outputs.map(({ name }) => name));
  const folds = new Map<string, Fold>();
  for (const input of loaded.linear()) {
    const { tensor, axis } = input;
    const readers = flow.consumers(tensor).filter((node) => !isShapeOnly(node));
    const isOthers = readers.some((node) => !products.has(node) || node.inputs[0] !== tensor);
    if (axis !== -1 || isOthers || readers.length === 0 || outputs.has(tensor)) continue;
    const made = makerOf(flow, products, tensor);
    const weights = readers.map((node): Edit => ({ node, place: 1, op: 'Mul', axis: isTurned(node) ? -1 : -2 }));
    if (made) folds.set(tensor, { input, edits: [...made, ...weights] });
  }
  return folds;
}

const isTurned = (node: Node) => intAttribute(node, 'transB', 0) !== 0;

const norms = new Set(['LayerNormalization', 'SimplifiedLayerNormalization', 'RMSNormalization']);

/** What is divided where a value is made: the scale and shift of a norm, or the weight of a product that is gated. */
function makerOf(flow: Flow, products: ReadonlySet<Node>, value: string): readonly Edit[] | undefined {
  const node = flow.producer(value);
  if (!node || node.outputs[0] !== value) return undefined;
  const constantAt = (one: Node) => one.inputs.findIndex((input) => isVector(flow, input));
  const divide = (one: Node, place: number): Edit => ({ node: one, place, op: 'Div', axis: -1 });
  if (norms.has(node.op)) {
    const places = [1, 2].filter((place) => (node.inputs[place] ?? '') !== '');
    const isWhole =
      intAttribute(node, 'axis', -1) === -1 && places.every((place) => isVector(flow, node.inputs[place] ?? ''));
    return isWhole ? places.map((place) => divide(node, place)) : undefined;
  }
  if (node.domain !== '') return undefined;
  const place = constantAt(node);
  if (node.op === 'Mul' && place >= 0) return [divide(node, place)];
  if (node.op === 'Add' && place >= 0) {
    const scaled = node.inputs[1 - place] ?? '';
    const scale = flow.producer(scaled);
    const at = scale?.op === 'Mul' ? constantAt(scale) : -1;
    return scale && at >= 0 && flow.consumers(scaled).length === 1
      ? [divide(scale, at), divide(node, place)]
      : undefined;
  }
  if (node.op !== 'Mul') return undefined;
  const gated = node.inputs
    .filter((input) => flow.consumers(input).length === 1)
    .flatMap((input) => flow.producer(input) ?? [])
    .find((one) => products.has(one) && one.inputs.length === 2);
  return gated && [{ node: gated, place: 1, op: 'Div', axis: isTurned(gated) ? -2 : -1 }];
}

/** A constant in single precision with no axis but the last. */
function isVector(flow: Flow, value: string): boolean {
  if (value === '' || !flow.isConstant(value) || constantType(flow, value) !== DataType.float) return false;
  let name = value;
  for (let node = flow.producer(name); node; node = flow.producer(name)) {
    if (node.op !== 'Cast' && node.op !== 'Identity') return false;
    name = node.inputs[0] ?? '';
  }
  const dims = flow.model.graph.initializers.get(name)?.dims;
  return dims !== undefined && (dims.at(-1) ?? 0) > 1 && dims.slice(0, -1).every((extent) => extent === 1);
}

/** A model that was smoothed, and the constants that it has others of: values of its graph. */
export interface Smoothed {
  readonly loaded: LoadedModel;
  readonly changed: ReadonlySet<string>;
}

/**
 * `loaded` with what products read divided by factors. Values are called as before; changed constants are computed from
 * those of the file when a session is made.
 *
 * @param factors by tensor; those that cannot be folded are left out
 */
export function smoothed(loaded: LoadedModel, factors: ReadonlyMap<string, Float32Array>): Smoothed {
  const folds = foldsOf(loaded);
  const edits = [...factors].flatMap(([tensor, by]) =>
    (folds.get(tensor)?.edits ?? []).map((edit) => ({ ...edit, by })),
  );
  const { graph } = loaded.model;
  const initializers = new Map<string, Tensor>(graph.initializers);
  const made: Node[] = [];
  const inputsOf = new Map<Node, string[]>();
  const changed = new Set<string>();
  for (const { node, place, op, axis, by } of edits) {
    const inputs = inputsOf.get(node) ?? [...node.inputs];
    const before = inputs[place] ?? '';
    const name = `${node.outputs[0]}#smoothed/${place}/${made.length}`;
    const dims = axis === -1 ? [by.length] : [by.length, 1];
    initializers.set(`${name}/by`, {
      name: `${name}/by`,
      type: DataType.float,
      dims,
      data: new Uint8Array(Float32Array.from(by).buffer),
    });
    made.push({ name, op, domain: '', inputs: [before, `${name}/by`], outputs: [name], attributes: new Map() });
    inputs[place] = name;
    inputsOf.set(node, inputs);
    changed.delete(before);
    changed.add(name);
  }
  const replaced = new Map([...inputsOf].map(([node, inputs]) => [node, { ...node, inputs }]));
  const nodes = placed(graph, made, replaced);
  const linear = loaded.linear().map((input) => ({
    ...input,
    products: input.products.map((product) => {
      const node = replaced.get(product.node);
      return node ? { ...product, node, weights: node.inputs.slice(1, 2) } : product;
    }),
  }));
  const model: Model = { ...loaded.model, graph: { ...graph, nodes, initializers } };
  return { loaded: { ...loaded, model, linear: () => linear }, changed };
}

/** New constants stand before their first reader. */
function placed(graph: Graph, made: readonly Node[], replaced: ReadonlyMap<Node, Node>): readonly Node[] {
  const byOutput = new Map(made.map((node) => [node.outputs[0] ?? '', node]));
  const before = (value: string): Node[] => {
    const node = byOutput.get(value);
    return node ? [...node.inputs.flatMap(before), node] : [];
  };
  return graph.nodes.flatMap((old) => {
    const node = replaced.get(old);
    return node ? [...node.inputs.flatMap(before), node] : [old];
  });
}
