import { formatNumber } from '../../analysis/format.js';
import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { finite } from '../../statistics/numbers.js';
import { withInterval } from '../shared/perplexity.js';
import { lostWarnings, windowSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import type { PerplexityResult } from './compute.js';

export function presentPerplexity(
  { value, running }: PerplexityResult,
  { text }: { readonly text: NamedText },
): Presentation {
  const { perplexity, interval, tokens, model, done, windows } = value;
  return {
    title: 'Perplexity',
    sentence:
      `Perplexity ${withInterval(value)}: on average the model is as unsure of the next ` +
      `token as if it chose among ${formatNumber(perplexity)} equally likely ones. Compare it only with figures of the same text, T and BOS.`,
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'text', value: text.name },
      ...windowSettings(value, tokens),
      {
        name: 'windows',
        value: done < windows ? `${formatNumber(done)} of ${formatNumber(windows)}` : formatNumber(windows),
      },
    ],
    warnings: lostWarnings(value),
    parts: [
      {
        kind: 'table',
        heading: 'Perplexity',
        columns: [
          { name: 'perplexity', format: 'fixed' },
          { name: '95 % from', format: 'fixed' },
          { name: 'to', format: 'fixed' },
          { name: 'tokens' },
        ],
        rows: [[perplexity, ...interval.map(finite), tokens]],
      },
      {
        kind: 'lines',
        heading: 'Running perplexity',
        x: { name: 'windows', values: running.map(({ done }) => done) },
        y: { name: 'perplexity', format: 'fixed', log: false },
        lines: [
          {
            name: 'perplexity',
            values: running.map((step) => step.perplexity),
            interval: {
              from: running.map((step) => finite(step.interval[0])),
              to: running.map((step) => finite(step.interval[1])),
            },
          },
        ],
      },
    ],
  };
}
