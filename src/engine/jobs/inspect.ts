/** Says what a model file is. */
import type { Attention, Routing } from '../../anatomy/anatomy.js';
import { operatorName } from '../../anatomy/ops.js';
import type { InspectedBlock, Inspection } from '../contract/inspection.js';
import type { LoadedModel } from '../stages/loaded.js';

export function inspect(loaded: LoadedModel): Inspection {
  const { anatomy, model, summary, patterns, crosses, streams } = loaded;
  const blocks = anatomy.blocks.map(
    (block, i): InspectedBlock => ({
      ...block,
      attention: block.attention && inspected(block.attention, patterns.has(i + 1)),
      cross: block.cross && inspected(block.cross, crosses.has(i + 1)),
      routing: inspectedRouting(block.routing),
    }),
  );
  return {
    model: summary,
    streams: streams.map(({ name, anatomy: { layers, hidden, heads, inputs, outputs } }) => ({
      name,
      layers,
      hidden,
      heads,
      inputs: inputs.filter(({ role }) => role !== 'unused').map((input) => input.name),
      outputs: outputs.map((output) => output.name),
    })),
    producer: model.producer,
    opsets: [...model.opsets],
    nodes: loaded.nodes,
    weights: [...loaded.weights],
    anatomy: { ...anatomy, blocks },
  };
}

/** @param isThere whether its pattern is a value that can be had */
function inspected(attention: Attention, isThere: boolean): InspectedBlock['attention'] {
  const { pattern } = attention;
  if ('tensor' in pattern) return { ...attention, pattern: { from: 'graph', ...pattern } };
  const from = isThere ? ('rebuilt' as const) : ('nothing' as const);
  if ('parts' in pattern) {
    const [first, ...others] = pattern.parts.map(({ tensor }) => tensor);
    const parts = others.length > 0 ? `${pattern.parts.length} patterns` : 'a pattern in another form';
    return { ...attention, pattern: { from, operator: parts, node: first ?? '' } };
  }
  const { name } = pattern.operator;
  return { ...attention, pattern: { from, operator: operatorName(pattern.operator), node: name } };
}

function inspectedRouting(routing: Routing | undefined): InspectedBlock['routing'] {
  if (!routing) return undefined;
  const { from, intermediate, writtenOutFor: _, ...facts } = routing;
  const shown = { ...facts, intermediate: intermediate?.tensor };
  if ('operator' in from)
    return { ...shown, from: { from: 'rebuilt', operator: operatorName(from.operator), node: from.operator.name } };
  const { indices, weights, scores } = from;
  return { ...shown, from: { from: 'graph', indices, weights, scores: scores?.value } };
}
