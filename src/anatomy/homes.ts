/** Which block computes a value. */
import type { GraphIndex } from '../onnx/graph.js';
import type { Graph, Node } from '../onnx/model.js';
import type { Anatomy } from './anatomy.js';

/** h_0 … h_L. */
export const residualPoints = ({ embedding, blocks }: Pick<Anatomy, 'embedding' | 'blocks'>): readonly string[] => [
  embedding,
  ...blocks.map(({ residPost }) => residPost),
];

/**
 * For every value on the main path (what the embedding flows into) the block that computes it: 0 is what comes before
 * h_0, L + 1 what comes after h_L. What lies beside it (masks, positions, rotary tables) is not in the map; a shape of
 * a value of the main path is.
 */
export function homesOf(
  graph: Graph,
  { inputsOf }: Pick<GraphIndex, 'inputsOf'>,
  anatomy: Pick<Anatomy, 'source' | 'embedding' | 'blocks'>,
): ReadonlyMap<string, number> {
  const cuts = new Map(residualPoints(anatomy).map((name, k) => [name, k] as const));
  const homes = new Map<string, number>();
  // The largest k for which h_k flows into a value; what lies between the token lookup and h_0 has level -1.
  const levels = new Map<string, number>([
    [anatomy.source, -1],
    [anatomy.embedding, 0],
  ]);
  for (const node of graph.nodes) {
    const inputLevels = inputsOf(node).flatMap((input) => levels.get(input) ?? []);
    const level = inputLevels.length > 0 ? inputLevels.reduce((most, one) => Math.max(most, one)) : undefined;
    for (const output of node.outputs) {
      const own = cuts.get(output) ?? (output === anatomy.source ? -1 : undefined);
      const home = cuts.get(output) ?? (own ?? level ?? Number.NaN) + 1;
      if (Number.isNaN(home)) continue;
      homes.set(output, home);
      if (own !== undefined) levels.set(output, own);
      else if (level !== undefined && !isShape(node)) levels.set(output, level);
    }
  }
  return homes;
}

export function isShape(node: Node | undefined): boolean {
  return node?.domain === '' && (node.op === 'Shape' || node.op === 'Size');
}
