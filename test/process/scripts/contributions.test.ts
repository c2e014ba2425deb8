import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { withCommands, withTables, withTitles, withTools, withToolTitles } from '../../../scripts/contributions.mjs';
import { experiments } from '../../../src/experiments/catalogue.js';
import { commandOf, type ExperimentFacts, type ExperimentInput, subjects } from '../../../src/experiments/facts.js';
import { sectionOf } from '../../../src/extension/sections.js';
import { schemaOf } from '../../../src/tools/schema.js';
import { tools } from '../../../src/tools/table.js';

const index = { subjects, sectionOf };
const read = (file: string) => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');

/** An experiment with these inputs, and nothing that a test looks at otherwise. */
function facts(id: string, ...inputs: readonly ExperimentInput[]): ExperimentFacts {
  const named = Object.fromEntries(inputs.map((input, i) => [`input${i}`, input]));
  const said = { title: 'A title', command: 'Do It…', description: 'What of it.', help: 'do it' };
  return { id, about: 'massive', ...said, inputs: named };
}
const asked = { label: 'Label', flag: '--flag <value>', help: 'help' } as const;

describe('what is derived from the catalogue', () => {
  it('are the commands of package.json, and their titles', () => {
    expect(read('package.json')).toBe(withCommands(read('package.json'), experiments, commandOf));
    expect(read('package.nls.json')).toBe(withTitles(read('package.nls.json'), experiments));
  });

  it('are the tools of package.json, and their titles', () => {
    expect(read('package.json')).toBe(withTools(read('package.json'), tools, schemaOf));
    expect(read('package.nls.json')).toBe(withToolTitles(read('package.nls.json'), tools));
  });

  it('are the tables of the documentation', () => {
    expect(read('docs/experiments.md')).toBe(withTables(read('docs/experiments.md'), experiments, index));
  });

  it('has its JSON documented', () => {
    const rows = read('docs/json.md')
      .split('\n')
      .filter((line) => line.startsWith('| `'));
    const undocumented = experiments.filter(
      ({ id }) => !rows.some((row) => row.split(' | ')[0]?.includes(`\`${id}\``)),
    );
    expect(undocumented.map(({ id }) => id)).toEqual([]);
  });
});

describe('commands', () => {
  const manifest = JSON.stringify({
    displayName: 'Sinkscope',
    contributes: {
      commands: [
        { command: 'sinkscope.first', title: '%command.first%' },
        { command: 'sinkscope.gone', title: '%experiment.gone%' },
        { command: 'sinkscope.last', title: '%command.last%' },
      ],
    },
  });

  it('take the place of what was derived before', () => {
    const { contributes } = JSON.parse(withCommands(manifest, [facts('one-more')], commandOf));
    expect(contributes.commands.map(({ command }: { command: string }) => command)).toEqual([
      'sinkscope.first',
      'sinkscope.oneMore',
      'sinkscope.last',
    ]);
    expect(contributes.commands[1]).toMatchObject({ title: '%experiment.one-more%', category: 'Sinkscope' });
  });

  it('are called as the definition says', () => {
    const titles = JSON.stringify({ 'command.first': 'First', 'experiment.gone': 'Gone', 'command.last': 'Last' });
    expect(Object.entries(JSON.parse(withTitles(titles, [facts('one-more')])))).toEqual([
      ['command.first', 'First'],
      ['experiment.one-more', 'Do It…'],
      ['command.last', 'Last'],
    ]);
  });
});

describe('tables', () => {
  const page = (id: string) =>
    `<!-- experiments --><!-- end -->\n## A heading\n<!-- inputs of ${id} -->old<!-- end -->\n`;

  it.each<[ExperimentInput, string]>([
    [
      { ...asked, kind: 'text', document: 'open' },
      'the open document | a UTF-8 text, or a `.jsonl` or `.parquet` file',
    ],
    [{ ...asked, kind: 'text' }, 'asked for | a UTF-8 text, or a `.jsonl` or `.parquet` file'],
    [
      { ...asked, kind: 'text', neededFor: { input: 'set', is: ['mean'] } },
      'asked for | a UTF-8 text, or a `.jsonl` or `.parquet` file, for `mean` only',
    ],
    [{ ...asked, kind: 'files', one: 'picture', extensions: ['png', 'jpg'] }, 'asked for | files: `.png`, `.jpg`'],
    [{ ...asked, kind: 'models', default: 'bundled' }, 'the bundled ones | models'],
    [{ ...asked, kind: 'whole', least: 1, default: 5 }, '5 | a whole number from 1 on'],
    [{ ...asked, kind: 'whole', least: 0, most: 9, open: 'all' }, 'all | a whole number from 0 to 9'],
    [{ ...asked, kind: 'number', default: 0.5 }, '0.5 | a number'],
    [{ ...asked, kind: 'choice', choices: ['a', 'b'] }, 'a | `a`, `b`'],
    [{ ...asked, kind: 'switch' }, 'off | on or off'],
    [{ ...asked, kind: 'indices', words: ['all'], default: 'all' }, 'all | `all`, or indices from 0 on, as in `0,3`'],
  ])('say what an input may be: %j', (input, cells) => {
    const table = withTables(page('one'), [facts('one', input)], index);
    expect(table).toContain(`\n| Label | \`--flag <value>\` | ${cells} |\n`);
    expect(table).not.toContain('old');
  });

  it('name every option that an input has', () => {
    const also = { flag: '--feeds <paths...>', help: 'help' };
    const table = withTables(
      page('one'),
      [
        facts(
          'one',
          { ...asked, kind: 'text', prompt: true },
          { ...asked, kind: 'files', one: 'picture', extensions: [], also },
        ),
      ],
      index,
    );
    expect(table).toContain('| Label | `--flag <value>`, `--text <text>` |');
    expect(table).toContain('| Label | `--flag <value>`, `--feeds <paths...>` |');
  });

  it('are not changed by being written again', () => {
    const once = withTables(page('one'), [facts('one')], index);
    expect(once).toContain('| **What is massive?** |  |  |\n| [A title](#a-heading) | `one` | What of it. |');
    expect(withTables(once, [facts('one')], index)).toBe(once);
  });

  it('are all there, and none too many', () => {
    expect(() => withTables(page('one'), [facts('one'), facts('two')], index)).toThrow(
      '<!-- inputs of two --><!-- end -->',
    );
    expect(() => withTables(page('gone'), [], index)).toThrow('there is no experiment gone');
  });
});
