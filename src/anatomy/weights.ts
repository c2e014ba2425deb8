/** Which block reads a weight. */

import { indexGraph } from '../onnx/graph.js';
import type { Model } from '../onnx/model.js';
import type { Anatomy } from './anatomy.js';
import { flowOf } from './flow.js';
import { homesOf } from './homes.js';

/**
 * For every initializer that a node on the main path reads, itself or through nodes that compute constants, the first
 * block that does: 0 is what comes before h_0, L + 1 what comes after h_L. Masks and rotary tables are in no block.
 *
 * @param model flat, as `prepare` gives it
 */
export function weightHomes(model: Model, anatomy: Anatomy): ReadonlyMap<string, number> {
  const { graph } = model;
  const flow = flowOf(model);
  const index = indexGraph(graph);
  const homes = homesOf(graph, index, anatomy);
  const found = new Map<string, number>();
  const seen = new Set<string>();
  for (const node of graph.nodes) {
    const home = node.outputs.flatMap((output) => homes.get(output) ?? [])[0];
    if (home === undefined) continue;
    const open = [...index.inputsOf(node)];
    for (let value = open.pop(); value !== undefined; value = open.pop()) {
      if (seen.has(value) || !flow.isConstant(value)) continue;
      seen.add(value);
      if (graph.initializers.has(value)) found.set(value, home);
      const made = flow.producer(value);
      if (made) for (const input of index.inputsOf(made)) open.push(input);
    }
  }
  return found;
}
