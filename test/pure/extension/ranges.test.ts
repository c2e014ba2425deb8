import { describe, expect, it } from 'vitest';
import { relocate, shift, stretch, type TextChange } from '../../../src/extension/ranges.js';

const replace = (rangeOffset: number, rangeLength: number, text: string): TextChange => ({
  rangeOffset,
  rangeLength,
  text,
});
/** What VS Code does with a change, to check ranges against the text they should still hold. */
const edit = (text: string, changes: readonly TextChange[]) =>
  changes.reduce((t, c) => t.slice(0, c.rangeOffset) + c.text + t.slice(c.rangeOffset + c.rangeLength), text);

const range = { start: 4, end: 7 };

describe('shift', () => {
  it.each([
    ['insertion before', [replace(0, 0, 'ab')], { start: 6, end: 9 }],
    ['insertion right before', [replace(4, 0, 'ab')], { start: 6, end: 9 }],
    ['insertion right after', [replace(7, 0, 'ab')], { start: 4, end: 7 }],
    ['deletion up to the start', [replace(1, 3, '')], { start: 1, end: 4 }],
    ['insertion inside', [replace(5, 0, 'x')], undefined],
    ['deletion of the first character', [replace(4, 1, '')], undefined],
    ['deletion of the last character', [replace(6, 1, '')], undefined],
    ['replacement across the start', [replace(3, 2, 'xy')], undefined],
    ['replacement of all', [replace(0, 20, 'other')], undefined],
    ['several, last first', [replace(9, 1, ''), replace(0, 2, 'abc')], { start: 5, end: 8 }],
  ])('%s', (_, changes, expected) => {
    expect(shift(range, changes)).toEqual(expected);
  });

  it('keeps every surviving range on its own text under random edits', () => {
    let seed = 7;
    const random = (n: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return Math.floor((seed / 2147483648) * n);
    };
    let kept = 0;
    for (let round = 0; round < 500; round++) {
      const text = Array.from({ length: 30 }, (_, i) => String.fromCharCode(65 + i)).join('');
      const start = random(29);
      const target = { start, end: start + 1 + random(30 - start) };
      const at = random(31);
      const changes = [replace(at, random(31 - at), '·'.repeat(1 + random(3)))];
      const moved = shift(target, changes);
      const after = edit(text, changes);
      if (moved) {
        kept++;
        expect(after.slice(moved.start, moved.end)).toBe(text.slice(target.start, target.end));
      } else {
        expect(after).not.toContain(text.slice(target.start, target.end));
      }
    }
    expect(kept).toBeGreaterThan(100);
  });
});

describe('stretch', () => {
  it('moves with edits before and grows with edits inside or across', () => {
    expect(stretch(range, [replace(0, 1, '')])).toEqual({ start: 3, end: 6 });
    expect(stretch(range, [replace(5, 1, 'long')])).toEqual({ start: 4, end: 10 });
    expect(stretch(range, [replace(2, 4, 'x')])).toEqual({ start: 2, end: 4 });
    expect(stretch(range, [replace(6, 4, 'x')])).toEqual({ start: 4, end: 7 });
    expect(stretch(range, [replace(4, 3, ''), replace(4, 0, 'abc')])).toEqual(range);
  });
});

describe('relocate', () => {
  it('finds a text where it was, or at its only other place', () => {
    expect(relocate('abc', 'xxabcabc', 5)).toEqual({ start: 5, end: 8 });
    expect(relocate('abc', 'xxabc', 0)).toEqual({ start: 2, end: 5 });
    expect(relocate('abc', 'abcxabc', 2)).toBeUndefined();
    expect(relocate('abc', 'xyz', 0)).toBeUndefined();
  });
});
