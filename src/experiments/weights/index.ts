import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { calibrationJson, definitionJson, fileOf, rowJson, textJson } from '../shared/json.js';
import type { NamedText } from '../values.js';
import { findWeights, type WeightsResult } from './compute.js';
import { presentWeights } from './present.js';

export const weights = define({
  id: 'weights',
  title: 'Massive weights',
  about: 'massive',
  command: 'Massive Weights',
  description: 'Which few rows of an MLP make the massive activations, and what the model is without them.',
  help: 'find the massive weights of a model and measure what depends on them',
  saves: 'write the list of dims as JSON, for fine-tuning',
  inputs: {
    model: shared.model,
    text: shared.text,
    calibration: { ...shared.calibration, document: 'bundled' },
    window: shared.window,
    tokens: shared.tokens,
    seed: shared.seed,
    k: {
      kind: 'whole',
      label: 'Intermediate dims (k)',
      flag: '--k <n>',
      help: 'intermediate dims to take',
      unit: 'dims',
      least: 1,
      default: 5,
    },
  },
  run({ engine, ...setup }, { text, calibration, ...values }, signal) {
    const texts = { text: text.text, calibrationText: calibration.text };
    return findWeights(engine, { ...setup, ...values, ...texts }, signal);
  },
  present: presentWeights,
  json(result, { text, calibration }) {
    const { model, windows, randomDims, seed, rows, superWeights } = result;
    return {
      ...textJson(model, text, windows, rows),
      ...calibrationJson(result.calibration, calibration),
      ...listOf(result, calibration),
      random_dims: randomDims,
      seed,
      rows: rows.map(rowJson),
      super_weights: superWeights.found.map(({ block, row, column, without, stored, ...scalar }) => ({
        block,
        block_index: block - 1,
        /** Of the [out, in] matrix. */
        row,
        column,
        value: scalar.value,
        share: scalar.share,
        ratio: scalar.ratio,
        token: scalar.token,
        node: scalar.node,
        weight: stored,
        perplexity: without.perplexity,
        interval: without.interval,
      })),
      without_super_weights: superWeights.together?.perplexity ?? null,
    };
  },
  file: (result, { calibration }) => listOf(result, calibration),
});

/** What a fine-tuning script needs (MacDrop): which rows of which block, and what they were found by. */
function listOf(result: WeightsResult, text: NamedText) {
  const { model, windows, calibration, block, token, dims, values, thresholds } = result;
  return {
    model,
    /** 1-based; `block_index` is the same counted from 0, as in `model.layers[…]` of transformers. */
    block,
    block_index: block - 1,
    token,
    /** Rows of W_up and W_gate, columns of W_down; values are the means of the intermediate state at the token. */
    dims,
    values,
    /** Whether the entry that they make is massive by definition. */
    massive: calibration.massive,
    calibration: { file: fileOf(text), sequences: calibration.sequences, window: calibration.window },
    prefix: windows.prefix ?? null,
    thresholds: definitionJson(thresholds),
  };
}
