import { describe, expect, it } from 'vitest';
import { carried } from '../../../src/analysis/selection.js';

const tokens = (ids: readonly number[]) => ids.map((id) => ({ id }));

describe('a selection in a text that was edited', () => {
  const before = tokens([1, 2, 3, 4, 5]);

  it.each([
    ['stays before the edit', 1, [1, 2, 9, 9, 4, 5], 1],
    ['moves behind it', 3, [1, 2, 9, 9, 4, 5], 4],
    ['moves back where something was taken away', 4, [1, 5], 1],
    ['is gone where it was', 2, [1, 2, 9, 4, 5], undefined],
    ['is gone with all of it', 2, [], undefined],
    ['is one of two that are alike', 4, [1, 2, 3, 4, 5, 5], 4],
  ])('%s', (_, token, now, expected) => {
    expect(carried({ token, layer: 3 }, before, tokens(now))).toEqual({
      layer: 3,
      ...(expected !== undefined && { token: expected }),
    });
  });
});
