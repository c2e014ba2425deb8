import { deserialize, serialize } from 'node:v8';
import { expect, test } from 'vitest';
import { compact } from '../../../src/extension/compact.js';

test('arrays that come as views over one buffer own their bytes, with the same numbers', () => {
  const sent = {
    type: 'layer',
    nothing: undefined,
    statistics: { top: [{ value: 1 }], tokenMax: Float32Array.of(1, 2, 3), dims: Int32Array.of(4, 5) },
  };
  const received: typeof sent = deserialize(serialize(sent));
  expect(received.statistics.tokenMax.buffer.byteLength).toBeGreaterThan(12);
  const compacted = compact(received);
  expect(compacted).toEqual(sent);
  expect(compacted.statistics.tokenMax.buffer.byteLength).toBe(12);
  expect(compacted.statistics.dims.buffer.byteLength).toBe(8);
});

test('an array of another kind is no result', () => {
  expect(() => compact({ values: new DataView(new ArrayBuffer(1)) })).toThrow(/DataView/);
});
