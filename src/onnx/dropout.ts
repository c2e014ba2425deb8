/** Files that were exported while their model was trained. */
import type { Node } from './model.js';
import type { Pass } from './pass.js';
import { constantNumbers } from './tensor.js';

/**
 * `Dropout` as it is after training: a file that drops activations at random answers differently each time, and
 * nothing could be compared. After it none is told to train by a constant; one that an input tells is not asked to.
 */
export const stopTraining: Pass = (graph, { remark }) => {
  const trains = ({ op, domain, inputs }: Node) => {
    const mode = op === 'Dropout' && domain === '' ? graph.initializers.get(inputs[2] ?? '') : undefined;
    return mode !== undefined && constantNumbers(mode)[0] !== 0;
  };
  const training = new Set(graph.nodes.filter(trains));
  if (training.size === 0) return graph;
  remark(`dropout: ${training.size} Dropout nodes are in training mode; they are run as after training`);
  const nodes = graph.nodes.map((node) => (training.has(node) ? { ...node, inputs: node.inputs.slice(0, 2) } : node));
  return { ...graph, nodes };
};

const random = new Set(
  'RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli Multinomial'.split(' '),
);

/** Says which nodes draw at random; they stay as they are. */
export const tellRandom: Pass = (graph, { remark }) => {
  const drawing = graph.nodes.filter(({ op, domain }) => domain === '' && random.has(op));
  const kinds = [...new Set(drawing.map(({ op }) => op))].join(', ');
  if (drawing.length > 0)
    remark(`repeatability: ${drawing.length} nodes draw at random (${kinds}), so runs may differ`);
  return graph;
};
