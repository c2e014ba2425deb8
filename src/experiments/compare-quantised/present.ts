import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { leftWarnings, massiveSettings, windowSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import { type QuantisedResult, quantisedConclusion } from './compute.js';

export function presentQuantised(result: QuantisedResult, { text }: { readonly text: NamedText }): Presentation {
  const { reference, model, windows, thresholds, differences, massive, perplexity } = result;
  const names = { reference: modelName(reference), model: modelName(model) };
  const called = names.reference === names.model ? { reference: 'as it was', model: 'quantised' } : names;
  return {
    title: 'Compare with a quantised file',
    sentence: quantisedConclusion(result),
    settings: [
      { name: 'model', value: names.reference },
      { name: 'quantised', value: names.model },
      { name: 'text', value: text.name },
      ...windowSettings(windows, perplexity.reference.tokens),
      ...massiveSettings(thresholds),
      { name: 'stands out', value: `≥ ${thresholds.soft} × median` },
    ],
    warnings: leftWarnings(windows),
    parts: [
      {
        kind: 'bars',
        heading: 'Perplexity',
        value: { name: 'perplexity', format: 'fixed' },
        log: true,
        reference: perplexity.reference.perplexity,
        bars: (['reference', 'model'] as const).map((which) => {
          const { perplexity: value, interval } = perplexity[which];
          return { name: called[which], value, interval };
        }),
      },
      {
        kind: 'lines',
        heading: 'How far hidden states move',
        x: { name: 'layer', values: differences.map((_, k) => k) },
        y: { name: 'difference ÷ norm', format: 'share', log: false },
        lines: [
          { name: 'all entries', values: differences.map(({ all }) => all) },
          { name: 'without what stands out', values: differences.map(({ rest }) => rest) },
        ],
      },
      {
        kind: 'table',
        heading: 'Massive activations in both',
        columns: [
          { name: 'model' },
          { name: 'token' },
          { name: 'dim', format: 'plain' },
          { name: 'value', format: 'value' },
          { name: 'ratio', format: 'ratio' },
        ],
        rows: (['reference', 'model'] as const).flatMap((which) =>
          massive[which].map(({ token, dim, value, ratio }) => [called[which], `${token}`, dim, value, ratio]),
        ),
      },
    ],
  };
}
