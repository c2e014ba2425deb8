/** A model that computes in single precision what its file has in others: gradients are lost in half of it. */
import { type Attribute, DataType, type Graph, type Node, type Tensor, type ValueInfo } from '../onnx/model.js';
import { Names, renamed } from '../onnx/rename.js';
import { constantNumbers } from '../onnx/tensor.js';

const others = new Set<DataType>([DataType.float16, DataType.bfloat16, DataType.double]);

const isOther = (type: DataType | undefined): boolean => type !== undefined && others.has(type);

/**
 * The graph with every float in single precision: weights and inputs are cast where they are read, and so are casts to
 * other floats. Names of values stay.
 */
export function singlePrecision(graph: Graph): Graph {
  const stored = [...graph.initializers.values()].filter(({ type }) => isOther(type));
  const fed = graph.inputs.filter(({ type }) => isOther(type));
  if (stored.length === 0 && fed.length === 0 && !graph.nodes.some(castsElsewhere)) return graph;
  const names = new Names(graph);
  const initializers = new Map(graph.initializers);
  const casts: Node[] = [];
  for (const tensor of stored) {
    const name = names.fresh(`${tensor.name}#stored`);
    initializers.delete(tensor.name);
    initializers.set(name, { ...tensor, name });
    casts.push(cast(name, tensor.name));
  }
  const read = new Map(fed.map(({ name }) => [name, names.fresh(`${name}#single`)]));
  for (const [name, single] of read) casts.push(cast(name, single));
  const nodes = graph.nodes.map((node) => {
    const reading = renamed({ ...node, outputs: [] }, (name) => read.get(name) ?? name);
    return { ...reading, outputs: node.outputs, attributes: new Map([...node.attributes].map(single)) };
  });
  const valueInfo = new Map([...graph.valueInfo].map(([name, info]) => [name, declared(info)]));
  return { ...graph, initializers, nodes: [...casts, ...nodes], valueInfo, outputs: graph.outputs.map(declared) };
}

const castsElsewhere = ({ attributes }: Node): boolean =>
  [...attributes.values()].some((attribute) =>
    attribute.kind === 'tensor'
      ? isOther(attribute.value.type)
      : attribute.kind === 'int' && isOther(Number(attribute.value)),
  );

const cast = (from: string, to: string): Node => ({
  name: '',
  op: 'Cast',
  domain: '',
  inputs: [from],
  outputs: [to],
  attributes: new Map([['to', { kind: 'int', value: BigInt(DataType.float) }]]),
});

const typed = new Set(['to', 'dtype', 'output_dtype', 'stash_type']);

const single = ([name, attribute]: [string, Attribute]): [string, Attribute] => {
  if (attribute.kind === 'int' && typed.has(name) && isOther(Number(attribute.value)))
    return [name, { kind: 'int', value: BigInt(DataType.float) }];
  if (attribute.kind === 'tensor' && isOther(attribute.value.type))
    return [name, { kind: 'tensor', value: inSingle(attribute.value) }];
  return [name, attribute];
};

/** What a `ConstantOfShape` is filled with. */
function inSingle(tensor: Tensor): Tensor {
  const values = Float32Array.from(constantNumbers(tensor));
  return { ...tensor, type: DataType.float, data: new Uint8Array(values.buffer) };
}

const declared = (info: ValueInfo): ValueInfo => (isOther(info.type) ? { ...info, type: DataType.float } : info);
