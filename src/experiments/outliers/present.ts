import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { experiment } from '../before/experiment.js';
import { presented } from '../shared/rows.js';
import { leftWarnings, massiveSettings, windowSettings } from '../shared/settings.js';
import {
  compareQuantised,
  type OutliersResult,
  outlierCriteria,
  outliers,
  outliersConclusion,
  type QuantisedResult,
  quantisedConclusion,
  residualName,
} from './compute.js';

const scales = ['tensor', 'token', 'channel'] as const;

export function presentOutliers(result: OutliersResult, text: string): Presentation {
  const { model, tokens, prefix, thresholds, outlierDims, massive, int8 } = result;
  const { magnitude, layers, positions } = outlierCriteria;
  return {
    title: 'Outlier features and quantisation error',
    sentence: outliersConclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'text', value: text },
      ...windowSettings({ window: tokens, prefix }),
      ...massiveSettings(thresholds),
      { name: 'removed', value: `≥ ${thresholds.soft} × median` },
      {
        name: 'outlier feature',
        value: `|h| ≥ ${magnitude} in ${100 * layers} % of layers and ${100 * positions} % of positions`,
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
          { name: 'removed', format: 'plain' },
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
        heading: `Outlier features (vectors): ${outlierDims.length}`,
        paragraphs: [dimsInWords(outlierDims)],
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

export const outliersExperiment = experiment({
  id: 'outliers',
  title: 'Outlier features and quantisation error',
  description: 'Outlier features beside massive activations, and what both cost when the model is quantised to int8.',
  inputs: {
    text: { kind: 'text', label: 'Text' },
    tokens: { kind: 'whole', label: 'First tokens only', least: 1, default: 256 },
  },
  async *steps({ engine, ...setup }, { text, tokens }, signal) {
    yield { done: 0, of: 1, text: 'quantising hidden states' };
    const result = await outliers(engine, { ...setup, tokens, text: text.text }, signal);
    yield { done: 1, of: 1, text: 'done', presentation: presentOutliers(result, text.name) };
  },
});

export function presentQuantised(result: QuantisedResult, text: string): Presentation {
  const { reference, model, windows, thresholds, differences, massive, perplexity } = result;
  const names = [modelName(reference), modelName(model)];
  const same = names[0] === names[1] ? ['as it was', 'quantised'] : names;
  return {
    title: 'Compare with a quantised file',
    sentence: quantisedConclusion(result),
    settings: [
      { name: 'model', value: names[0] },
      { name: 'quantised', value: names[1] },
      { name: 'text', value: text },
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
        bars: [perplexity.reference, perplexity.model].map(({ perplexity: value, interval }, i) => {
          return { name: same[i], value, interval };
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
        rows: [massive.reference, massive.model].flatMap((found, i) =>
          found.map(({ token, dim, value, ratio }) => [same[i], `${token}`, dim, value, ratio]),
        ),
      },
    ],
  };
}

export const quantisedExperiment = experiment({
  id: 'compare-quantised',
  title: 'Compare with a quantised file',
  description: 'How far a quantised file of the chosen model is from it: hidden states, massive entries, perplexity.',
  inputs: {
    text: { kind: 'text', label: 'Text' },
    quantised: { kind: 'model', label: 'Quantised file' },
    window: { kind: 'whole', label: 'Window (tokens)', least: 3, default: 256 },
    tokens: { kind: 'whole', label: 'First tokens only', least: 1, open: 'all' },
  },
  steps({ engine, model: reference, ...setup }, { text, quantised: model, ...values }, signal) {
    const request = { ...setup, ...values, reference, model, text: text.text };
    return presented(compareQuantised(engine, request, signal), (result) => presentQuantised(result, text.name));
  },
});
