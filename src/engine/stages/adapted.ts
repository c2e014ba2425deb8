/**
 * A model with low-rank adapters (LoRA, arXiv:2106.09685) beside its products, and with weights that can be dropped, as
 * a rewrite of its graph. What is trained and what is dropped is fed, so that sessions last from step to step.
 */
import { Calculus } from '../../gradients/calculus.js';
import { DataType, type Graph, type Node, type Tensor, type ValueInfo } from '../../onnx/model.js';
import type { Adapter, Dropped } from './adaptable.js';
import type { LoadedModel } from './loaded.js';
import type { PlainProduct } from './plain.js';

/** α ÷ r: α is twice the rank. */
export const scaling = 2;

/** The model with inputs for adapters and masks; values are called as before. */
export function adapted(loaded: LoadedModel, adapters: readonly Adapter[], drops: readonly Dropped[]): LoadedModel {
  const { model } = loaded;
  const initializers = new Map(model.graph.initializers);
  const byOutput = new Map<string, { adapter?: Adapter; drop?: Dropped }>();
  const at = ({ node }: PlainProduct) => {
    const [output = ''] = node.outputs;
    const found = byOutput.get(output) ?? {};
    byOutput.set(output, found);
    return found;
  };
  for (const adapter of adapters) at(adapter.product).adapter = adapter;
  for (const drop of drops) at(drop.product).drop = drop;
  const nodes = model.graph.nodes.flatMap((node): Node[] => {
    const [output = ''] = node.outputs;
    const found = byOutput.get(output);
    if (!found) return [node];
    const build = new Calculus(`sinkscope/adapted/${output}/`, model.opsets.get('') ?? 1);
    const whole = `${output}#whole`;
    let value = whole;
    const [read = ''] = node.inputs;
    const { adapter, drop } = found;
    if (drop) value = build.sub(value, missing(build, read, drop, initializers));
    if (adapter) value = build.add2(value, build.times(lowRank(build, read, adapter), scaling));
    const made = build.nodes.flatMap((one): Node[] => {
      const constant = one.op === 'Constant' ? one.attributes.get('value') : undefined;
      if (constant?.kind !== 'tensor') return [renamedTo(one, value, output)];
      initializers.set(one.outputs[0] ?? '', constant.value);
      return [];
    });
    return [{ ...node, outputs: [whole] }, ...made];
  });
  const inputs: ValueInfo[] = [...adapters.flatMap(({ a, b }) => [a, b]), ...drops.map(({ mask }) => mask)].map(
    (name) => ({ name, type: DataType.float, shape: [null, null] }),
  );
  const graph: Graph = { ...model.graph, nodes, initializers, inputs: [...model.graph.inputs, ...inputs] };
  return { ...loaded, model: { ...model, graph } };
}

const renamedTo = (node: Node, from: string, to: string): Node => ({
  ...node,
  outputs: node.outputs.map((output) => (output === from ? to : output)),
});

const lowRank = (build: Calculus, read: string, { a, b }: Adapter): string =>
  build.product(build.product(read, a, { b: true }), b, { b: true });

/** What the dropped entries of a weight give, [T, outputs]: nothing but in their own columns. */
function missing(build: Calculus, read: string, drop: Dropped, initializers: Map<string, Tensor>): string {
  const { product, rows, mask } = drop;
  const chosen = build.node('Gather', [product.weight, build.ints(rows)], { axis: product.turned ? 0 : 1 });
  const own = build.mul(product.turned ? chosen : build.transpose(chosen, [1, 0]), mask);
  const places = new Float32Array(rows.length * product.outputs);
  for (const [i, row] of rows.entries()) places[i * product.outputs + row] = 1;
  const name = `${mask}/places`;
  const data = new Uint8Array(places.buffer);
  initializers.set(name, { name, type: DataType.float, dims: [rows.length, product.outputs], data });
  return build.product(build.product(read, own, { b: true }), name);
}

/** The model with adapters added to its weights, which become constants of their own. */
export function withAdapters(
  loaded: LoadedModel,
  adapters: readonly Adapter[],
  valuesOf: (input: string) => Float32Array,
): { readonly loaded: LoadedModel; readonly changed: ReadonlySet<string> } {
  const { model } = loaded;
  const initializers = new Map(model.graph.initializers);
  const byOutput = new Map(adapters.map((adapter) => [adapter.product.node.outputs[0], adapter]));
  const changed = new Set<string>();
  const constant = (name: string, dims: readonly number[]) => {
    const values = valuesOf(name);
    const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    initializers.set(name, { name, type: DataType.float, dims, data });
    return name;
  };
  const nodes = model.graph.nodes.flatMap((node): Node[] => {
    const adapter = byOutput.get(node.outputs[0] ?? '');
    if (!adapter) return [node];
    const { product, a, b } = adapter;
    const rank = valuesOf(a).length / product.inputs;
    const build = new Calculus(`sinkscope/merged/${adapter.module}/`, model.opsets.get('') ?? 1);
    const [down, up] = [constant(a, [rank, product.inputs]), constant(b, [product.outputs, rank])];
    const outer = product.turned
      ? build.product(up, down)
      : build.product(build.transpose(down, [1, 0]), build.transpose(up, [1, 0]));
    const added = build.times(outer, scaling);
    const isSingle = product.type === DataType.float;
    const cast = (value: string, type: number) => (isSingle ? value : build.node('Cast', [value], { to: type }));
    const name = cast(build.add2(cast(product.weight, DataType.float), added), product.type);
    changed.add(name);
    return [...build.nodes, { ...node, inputs: node.inputs.map((input, i) => (i === 1 ? name : input)) }];
  });
  return { loaded: { ...loaded, model: { ...model, graph: { ...model.graph, nodes, initializers } } }, changed };
}
