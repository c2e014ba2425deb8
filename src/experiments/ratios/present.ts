import type { LinesPart, Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { mostChanged, type Ratios, type RatiosResult, ratiosConclusion } from './compute.js';

export function presentRatios(result: RatiosResult): Presentation {
  const { model, twin, graphs, tail, ratios } = result;
  const most = mostChanged(result);
  return {
    title: 'Activation ratios of a graph transformer',
    sentence: ratiosConclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'untrained twin', value: modelName(twin) },
      { name: 'graphs', value: `${graphs}` },
      { name: 'limit', value: `beyond ${100 * tail} % of the gamma distribution fitted to the untrained ratios` },
    ],
    warnings: model === twin ? ['The twin is the model itself, so nothing can differ: choose the untrained one.'] : [],
    parts: [
      {
        kind: 'table',
        heading: 'Ratio |a| ÷ median, trained and untrained',
        columns: [
          { name: 'activations' },
          { name: 'largest, trained', format: 'ratio' },
          { name: 'untrained', format: 'ratio' },
          { name: 'limit', format: 'ratio' },
          { name: 'beyond it, trained', format: 'share' },
          { name: 'untrained', format: 'share' },
        ],
        rows: ratios.map((one) => [
          nameOf(one),
          one.trained.largestRatio,
          one.untrained.largestRatio,
          one.limit,
          one.outside,
          one.outsideUntrained,
        ]),
      },
      // The one that the sentence is about first.
      ...[most, ...ratios.filter((one) => one !== most)].map(histogram),
    ],
  };
}

const nameOf = ({ of, layer }: Ratios) => `${of} of layer ${layer}`;

function histogram(ratios: Ratios): LinesPart {
  const { start, width, counts } = ratios.trained.histogram;
  const shares = ({ histogram, entries }: Ratios['trained']) => histogram.counts.map((count) => count / entries);
  return {
    kind: 'lines',
    heading: `Distribution: ${nameOf(ratios)}`,
    x: { name: '−log₁₀ ratio', values: counts.map((_, bin) => start + (bin + 0.5) * width) },
    y: { name: 'share of entries', format: 'share', log: false },
    lines: [
      { name: 'trained', values: shares(ratios.trained) },
      { name: 'untrained', values: shares(ratios.untrained) },
    ],
  };
}
