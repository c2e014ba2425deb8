/** Which operators of a stage a provider leaves to the CPU. */
import { encodeModel } from '../../onnx/encode.js';
import { neededNodes } from '../../onnx/extract.js';
import { DataType, type Model, type Node, type ValueInfo } from '../../onnx/model.js';
import { inlineBytes } from '../../onnx/parse.js';
import type { Provider } from '../contract/device.js';
import type { Values } from '../tensors/value.js';
import type { createSession } from './session.js';

/** Types of what is computed, where shapes and places are whole numbers. */
const computing: ReadonlySet<DataType> = new Set([DataType.float, DataType.float16, DataType.double]);

/**
 * Names of operators that a provider does not run, sorted. Each is tried alone, as a model of one node that may not go
 * to the CPU; ONNX Runtime would give it there without a word. What computes shapes belongs to the CPU and is left out,
 * as far as types tell it.
 *
 * @param fed what the stage is fed
 * @param type of what is computed, for values of which the file says nothing
 */
export async function operatorsElsewhere(
  model: Model,
  { outputs, fed, type }: { readonly outputs: readonly string[]; readonly fed: Values; readonly type: DataType },
  provider: Provider,
  create: typeof createSession,
): Promise<readonly string[]> {
  const { graph } = model;
  const inputs = [...fed].map(([name, value]) => ({ name, type: value.type }));
  const types = new Map<string, DataType | undefined>([
    ...[...graph.valueInfo].map(([name, info]) => [name, info.type] as const),
    ...[...graph.initializers].map(([name, tensor]) => [name, tensor.type] as const),
    ...inputs.map((input) => [input.name, input.type] as const),
  ]);
  const found = new Set<string>();
  const tried = new Set<string>();
  for (const node of neededNodes(model, { inputs, outputs })) {
    const known = node.inputs.map((name) => types.get(name) ?? type);
    const key = JSON.stringify([node.domain, node.op, known]);
    if (tried.has(key) || !known.some((one) => computing.has(one))) continue;
    tried.add(key);
    const bytes = alone(model, node, known);
    try {
      const session = await create(bytes, '', { prepack: false, threads: 1, provider, whole: true, asWritten: true });
      await session.release();
    } catch (error) {
      if (/fallback to CPU EP has been explicitly disabled/.test(String(error))) found.add(node.op);
    }
  }
  return [...found].sort();
}

/** A model of one node; weights of more than a kilobyte are inputs of it. */
function alone({ irVersion, opsets, graph }: Model, node: Node, types: readonly DataType[]): Uint8Array {
  const small = new Map(
    node.inputs.flatMap((name) => {
      const tensor = graph.initializers.get(name);
      return tensor?.data instanceof Uint8Array && tensor.data.length <= inlineBytes ? [[name, tensor] as const] : [];
    }),
  );
  const inputs = new Map<string, ValueInfo>();
  for (const [i, name] of node.inputs.entries())
    if (name !== '' && !small.has(name)) inputs.set(name, { name, type: types[i] });
  const outputs = node.outputs.filter((name) => name !== '').map((name) => ({ name }));
  const one = { name: 'one', nodes: [node], inputs: [...inputs.values()], outputs };
  return encodeModel({ irVersion, opsets, graph: { ...one, initializers: small, valueInfo: new Map() } }, '');
}
