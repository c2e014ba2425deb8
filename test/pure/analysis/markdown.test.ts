import fc from 'fast-check';
import MarkdownIt from 'markdown-it';
import { describe, expect, it } from 'vitest';
import { markdownOf } from '../../../src/analysis/markdown.js';
import type { Presentation } from '../../../src/analysis/presentation.js';
import { visible } from '../../../src/visible.js';
import { always, names } from '../../support/hostile.js';

/** With all that GitHub takes besides: HTML, addresses that are links by themselves, tables, what is crossed out. */
const markdown = new MarkdownIt({ html: true, linkify: true });

const shownOf = (name: string): Presentation => ({
  title: name,
  sentence: name,
  settings: [{ name: 'model', value: name }],
  warnings: [name],
  parts: [
    { kind: 'table', heading: name, columns: [{ name }, { name: 'n' }], rows: [[name, 1234.5]] },
    { kind: 'text', heading: name, paragraphs: [name] },
  ],
});

/** Every kind of token, and the texts as they are shown. */
function rendered(source: string) {
  const kinds = new Set<string>();
  const texts: string[] = [];
  for (const block of markdown.parse(source, {})) {
    kinds.add(block.type);
    let line = '';
    for (const { type, content } of block.children ?? []) {
      if (type !== 'html_inline' || content !== '<!-- -->') kinds.add(type);
      if (type === 'text' || type === 'text_special') line += content;
    }
    if (block.type === 'inline') texts.push(line);
  }
  return { kinds, texts };
}

const expected =
  'paragraph_open paragraph_close heading_open heading_close blockquote_open blockquote_close inline text '
    .concat('table_open table_close thead_open thead_close tbody_open tbody_close tr_open tr_close th_open th_close ')
    .concat('td_open td_close text_special')
    .split(' ');

describe('Markdown', () => {
  it('shows what a stranger wrote as it is, and gives nothing in it a meaning', () => {
    fc.assert(
      fc.property(names, (name) => {
        const shown = `a${name}z`;
        const { kinds, texts } = rendered(markdownOf(shownOf(shown)));
        expect([...kinds].filter((kind) => !expected.includes(kind))).toEqual([]);
        const said = visible(shown);
        expect(texts).toEqual([said, said, `model ${said}`, said, said, said, 'n', said, '1,235', said, said]);
      }),
      { ...always, numRuns: 300 },
    );
  });

  it('gives nothing a meaning at the beginning of a line either', () => {
    fc.assert(
      fc.property(names, (name) => {
        const { kinds } = rendered(markdownOf(shownOf(name)));
        expect([...kinds].filter((kind) => !expected.includes(kind))).toEqual([]);
      }),
      { ...always, numRuns: 300 },
    );
  });

  it('mentions nobody and no issue, which GitHub finds in what was rendered', () => {
    const source = markdownOf(shownOf('@octocat #1 GH-2 owner/repo#3'));
    expect(source).not.toMatch(/@octocat|&#64;octocat|#1\b|&#35;1\b|GH-2/);
  });

  it('has a table with numbers at the right, and stays readable as it is', () => {
    const source = markdownOf({
      title: 'Analysis of notes.md',
      sentence: 'Sink: ⟨bos⟩ draws it in 17 of 32 heads (T = 105).',
      settings: [{ name: 'model', value: 'llama' }],
      warnings: [],
      parts: [{ kind: 'table', heading: 'h_2', columns: [{ name: 'dim', format: 'plain' }], rows: [[239]] }],
    });
    expect(source).toBe(
      '### Analysis of notes.md\n\nSink: ⟨bos⟩ draws it in 17 of 32 heads (T = 105).\n\nmodel llama\n\n#### h_2\n\n| dim |\n| --: |\n| 239 |\n',
    );
  });
});
