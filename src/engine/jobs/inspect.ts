/** Says what a model file is. */
import type { InspectedBlock, Inspection } from '../contract/inspection.js';
import type { LoadedModel } from '../stages/loaded.js';

export function inspect(loaded: LoadedModel): Inspection {
  const { anatomy, model, summary, patterns } = loaded;
  const blocks = anatomy.blocks.map((block, i): InspectedBlock => {
    const { attention } = block;
    if (!attention) return { ...block, attention };
    const { pattern } = attention;
    if ('tensor' in pattern) return { ...block, attention: { ...attention, pattern: { from: 'graph', ...pattern } } };
    const from = patterns.has(i + 1) ? ('rebuilt' as const) : ('nothing' as const);
    if ('parts' in pattern) {
      const [first, ...others] = pattern.parts.map(({ tensor }) => tensor);
      const parts = others.length > 0 ? `${pattern.parts.length} patterns` : 'a pattern in another form';
      return { ...block, attention: { ...attention, pattern: { from, operator: parts, node: first ?? '' } } };
    }
    const { domain, op, name } = pattern.operator;
    const operator = domain === '' ? op : `${domain}.${op}`;
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
