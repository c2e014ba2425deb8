/** Outputs in bfloat16, which ONNX Runtime's binding cannot give. */
import { DataType, type Node } from './model.js';
import type { Pass } from './pass.js';
import { type Renaming, renamed } from './rename.js';

/** No output is bfloat16: one that is comes as the same numbers in float32. */
export const widenOutputs: Pass = (graph, { names, remark }) => {
  const narrow = graph.outputs.filter(({ type }) => type === DataType.bfloat16);
  const made = new Set(graph.nodes.flatMap(({ outputs }) => outputs));
  const widened = new Map(
    narrow.filter(({ name }) => made.has(name)).map(({ name }) => [name, names.fresh(`${name}/bfloat16`)] as const),
  );
  if (widened.size === 0) return graph;
  remark(`output ${[...widened.keys()].join(', ')}: bfloat16 in the file, given as float32`);
  const rename: Renaming = (name) => widened.get(name) ?? name;
  const casts = [...widened].map(
    ([name, from]): Node => ({
      name,
      op: 'Cast',
      domain: '',
      inputs: [from],
      outputs: [name],
      attributes: new Map([['to', { kind: 'int', value: BigInt(DataType.float) }]]),
    }),
  );
  const wide = <T extends { readonly name: string }>(info: T) =>
    widened.has(info.name) ? { ...info, type: DataType.float } : info;
  return {
    ...graph,
    nodes: [...graph.nodes.map((node) => renamed(node, rename)), ...casts],
    outputs: graph.outputs.map(wide),
    valueInfo: new Map(Array.from(graph.valueInfo, ([name, info]) => [name, wide(info)])),
  };
};
