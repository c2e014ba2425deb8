import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { withTerms } from '../../../src/analysis/terms.js';
import { experiments } from '../../../src/experiments/catalogue.js';
import { sectionOf } from '../../../src/extension/sections.js';

const page = readFileSync('docs/experiments.md', 'utf8');

describe('the section about an experiment', () => {
  it.each(experiments.map(({ id }) => id))('%s has an address', (id) => {
    expect(sectionOf(page, id)).toMatch(/^[a-z][a-z-]+$/);
  });

  it('is that of the heading above its table', () => {
    expect(sectionOf(page, 'survey')).toBe('input-agnosticism-survey');
    expect(sectionOf(page, 'doctor')).toBe('what-to-exclude');
    expect(sectionOf(page, 'nothing')).toBeUndefined();
  });
});

describe('the pages that come with the extension', () => {
  const left = readFileSync('.vscodeignore', 'utf8').split('\n');
  const pages = readdirSync('docs').filter((name) => name.endsWith('.md') && !left.includes(`docs/${name}`));
  const comes = (path: string) =>
    path === 'README.md' || path === 'CHANGELOG.md' || (/^(docs|media)\//.test(path) && !left.includes(path));

  it.each(pages)('%s links to nothing that stays behind', (name) => {
    const text = readFileSync(`docs/${name}`, 'utf8');
    const links = Array.from(text.matchAll(/\]\((?!https?:|#)([^)\s#]+)/g), ([, link = '']) =>
      posix.normalize(`docs/${link}`),
    );
    expect(links.filter((link) => !comes(link))).toEqual([]);
  });
});

describe('terms in a text', () => {
  const names = (text: string) => withTerms(text).flatMap((piece) => (typeof piece === 'string' ? [] : [piece.name]));

  it('are found whole, the longest first, once each', () => {
    expect(names('α of the sinks, α > ε')).toEqual(['α', 'sinks']);
    expect(names('an attention sink and its median')).toEqual(['attention sink', 'median']);
    expect(names('sinkscope, medians')).toEqual([]);
  });

  it('leave the text as it was', () => {
    const text = 'max |h| over dimensions ÷ layer median, BOS on';
    expect(
      withTerms(text)
        .map((piece) => (typeof piece === 'string' ? piece : piece.name))
        .join(''),
    ).toBe(text);
  });

  it('are explained in plain words', () => {
    const [, alpha] = withTerms('α');
    expect(alpha).toMatchObject({ meaning: expect.stringMatching(/^for head h and key k: the mean of A\[h, i, k\]/) });
  });
});
