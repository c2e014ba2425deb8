import { describe, expect, it } from 'vitest';
import { emptyAnalysis, fold } from '../../../src/analysis/analysis.js';
import { caveats, missingParts } from '../../../src/analysis/conditions.js';
import { eventsOf } from '../../../src/analysis/events.js';
import { at } from '../../support/lists.js';
import { begun, hidden, layers, pattern, run } from './example.js';

describe('fold', () => {
  it('places layers and patterns by their number and leaves earlier states as they were', () => {
    const before = begun.reduce(fold, emptyAnalysis);
    const after = fold(before, { type: 'attention', layer: 2, statistics: pattern([]) });
    expect(before.attention).toEqual([]);
    expect(after.attention).toHaveLength(2);
    expect(after.attention[0]).toBeUndefined();
    expect(after.attention[1]?.heads).toBe(2);
  });

  it('begins anew with every run and keeps what had arrived when one fails', () => {
    const problem = { code: 'crashed', message: 'The engine ended.' } as const;
    const failed = run(layers.slice(0, 2), [], [{ type: 'failed', problem }]);
    expect(failed.status).toBe('failed');
    expect(failed.layers).toHaveLength(2);
    expect(failed.problem).toEqual(problem);
    const again = fold(failed, at(begun, 0));
    expect(again).toEqual({ ...emptyAnalysis, status: 'running', started: begun[0] });
  });

  it('says why blocks have no pattern, once for all that have the same reason', () => {
    const why = 'its rows are places in a window';
    const leftOut = [1, 2].map((layer) => ({ type: 'pattern-left-out', layer, why }) as const);
    const all = run([hidden(1), hidden(2), hidden(3)], [], leftOut);
    expect(missingParts(all).at(-1)).toBe(`attention pattern of all 2 blocks: ${why}`);
    const one = run([hidden(1), hidden(2)], [], leftOut.slice(1));
    expect(missingParts(one).at(-1)).toBe(`attention pattern of block 2: ${why}`);
    expect(caveats(all)).toContain(missingParts(all).at(-1));
    expect(eventsOf(all).reduce(fold, emptyAnalysis)).toEqual(all);
  });

  it('takes a layer again in place of the one before', () => {
    const twice = run([hidden(1), hidden(2)], [], [{ type: 'layer', layer: 0, statistics: hidden(3) }]);
    expect(twice.layers.map((layer) => layer.median)).toEqual([3, 2]);
  });
});
