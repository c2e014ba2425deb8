/** Says what a model file is. */
import type { Routing } from '../../anatomy/anatomy.js';
import { operatorName } from '../../anatomy/ops.js';
import type { InspectedBlock, Inspection } from '../contract/inspection.js';
import type { LoadedModel } from '../stages/loaded.js';

export function inspect(loaded: LoadedModel): Inspection {
  const { anatomy, model, summary, patterns } = loaded;
  const blocks = anatomy.blocks.map((whole, i): InspectedBlock => {
    const { attention } = whole;
    const block = { ...whole, routing: inspectedRouting(whole.routing) };
    if (!attention) return { ...block, attention };
    const { pattern } = attention;
    if ('tensor' in pattern) return { ...block, attention: { ...attention, pattern: { from: 'graph', ...pattern } } };
    const from = patterns.has(i + 1) ? ('rebuilt' as const) : ('nothing' as const);
    if ('parts' in pattern) {
      const [first, ...others] = pattern.parts.map(({ tensor }) => tensor);
      const parts = others.length > 0 ? `${pattern.parts.length} patterns` : 'a pattern in another form';
      return { ...block, attention: { ...attention, pattern: { from, operator: parts, node: first ?? '' } } };
    }
    const { name } = pattern.operator;
    const operator = operatorName(pattern.operator);
    return { ...block, attention: { ...attention, pattern: { from, operator, node: name } } };
  });
  return {
    model: summary,
    producer: model.producer,
    opsets: [...model.opsets],
    nodes: loaded.nodes,
    weights: [...loaded.weights],
    anatomy: { ...anatomy, blocks },
  };
}

function inspectedRouting(routing: Routing | undefined): InspectedBlock['routing'] {
  if (!routing) return undefined;
  const { from, intermediate, ...facts } = routing;
  const shown = { ...facts, intermediate: intermediate?.tensor };
  if ('operator' in from)
    return { ...shown, from: { from: 'rebuilt', operator: operatorName(from.operator), node: from.operator.name } };
  const { indices, weights, scores } = from;
  return { ...shown, from: { from: 'graph', indices, weights, scores: scores?.value } };
}
