/** The one name that ONNX Runtime's binding cannot give a result under: its results are a plain object's properties. */
import type { Pass } from './pass.js';
import { type Renaming, renamed } from './rename.js';

const unusable = '__proto__';

/** No node makes a value called `__proto__`: one that does makes `__proto__#1`. */
export const renameProto: Pass = (graph, { names }) => {
  if (!graph.nodes.some(({ outputs }) => outputs.includes(unusable))) return graph;
  const other = names.fresh(unusable);
  const rename: Renaming = (name) => (name === unusable ? other : name);
  const named = <T extends { readonly name: string }>(value: T): T => ({ ...value, name: rename(value.name) });
  return {
    ...graph,
    nodes: graph.nodes.map((node) => renamed(node, rename)),
    outputs: graph.outputs.map(named),
    valueInfo: new Map(Array.from(graph.valueInfo, ([name, info]) => [rename(name), named(info)])),
  };
};
