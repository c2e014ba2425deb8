import { describe, expect, it } from 'vitest';
import { anchorsOf, missingKeys, withoutDeadLinks, wrongIn } from '../../../scripts/docs.mjs';

const known = {
  files: new Set([
    'docs',
    'docs/a.md',
    'docs/b.md',
    'docs/pictures',
    'docs/pictures/a.png',
    'src',
    'src/x',
    'src/x/y.ts',
  ]),
  anchors: (page: string) => (page === 'docs/b.md' ? new Set(['two-words']) : new Set(['here'])),
  ids: new Set(['sinkscope.bos']),
  options: new Map([
    ['analyze', new Set(['--help', '--text'])],
    ['survey', new Set(['--help', '--save'])],
  ]),
  programs: "process.argv.includes('--pack')",
};
const wrong = (text: string) => wrongIn('docs/a.md', text, known);

describe('a page of the documentation', () => {
  it.each([
    '[b](b.md#two-words), [here](#here), ![a](pictures/a.png), [out](https://example.org/x#y), [folder](pictures/)',
    'see `y.ts`, `x/y.ts` and `src/x/`; the setting `sinkscope.bos`, the file `name.sinkscope.json`',
    '```sh\nsinkscope analyze llama --text "a"\n# [no](link.md) in code\n```',
    'with `--save`, `--pack` and `npm version --no-git-tag-version`',
    '**`src/x/new.ts`**\n\n`src/x/new.ts` is what this page makes',
  ])('says nothing wrong: %s', (text) => {
    expect(wrong(text)).toEqual([]);
  });

  it.each([
    ['[c](c.md)', 'links to c.md, which is not there'],
    ['[b](b.md#three)', 'links to b.md#three, which has no such heading'],
    ['![b](pictures/b.png)', 'links to pictures/b.png, which is not there'],
    ['`src/z/`', 'names src/z/, which is not there'],
    ['`z.ts`', 'names z.ts, which is not there'],
    ['`sinkscope.bosses`', 'names sinkscope.bosses, which is no setting, command or colour'],
    ['```sh\nsinkscope analyze llama --save x\n```', 'gives analyze the option --save, which it does not take'],
    ['with `--saves`', 'names the option --saves, which nothing takes'],
  ])('is refused: %s', (text, sentence) => {
    expect(wrong(text)).toEqual([sentence]);
  });

  it('is packed without links to what is not packed', () => {
    const page = '[b](b.md#x), [here](#x), [out](https://example.org), [**c** d](../c.md), ![p](p.png)';
    expect(withoutDeadLinks('docs/a.md', page, new Set(['docs/a.md', 'docs/b.md']))).toBe(
      '[b](b.md#x), [here](#x), [out](https://example.org), **c** d, ![p](p.png)',
    );
  });

  it('has the addresses that GitHub gives its headings', () => {
    const page = '# A `code` (b)\n## [Link](x.md): two, words\n```sh\n# no heading\n```\n## Same\n## Same';
    expect([...anchorsOf(page)]).toEqual(['a-code-b', 'link-two-words', 'same', 'same-1']);
  });

  it('has every key of --json in the row of its subcommand', () => {
    const page = '`said of all`\n| `a`, `b --set` | `one`, and as `c` |\n| `c` | `two` |';
    const keys = (command: string, list: string) =>
      missingKeys(page, new Map([...['a', 'b-set', 'c'].map((one) => [one, ''] as const), [command, list]]));
    expect(keys('a', 'one number\none.two array\nx[].all string\n')).toEqual([]);
    expect(keys('b-set', 'two.three number\n')).toEqual(['docs/json.md lacks two.three of b-set']);
    expect(keys('c', 'one number\n')).toEqual(['docs/json.md lacks one of c']);
  });
});
