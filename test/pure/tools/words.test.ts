import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Presentation, presented } from '../../../src/analysis/presentation.js';
import { experiments } from '../../../src/experiments/catalogue.js';
import { confirmation } from '../../../src/tools/confirm.js';
import { schemaOf } from '../../../src/tools/schema.js';
import { tools } from '../../../src/tools/table.js';
import { inWords, rowsInWords } from '../../../src/tools/words.js';
import { always, hostile, names, unseen } from '../../support/hostile.js';

/** A presentation of which every word is somebody else's. */
function made(name: string, rows = 2): Presentation {
  const cells = Array.from({ length: rows }, (_, i) => [name, i]);
  return presented({
    title: name,
    sentence: name,
    settings: [{ name, value: name }],
    warnings: [name],
    parts: [
      { kind: 'table', heading: name, columns: [{ name }, { name: 'n', format: 'plain' }], rows: cells },
      { kind: 'text', heading: name, paragraphs: [name] },
    ],
  });
}

/** What Markdown would take for more than text. */
const markup = /(?<!\\)(?:\\\\)*(?:[`*[\]<~]|(?<![\p{L}\p{N}_\\])_|(?<!\\)_(?![\p{L}\p{N}_\\])|&(?:#|\w+;))|^[#>]/u;

describe('an answer in words', () => {
  it('has no markup, column or line that its words make', () => {
    const holds = (name: string) => {
      const said = inWords(made(name), 'r1');
      const lines = said.split('\n');
      expect(lines.filter((line) => unseen(line).length > 0)).toEqual([]);
      const own = lines.map((line) => line.replace(/^##? ?|^### /, ''));
      expect(own.map((line) => line.replace(/^#+ /, '')).filter((line) => markup.test(line))).toEqual([]);
      const rows = lines.filter((line) => line.startsWith('|'));
      expect(rows).toHaveLength(4);
      // Three bars that part two columns: all others are escaped.
      for (const row of rows) expect(row.match(/(?<!\\)(?:\\\\)*\|/g)).toHaveLength(3);
    };
    fc.assert(fc.property(names, holds), { ...always, examples: hostile.map((name): [string] => [name]) });
  });

  it('leaves names as they can be copied', () => {
    expect(inWords(made('/blocks.1/attn_out/MatMul_12 α > 0.3'), 'r1')).toContain(
      '/blocks.1/attn_out/MatMul_12 α > 0.3',
    );
  });

  it('fits a context, whatever there is', () => {
    const long = made('x'.repeat(100_000), 5_000);
    const many = { ...long, parts: Array.from({ length: 400 }, () => long.parts).flat(), warnings: long.warnings };
    expect(
      inWords({ ...many, warnings: Array.from({ length: 500 }, () => 'w'.repeat(5_000)) }, 'r1').length,
    ).toBeLessThan(40_000);
    expect(rowsInWords(long, { part: 0, row: 0 }).length).toBeLessThan(20_000);
  });

  it('counts what is left out, and gives it when it is asked for', () => {
    const table = made('a', 100);
    expect(inWords(table, 'r1')).toContain('88 more rows: call sinkscope_more with from 12.');
    expect(inWords(made('a', 13), 'r1')).toContain('1 more row: call sinkscope_more with from 12.');
    const rest = rowsInWords(table, { part: 0, row: 60 });
    expect(rest).toContain('| a | 60 |');
    expect(rest).toContain('| a | 99 |');
    expect(rest).not.toContain('more rows');
  });
});

describe('the inputs of tools', () => {
  it('that are paths are those that are checked, and none is written to', () => {
    const paths = tools.flatMap(({ name, inputs }) =>
      Object.entries(inputs)
        .filter(([, input]) => input.kind === 'words' && /<(path|file|folder)/.test(input.flag))
        .filter(([, input]) => !('reads' in input && input.reads))
        .map(([input]) => `${name}: ${input}`),
    );
    expect(paths).toEqual([]);
    const given = experiments.flatMap(({ inputs }) => Object.values(inputs));
    expect(given.filter((input) => 'writes' in input && input.writes).length).toBeGreaterThan(1);
  });
});

describe('a confirmation', () => {
  const inputs = {
    model: { kind: 'model', label: 'Model', flag: '<model>', help: 'a model' },
    text: { kind: 'text', label: 'Text', flag: '--file <path>', help: 'a text' },
  } as const;

  it('names what is run and what is read', () => {
    const asked = confirmation({ title: 'Analyze', inputs }, { model: 'm.onnx', text: { file: 'a.txt' } });
    expect(asked?.message).toMatch(/model m\.onnx; input a\.txt\..*goes to the language model/);
  });

  it('takes arguments of any form', () => {
    for (const args of [undefined, null, 3, [], { model: 7, text: [[]] }, { text: { file: { a: null } } }])
      expect(confirmation({ title: 'Analyze', inputs }, args)?.title).toBe('Sinkscope: Analyze');
  });

  it('is not asked for what only looks at results', () => {
    expect(confirmation({ title: 'More', inputs: {} }, {})).toBeUndefined();
  });
});

it('what agents are told of an input names no option of another surface', () => {
  const told = tools.flatMap(({ name, inputs }) =>
    Object.entries(schemaOf(inputs).properties ?? {}).map(([input, { description = '' }]) => [
      name,
      input,
      description,
    ]),
  );
  // But where a whole command is named.
  expect(
    told.filter(([, , description]) => /--\w/.test(description?.replace(/\bsinkscope [^,;)]*/g, '') ?? '')),
  ).toEqual([]);
});
