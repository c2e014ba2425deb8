/** What experiments that compare perplexities share: bars, table and JSON of their rows. */
import type { BarsPart, TablePart } from '../../analysis/presentation.js';
import type { Row } from './variants.js';

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
      { name: 'tokens' },
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
