import { formatNumber } from '../../analysis/format.js';
import { textLabel } from '../../analysis/label.js';
import { finiteCell, type Part, type Presentation } from '../../analysis/presentation.js';
import { outlierRatio } from '../../engine/contract/extents.js';
import { modelName } from '../../models/find.js';
import { rowBars } from '../shared/rows.js';
import { lostWarnings, massiveSettings, windowSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import { meanError, type PrefixResult, prefixConclusion } from './compute.js';

export function presentPrefix(result: PrefixResult, { text }: { readonly text: NamedText }): Presentation {
  const { model, rows, tokens, outliers, thresholds, pieces } = result;
  const layers = outliers.map((_, i) => i + 1);
  return {
    title: 'Recommended prefix',
    sentence: prefixConclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'text', value: text.name },
      ...windowSettings({ ...result, prefix: undefined }, rows[0]?.tokens).filter(({ name }) => name !== 'BOS'),
      { name: 'pieces', value: formatNumber(pieces) },
      { name: 'outlier token', value: `> ${outlierRatio} × the median token` },
      ...massiveSettings(thresholds),
    ],
    warnings: lostWarnings(result),
    parts: [
      {
        kind: 'table',
        heading: 'The text after each prefix',
        columns: [
          { name: 'prefix' },
          { name: 'tokens' },
          { name: 'massive activations' },
          { name: 'pieces with some' },
          { name: 'largest token ÷ median', format: 'ratio' },
          { name: 'int8 error', format: 'share' },
          { name: 'perplexity', format: 'fixed' },
        ],
        rows: rows.map((row) => [
          row.name,
          row.prefix.map((id, i) => textLabel(row.texts[i] ?? '', id)).join(' '),
          row.massive,
          row.pieces,
          finiteCell(row.ratio),
          finiteCell(meanError(row)),
          row.perplexity,
        ]),
      },
      rowBars(rows),
      {
        kind: 'lines',
        heading: 'Int8 error of what last MLP products read, one scale for all tokens',
        x: { name: 'block', values: layers },
        y: { name: 'error', format: 'share', log: false },
        lines: rows.map(({ name, int8 }) => ({ name, values: int8.map((error) => error ?? Number.NaN) })),
      },
      ...(tokens.length === 0 ? [] : [outlierTokens(tokens)]),
    ],
  };
}

const outlierTokens = (tokens: PrefixResult['tokens']): Part => ({
  kind: 'table',
  heading: 'Tokens that stand out behind the first',
  columns: [{ name: 'token' }, { name: 'id', format: 'plain' }, { name: 'times' }],
  rows: tokens.map(({ id, text, count }) => [textLabel(text, id), id, count]),
});
