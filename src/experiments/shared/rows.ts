/** What experiments that compare perplexities share: their bars and tables, and their inputs. */
import type { BarsPart, TablePart } from '../../analysis/presentation.js';
import type { ExperimentStep } from '../before/experiment.js';
import type { Row, Step } from './variants.js';

export function rowBars(rows: readonly Row[]): BarsPart {
  return {
    kind: 'bars',
    heading: 'Perplexity by variant',
    value: { name: 'perplexity', format: 'fixed' },
    log: true,
    reference: rows[0]?.perplexity,
    bars: rows.map(({ name, perplexity, interval }) => ({ name, value: perplexity, interval })),
  };
}

export function rowTable(rows: readonly Row[]): TablePart {
  const [first] = rows;
  const asIs = first?.perplexity ?? Number.NaN;
  const name = first?.name ?? '';
  return {
    kind: 'table',
    heading: `Perplexity against ${name}`,
    columns: [
      { name: 'variant' },
      { name: 'perplexity', format: 'fixed' },
      { name: `against ${name}`, format: 'ratio' },
      { name: 'change', format: 'share' },
      { name: 'tokens', format: 'plain' },
    ],
    rows: rows.map(({ name, perplexity, tokens }) => [
      name,
      perplexity,
      perplexity / asIs,
      perplexity / asIs - 1,
      tokens,
    ]),
  };
}

/** Steps of an experiment in two phases. */
export async function* presented<Result>(
  steps: AsyncIterable<Step<Result>>,
  present: (result: Result) => ExperimentStep['presentation'],
): AsyncGenerator<ExperimentStep, void, void> {
  for await (const { phase, done, of, result } of steps)
    yield { done, of, text: `${phase}: ${done} of ${of}`, presentation: result && present(result) };
}

/** Inputs of an experiment that measures on one text what it has estimated on another. */
export const calibratedInputs = {
  text: { kind: 'text', label: 'Text' },
  calibration: { kind: 'text', label: 'Calibration text' },
  window: { kind: 'whole', label: 'Window (tokens)', least: 3, default: 256 },
  tokens: { kind: 'whole', label: 'First tokens only', least: 1, open: 'all' },
  seed: { kind: 'whole', label: 'Seed', least: 0, default: 0 },
} as const;
