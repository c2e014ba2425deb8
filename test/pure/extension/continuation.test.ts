import { describe, expect, it } from 'vitest';
import { afterEdits, rest } from '../../../src/extension/continuation.js';

const begun = { at: 10, text: ' sat on\nthe mat', taken: 0 };
const put = (rangeOffset: number, text: string, rangeLength = 0) => ({ rangeOffset, rangeLength, text });

describe('a continuation', () => {
  it('is taken a word at a time, by VS Code or by typing it, and as a whole', () => {
    const word = afterEdits(begun, [put(10, ' sat')]);
    expect(word).toEqual({ ...begun, at: 14, taken: 4 });
    const typed = word && afterEdits(word, [put(14, ' '), put(15, 'o')]);
    expect(typed && rest(typed)).toBe('n\nthe mat');
    const all = typed && afterEdits(typed, [put(16, 'n\nthe mat')]);
    expect(all && rest(all)).toBe('');
  });

  it('is taken in a document of other line ends', () => {
    const taken = afterEdits(begun, [put(10, ' sat on\r\nthe')]);
    expect(taken).toEqual({ ...begun, at: 22, taken: 11 });
    expect(taken && rest(taken)).toBe(' mat');
  });

  it('stays while what is behind it is edited, and goes with the text that it follows from', () => {
    expect(afterEdits(begun, [put(11, 'x'), put(10, '', 5)])).toEqual(begun);
    expect(afterEdits(begun, [put(3, 'x')])).toBeUndefined();
    expect(afterEdits(begun, [put(9, '', 1)])).toBeUndefined();
    expect(afterEdits(begun, [put(10, 'other')])).toBeUndefined();
    expect(afterEdits(begun, [put(10, ' sat', 2)])).toBeUndefined();
  });
});
