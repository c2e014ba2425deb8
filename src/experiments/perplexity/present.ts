import { formatNumber } from '../../analysis/format.js';
import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { experiment } from '../before/experiment.js';
import { type Perplexity, type PerplexityResult, perplexity } from '../shared/perplexity.js';
import { leftWarnings, windowSettings } from '../shared/settings.js';

/** @param running what was yielded on the way, the result last */
export function presentPerplexity(running: readonly PerplexityResult[], text: string): Presentation {
  const result = running[running.length - 1];
  const { perplexity, interval, tokens, model, done, windows } = result;
  return {
    title: 'Perplexity',
    sentence:
      `Perplexity ${withInterval(result)}: on average the model is as unsure of the next ` +
      `token as if it chose among ${formatNumber(perplexity)} equally likely ones. Compare it only with figures of the same text, T and BOS.`,
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'text', value: text },
      ...windowSettings(result, tokens),
      { name: 'windows', value: done < windows ? `${done} of ${windows}` : `${windows}` },
    ],
    warnings: leftWarnings(result),
    parts: [
      {
        kind: 'table',
        heading: 'Perplexity',
        columns: [
          { name: 'perplexity', format: 'fixed' },
          { name: '95 % from', format: 'fixed' },
          { name: 'to', format: 'fixed' },
          { name: 'tokens', format: 'plain' },
        ],
        rows: [[perplexity, ...interval.map(finite), tokens]],
      },
      {
        kind: 'lines',
        heading: 'Running perplexity',
        x: { name: 'windows', values: running.map(({ done }) => done) },
        y: { name: 'perplexity', format: 'fixed', log: false },
        lines: [
          { name: 'perplexity', values: running.map((step) => step.perplexity) },
          { name: '95 % from', values: running.map((step) => finite(step.interval[0])) },
          { name: 'to', values: running.map((step) => finite(step.interval[1])) },
        ],
      },
    ],
  };
}

/** A perplexity with its interval, where enough was scored for one. */
export function withInterval({ perplexity, interval }: Perplexity): string {
  const value = formatNumber(perplexity);
  return interval.every(Number.isFinite)
    ? `${value} (95 % interval ${interval.map(formatNumber).join(' to ')})`
    : value;
}

/** Times that the curve is drawn anew while it grows. */
const drawings = 40;

const finite = (value: number) => (Number.isFinite(value) ? value : null);

export const perplexityExperiment = experiment({
  id: 'perplexity',
  title: 'Perplexity',
  description: 'How well the model predicts a text, in windows of fixed length.',
  inputs: {
    text: { kind: 'text', label: 'Text' },
    window: { kind: 'whole', label: 'Window (tokens)', least: 3, default: 256 },
    stride: { kind: 'whole', label: 'Stride', least: 1, open: 'window' },
    tokens: { kind: 'whole', label: 'First tokens only', least: 1, open: 'all' },
  },
  async *steps({ engine, ...setup }, { text, ...windowing }, signal) {
    const running: PerplexityResult[] = [];
    let presentation: Presentation | undefined;
    for await (const step of perplexity(engine, { ...setup, ...windowing, text: text.text }, signal)) {
      running.push(step);
      const { done, windows: of } = step;
      if (done === of || done % Math.ceil(of / drawings) === 0) presentation = presentPerplexity(running, text.name);
      yield { done, of, text: `window ${done} of ${of} · perplexity ${withInterval(step)}`, presentation };
    }
  },
});
