import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { rowJson, textJson } from '../shared/json.js';
import { streamThrough } from './compute.js';
import { presentStreaming } from './present.js';

export const streaming = define({
  id: 'streaming',
  title: 'Sliding window and sinks',
  about: 'effect',
  command: 'Sliding Window and Sinks',
  description: 'What attention through a sliding window costs, and what keeping the first tokens gives back.',
  help: 'measure what a sliding attention window loses, and what keeping the first tokens gives back',
  inputs: {
    model: shared.model,
    text: shared.text,
    window: {
      kind: 'whole',
      label: 'Attention window',
      flag: '--window <keys>',
      help: 'keys a query sees, its own included',
      unit: 'keys',
      least: 1,
      default: 64,
    },
    sinks: {
      kind: 'whole',
      label: 'Sinks kept',
      flag: '--sinks <keys>',
      help: 'first tokens kept among them',
      unit: 'keys',
      least: 0,
      default: 4,
    },
    length: { ...shared.window, label: 'Length (tokens)', flag: '--length <tokens>', default: 512 },
    tokens: shared.tokens,
    rolling: {
      kind: 'whole',
      label: 'Rolling (tokens)',
      flag: '--rolling <tokens>',
      help: 'tokens that go through rolling caches in one sequence; 0: none',
      unit: 'tokens',
      least: 0,
      open: '10 × length',
    },
  },
  run({ engine, ...setup }, { text, ...values }, signal) {
    return streamThrough(engine, { ...setup, ...values, text: text.text }, signal);
  },
  present: presentStreaming,
  json({ model, window, sinks, windows, evicted, rows, rolling }, { text }) {
    const { window: length, ...facts } = textJson(model, text, windows, rows);
    return {
      ...facts,
      length,
      window,
      sinks,
      /** [layer - 1][head], of the first sequence. */
      evicted_share: { window: evicted.window, window_and_sinks: evicted['window and sinks'] },
      rows: rows.map(rowJson),
      /** One long sequence, and how each way to keep its cache did; null where none was asked for. */
      rolling: rolling
        ? {
            tokens: rolling.tokens,
            checked: rolling.checked,
            /** [layer - 1][head], of the rolling cache's own run. */
            evicted_share: rolling.evicted ?? null,
            rows: rolling.rows.map((row) => ({
              ...rowJson(row),
              bytes: row.bytes,
              tokens_per_second: row.perSecond ?? null,
            })),
            refused: rolling.refused,
          }
        : null,
    };
  },
});
