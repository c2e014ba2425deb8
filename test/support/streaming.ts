/** Examples of the messages about caches that are kept in several ways. */
const ways = [
  { name: 'all', positions: 'sequence' },
  { name: 'in few bits', kept: { window: 8, sinks: 2 }, positions: 'cache', rounded: { bits: 4, float: 2 } },
  {
    name: 'but massive ones',
    positions: 'cache',
    tells: true,
    rounded: { bits: 8, float: 0, massive: { absolute: 100, ratio: 1000 } },
  },
] as const;

export const streamingExamples = {
  request: { stream: 'decoder', ids: [1, 2, 3, 4], ways, timed: true },
  events: [
    { type: 'progress', from: 0, to: 2, done: 1, of: 8 },
    { type: 'streamed', way: 0, losses: new Float32Array(0), why: 'it has 16 of them', bytes: 0, checked: 256 },
    {
      type: 'streamed',
      way: 1,
      losses: Float32Array.of(1, 2, 3),
      why: undefined,
      bytes: 96,
      checked: 300,
      evicted: [[0.1, 0.2], []],
      perSecond: 40.5,
    },
  ],
} as const;
