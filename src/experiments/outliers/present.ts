import { formatNumber } from '../../analysis/format.js';
import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { massiveSettings, windowSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import { type OutliersResult, outlierCriteria, outliersConclusion, residualName } from './compute.js';

const scales = ['tensor', 'token', 'channel'] as const;

export function presentOutliers(result: OutliersResult, { text }: { readonly text: NamedText }): Presentation {
  const { model, tokens, prefix, thresholds, outlierDims, residualDims, massive, int8 } = result;
  const { magnitude, layers, positions } = outlierCriteria;
  return {
    title: 'Outlier features and quantisation error',
    sentence: outliersConclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'text', value: text.name },
      ...windowSettings({ window: tokens, prefix }),
      ...massiveSettings(thresholds),
      { name: 'removed', value: `≥ ${thresholds.soft} × median` },
      {
        name: 'outlier feature',
        value: `|x| ≥ ${magnitude} in ${100 * layers} % of layers and ${100 * positions} % of positions`,
      },
    ],
    warnings: [],
    parts: [
      {
        kind: 'lines',
        heading: 'int8 error by residual point, with and without massive entries',
        // Between attention and MLP is between two layers.
        x: { name: 'layer', values: int8.map(({ layer, point }) => (point === 'resid_mid' ? layer - 0.5 : layer)) },
        y: { name: 'relative error', format: 'share', log: true },
        lines: [
          ...scales.map((scale) => ({ name: `per ${scale}`, values: int8.map((errors) => errors.with[scale]) })),
          { name: 'per tensor, without', values: int8.map((errors) => errors.without.tensor) },
        ],
      },
      {
        kind: 'table',
        heading: 'Massive activations (scalars)',
        columns: [
          { name: 'token' },
          { name: 'dim', format: 'plain' },
          { name: 'value', format: 'value' },
          { name: 'ratio', format: 'ratio' },
          { name: 'layers' },
          { name: 'as' },
        ],
        rows: massive.map(({ token, dim, value, ratio, onset, last, kind }) => {
          return [`${token}`, dim, value, ratio, `${onset} to ${last}`, kind];
        }),
      },
      {
        kind: 'table',
        heading: 'int8 error: with | without what stands out',
        columns: [
          { name: 'point' },
          { name: 'removed' },
          ...scales.flatMap((scale) => [
            { name: `per ${scale}`, format: 'share' } as const,
            { name: 'without', format: 'share' } as const,
          ]),
        ],
        rows: int8.map((errors) => [
          residualName(errors),
          errors.removed,
          ...scales.flatMap((scale) => [errors.with[scale], errors.without[scale]]),
        ]),
      },
      {
        kind: 'text',
        heading: `Outlier features (vectors), of what products read: ${formatNumber(outlierDims.length)}`,
        paragraphs: [dimsInWords(outlierDims)],
      },
      {
        kind: 'text',
        heading: `The same criterion over residual points, which nothing rounds: ${formatNumber(residualDims.length)}`,
        paragraphs: [dimsInWords(residualDims)],
      },
    ],
  };
}

/** Dims that are named; in a small model nearly all can be outlier features. */
const named = 40;

function dimsInWords(dims: readonly number[]): string {
  if (dims.length === 0) return 'No dim is one.';
  const more = dims.length > named ? ` and ${dims.length - named} more` : '';
  return `dims ${dims.slice(0, named).join(', ')}${more}`;
}
