import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readText } from '../../../src/tokens/line-ends.js';
import { root } from '../../support/files.js';
import { pairs } from '../../support/lists.js';
import { load } from './support.js';

const document = 'One line.\r\nAnother\rone\n\r\n\r\nand — after 😀 —\r\nthe last.';

describe('readText', () => {
  it('reads every line end as LF, as Python does', () => {
    const { text, changed } = readText(document, 'lf');
    // What `io.StringIO(document, newline=None).read()` gives.
    expect(text).toBe('One line.\nAnother\none\n\n\nand — after 😀 —\nthe last.');
    expect(changed).toBe(5);
  });

  it('knows where everything stands in the document', () => {
    const { text, place } = readText(document, 'lf');
    for (const [offset, character] of Array.from({ length: text.length }, (_, i) => [i, text[i]] as const)) {
      const there = document.slice(place(offset), place(offset + 1));
      expect(there === character || (character === '\n' && /^\r\n?$/.test(there)), `${offset}`).toBe(true);
    }
    expect(place(text.length)).toBe(document.length);
  });

  it('leaves a text as it is where that is asked for, or there is nothing to do', () => {
    expect(readText(document, 'as-is')).toMatchObject({ text: document, changed: 0 });
    expect(readText('a\nb', 'lf')).toMatchObject({ text: 'a\nb', changed: 0 });
  });
});

describe('tokens of a text with other line ends', () => {
  const tokenizer = load(join(root, 'media/models/llama'));

  it('are those of the text with LF, at their places in the document', async () => {
    const [other, plain] = [
      await tokenizer.encode(document, { bos: undefined }),
      await tokenizer.encode(document.replace(/\r\n?/g, '\n'), { bos: undefined }),
    ];
    expect([...other.tokens.ids]).toEqual([...plain.tokens.ids]);
    expect([other.changed, plain.changed]).toEqual([5, 0]);
    for (const [{ start, end, text }, one] of pairs([...other.tokens], [...plain.tokens])) {
      expect(text).toBe(one.text);
      if (start !== end && !text.includes('‹')) expect(document.slice(start, end).replace(/\r\n?/g, '\n')).toBe(text);
    }
  });

  it('are others as they are', async () => {
    const asIs = await tokenizer.encode(document, { bos: undefined, lineEnds: 'as-is' });
    const read = await tokenizer.encode(document, { bos: undefined });
    expect(asIs.tokens.length).toBeGreaterThan(read.tokens.length);
    expect(asIs.changed).toBe(0);
  });
});
