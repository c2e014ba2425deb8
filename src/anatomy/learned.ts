/**
 * Learned queries of a file of fixed shapes. A decoder whose queries are learned (DETR) attends among them before it
 * reads any input, so that all of that is constant, and with it the beginning of its residual stream. With an open
 * batch the queries are repeated as often as there are examples and read an input for that; in a file of fixed shapes
 * they are made to, by an operator that leaves them as they are: `Expand` to no shape at all.
 */
import { DataType, type Model, type Node, type Tensor } from '../onnx/model.js';
import { Names, type Renaming, renamed } from '../onnx/rename.js';
import { elementCount, readTensor } from '../onnx/tensor.js';
import { type Flow, flowOf, stripped } from './flow.js';
import { isFusedAttention } from './operators/table.js';
import { factors, isSum } from './ops.js';
import { type WeightProduct, weightProduct } from './products.js';

/** Versions of ai.onnx from which on `Slice` takes its bounds as inputs. */
const leastOpset = 10;

/** How far the way from a sum back to its attention, and above it to the queries, is followed. */
const maxSteps = 64;

/** The model with the beginning of its learned queries' stream told from constants; the same where it has none. */
export function withLearnedQueries(flow: Flow): Flow {
  const { model } = flow;
  const [input] = model.graph.inputs;
  if (!input || (model.opsets.get('') ?? 1) < leastOpset) return flow;
  const skip = model.graph.nodes.map((node) => constantSkip(flow, node)).find((found) => found !== undefined);
  return skip === undefined ? flow : flowOf(varying(model, beginningOf(flow, skip), input.name));
}

/** The constant that a branch which attends with constant queries is added to. */
function constantSkip(flow: Flow, node: Node): string | undefined {
  if (!isSum(node)) return undefined;
  const [branch, ...others] = flow.reads(node);
  const skip = node.inputs.find((term) => flow.isConstant(term));
  if (branch === undefined || skip === undefined || others.length > 0) return undefined;
  const product = projectionOf(flow, branch);
  if (!product || isBias(flow, skip, product)) return undefined;
  return attendsByConstants(flow, product.activation) ? skip : undefined;
}

/** A row that is added to all, or what may be one. */
function isBias(flow: Flow, term: string, { columns }: WeightProduct): boolean {
  const tensor = flow.model.graph.initializers.get(term);
  return tensor !== undefined && elementCount(tensor.dims) <= (columns ?? Number.POSITIVE_INFINITY);
}

/** The product with a weight that a branch ends in, before biases. */
function projectionOf(flow: Flow, branch: string): WeightProduct | undefined {
  let value = stripped(flow, branch);
  for (let step = 0; step < 4; step++) {
    const node = flow.producer(value);
    if (!node) return undefined;
    const product = weightProduct(flow, node);
    if (product) return product;
    const [only, ...others] = flow.reads(node);
    if (!isSum(node) || only === undefined || others.length > 0) return undefined;
    value = stripped(flow, only);
  }
  return undefined;
}

/** Whether what is projected weighs values by scores of constants and of something else. */
function attendsByConstants(flow: Flow, weighed: string): boolean {
  const seen = new Set([weighed]);
  for (const value of seen) {
    const node = seen.size < maxSteps ? flow.producer(value) : undefined;
    if (!node || weightProduct(flow, node)) continue;
    if (isFusedAttention(node)) return flow.isConstant(node.inputs[0] ?? '');
    const pair = factors(node);
    if (node.op === 'Softmax' && scoresConstants(flow, node.inputs[0] ?? '')) return true;
    for (const next of pair ? pair.filter((factor) => !flow.isConstant(factor)) : flow.reads(node)) seen.add(next);
  }
  return false;
}

/** Whether scores, scaled or masked, are a product of which one side alone is constant and no weight of its own. */
function scoresConstants(flow: Flow, scores: string): boolean {
  const seen = new Set([scores]);
  for (const value of seen) {
    const node = seen.size < maxSteps ? flow.producer(value) : undefined;
    const pair = node && factors(node);
    if (pair) return pair.some(flow.isConstant) && !pair.every(flow.isConstant);
    for (const next of node ? flow.reads(node) : []) seen.add(next);
  }
  return false;
}

