import { outlierRatio } from '../../engine/contract/extents.js';
import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { definitionJson, fileOf, rowJson } from '../shared/json.js';
import { findPrefix } from './compute.js';
import { presentPrefix } from './present.js';

export const prefix = define({
  id: 'prefix',
  title: 'Recommended prefix',
  about: 'quantising',
  command: 'Recommended Prefix',
  description: 'Which tokens, put before every text and kept in the cache, take its massive activations.',
  help: 'find the tokens that take all massive activations when they stand before every text',
  inputs: {
    model: shared.model,
    text: shared.text,
    window: { ...shared.window, help: 'length of a piece of the text, without any prefix' },
    tokens: shared.tokens,
  },
  run({ engine, ...setup }, { text, ...values }, signal) {
    return findPrefix(engine, { ...setup, ...values, text: text.text }, signal);
  },
  present: presentPrefix,
  json(result, { text }) {
    const { model, window, pieces, left, thresholds, outliers, tokens, first, prefix: chosen, rows } = result;
    return {
      model,
      file: fileOf(text),
      window,
      pieces,
      left,
      tokens: rows[0]?.tokens ?? 0,
      thresholds: { ...definitionJson(thresholds), outlier: outlierRatio },
      prefix: chosen,
      /** [layer - 1]: outlier tokens of a piece on average. */
      outliers,
      outlier_tokens: tokens,
      first_tokens: first,
      rows: rows.map((row) => ({
        ...rowJson(row),
        prefix: row.prefix,
        massive: row.massive,
        massive_pieces: row.pieces,
        ratio: row.ratio,
        /** [layer - 1], one scale for all tokens of the text. */
        int8: row.int8,
      })),
    };
  },
});
