/** A graph as text, line by line as `facts.py` writes it, so that two readers can be compared by a digest. */
import { createHash } from 'node:crypto';
import type { Attribute, Graph, Node, Tensor, ValueInfo } from '../../../src/onnx/model.js';
import { readTensor } from '../../../src/onnx/tensor.js';

const sha = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

/** Python orders strings by code point. */
const sorted = (lines: string[]): string[] => lines.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

export function digest(graph: Graph): string {
  return sha(canonical(graph).join('\n'));
}

export function canonical(graph: Graph): string[] {
  return [
    ...graph.nodes.map(nodeLine),
    ...sorted([...graph.initializers.values()].map((tensor) => `${tensor.name} ${tensorText(tensor)}`)),
    ...graph.inputs.map(valueLine),
    ...graph.outputs.map(valueLine),
    ...sorted([...graph.valueInfo.values()].map(valueLine)),
  ];
}

function tensorText(tensor: Tensor): string {
  return `${tensor.type} [${tensor.dims.join(',')}] ${sha(readTensor(tensor))}`;
}

function nodeLine(node: Node): string {
  const attributes = sorted([...node.attributes].map(([name, attribute]) => `${name}=${attributeText(attribute)}`));
  return `${node.domain}:${node.op} ${node.name} (${node.inputs}) (${node.outputs}) ${attributes.join(' ')}`;
}

function attributeText(attribute: Attribute): string {
  switch (attribute.kind) {
    case 'float':
      return floatHex([attribute.value]);
    case 'floats':
      return floatHex(attribute.value);
    case 'tensor':
      return tensorText(attribute.value);
    case 'graph':
      return digest(attribute.value);
    default:
      return String(attribute.value);
  }
}

function floatHex(values: readonly number[]): string {
  return Buffer.from(Float32Array.from(values).buffer).toString('hex');
}

function valueLine({ name, type, shape }: ValueInfo): string {
  return `${name} ${type ?? 0} ${shape ? `[${shape.map((dim) => dim ?? '?').join(',')}]` : '?'}`;
}