/** What a residual stream of constants is made of. */
interface Beginning {
  /** Its first point. */
  readonly first: string;
  /** All that comes to its last point. */
  readonly above: ReadonlySet<string>;
}

/** Where the constants begin that come to a skip by residual additions: before their attention among themselves. */
function beginningOf(flow: Flow, skip: string): Beginning {
  const above = new Set([skip]);
  for (const value of above) for (const input of flow.producer(value)?.inputs ?? []) if (input !== '') above.add(input);
  const attended = new Set<string>();
  for (const node of flow.model.graph.nodes) {
    if (!node.outputs.some((output) => above.has(output))) continue;
    const [left, right] = node.inputs.map((term) => attended.has(term));
    if (isSum(node) && left !== right) {
      const first = node.inputs[left ? 1 : 0] ?? '';
      const tensor = flow.model.graph.initializers.get(first);
      if (!tensor || tensor.dims.length > 1) return { first, above };
    }
    if (node.op === 'Softmax' || isFusedAttention(node) || node.inputs.some((term) => attended.has(term)))
      for (const output of node.outputs) attended.add(output);
  }
  return { first: skip, above };
}

/**
 * The model in which the first point reads `input`, of whose shape it takes nothing. A target of zeros is written once
 * for every reader, and what is added to it is written as what is added alone: both are undone. Later blocks read the
 * queries as they are: there they are added like positions.
 */
function varying(model: Model, { first, above }: Beginning, input: string): Model {
  const { graph } = model;
  const names = new Names(graph);
  const [shape, none, zero, queries] = [
    names.fresh(`${first}/shape`),
    names.fresh(`${first}/none`),
    names.fresh(`${first}/zero`),
    names.fresh(`${first}/queries`),
  ];
  const node = (op: string, inputs: readonly string[], output: string): Node => {
    return { name: output, op, domain: '', inputs, outputs: [output], attributes: new Map() };
  };
  const made = [
    node('Shape', [input], shape),
    node('Slice', [shape, zero, zero], none),
    node('Expand', [first, none], queries),
  ];
  const reading = new Map([[first, queries]]);
  const own = graph.initializers.get(first);
  const bytes = own && own.dims.length > 1 ? readTensor(own) : undefined;
  const isZero = bytes?.every((byte) => byte === 0);
  for (const tensor of graph.initializers.values()) {
    const { name, type, dims } = tensor;
    if (!bytes || name === first || !above.has(name) || type !== own?.type || dims.join() !== own.dims.join()) continue;
    if (Buffer.compare(readTensor(tensor), bytes) === 0) reading.set(name, queries);
    else if (isZero) {
      const sum = names.fresh(`${name}/queries`);
      made.push(node('Add', [queries, name], sum));
      reading.set(name, sum);
    }
  }
  const nodes = graph.nodes.map((one) => {
    const isEarly = one.outputs.some((output) => above.has(output));
    const rename: Renaming = (name) => (isEarly || name === first ? (reading.get(name) ?? name) : name);
    return { ...renamed({ ...one, outputs: [] }, rename), outputs: one.outputs };
  });
  const from = graph.nodes.findIndex(({ outputs }) => outputs.includes(first)) + 1;
  const info = graph.valueInfo.get(first);
  const valueInfo = info ? new Map([...graph.valueInfo, [queries, { ...info, name: queries }]]) : graph.valueInfo;
  const bound: Tensor = { name: zero, type: DataType.int64, dims: [1], data: new Uint8Array(8) };
  return {
    ...model,
    graph: {
      ...graph,
      nodes: [...nodes.slice(0, from), ...made, ...nodes.slice(from)],
      initializers: new Map([...graph.initializers, [zero, bound]]),
      valueInfo,
    },
  };
}
