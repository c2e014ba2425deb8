/** What the engine says of merged surveys, for `messages.ts`. */
import type { MergeEvent } from '../../src/engine/contract/surveys.js';

export const mergeExamples: readonly MergeEvent[] = [
  {
    type: 'merged',
    survey: 3,
    settings: {
      model: { name: 'm', stream: 'text', layers: 1, hidden: 3, bytes: 1e9, identity: '00ff' },
      corpus: 'ff',
      sequences: 1,
      length: 8,
      prefix: 0,
      lineEnds: 'lf',
      thresholds: { absolute: 100, ratio: 1000, soft: 100 },
    },
    shard: { index: 0, of: 1 },
  },
  {
    type: 'records',
    records: [{ sequence: 0, entries: [{ dim: 2, kind: 'start', token: 'a', value: -1.5, massive: true }] }],
  },
];
