/** `Constant` nodes as initializers. */
import { type Attribute, DataType, type Tensor } from './model.js';
import type { Pass } from './pass.js';

/** `Constant` nodes of the top level become initializers. After it the only ones left are sparse ones and strings. */
export const hoistConstants: Pass = (graph) => {
  const initializers = new Map(graph.initializers);
  const nodes = graph.nodes.filter((node) => {
    const [name] = node.outputs;
    const [attribute] = node.attributes;
    if (node.op !== 'Constant' || node.domain !== '' || !name || !attribute) return true;
    const tensor = constant(name, ...attribute);
    if (tensor === undefined) return true;
    initializers.set(name, tensor);
    return false;
  });
  return nodes.length === graph.nodes.length ? graph : { ...graph, nodes, initializers };
};

function constant(name: string, key: string, attribute: Attribute): Tensor | undefined {
  if (key === 'value' && attribute.kind === 'tensor') return { ...attribute.value, name };
  if (key === 'value_int' && attribute.kind === 'int') return int64Tensor(name, [], [attribute.value]);
  if (key === 'value_ints' && attribute.kind === 'ints') {
    return int64Tensor(name, [attribute.value.length], attribute.value);
  }
  if (key === 'value_float' && attribute.kind === 'float') return floatTensor(name, [], [attribute.value]);
  if (key === 'value_floats' && attribute.kind === 'floats') {
    return floatTensor(name, [attribute.value.length], attribute.value);
  }
  return undefined;
}

export function int64Tensor(name: string, dims: readonly number[], values: readonly bigint[]): Tensor {
  const data = Buffer.alloc(8 * values.length);
  values.forEach((value, i) => {
    data.writeBigInt64LE(value, 8 * i);
  });
  return { name, type: DataType.int64, dims, data };
}

function floatTensor(name: string, dims: readonly number[], values: readonly number[]): Tensor {
  const data = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => {
    data.writeFloatLE(value, 4 * i);
  });
  return { name, type: DataType.float, dims, data };
}
