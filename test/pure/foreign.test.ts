/** Whatever a file calls things, what people are shown of it is text. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tokenLabel, tokenLabels } from '../../src/analysis/label.js';
import { csvOf, type Presentation, type TablePart } from '../../src/analysis/presentation.js';
import { summary } from '../../src/analysis/summary.js';
import { defaultThresholds } from '../../src/analysis/thresholds.js';
import { against, report } from '../../src/cli/report.js';
import { columns, partInWords } from '../../src/cli/table.js';
import { lineOf } from '../../src/cli/terminal.js';
import { type Problem, SinkscopeError, toProblem } from '../../src/errors.js';
import { outcomeOf } from '../../src/experiments/experiment.js';
import { code, commandLink, own } from '../../src/extension/markdown.js';
import { fileName, plain } from '../../src/extension/plain.js';
import { jsonOf, quoted, visible } from '../../src/visible.js';
import { Exact, html } from '../../webview/html.js';
import { always, hostile, names, unseen } from '../support/hostile.js';
import { layers, pattern, run } from './analysis/example.js';

/** Holds `property` of every hostile name and of many that are made of them. */
const ofAny = (property: (name: string) => void) =>
  fc.assert(fc.property(names, property), { ...always, examples: hostile.map((name): [string] => [name]) });

describe('visible', () => {
  it('leaves nothing that steers or hides', () => {
    ofAny((name) => {
      expect(unseen(visible(name))).toEqual([]);
      expect(visible(visible(name))).toBe(visible(name));
    });
  });

  it.each([
    'Grüße, “Zürich”',
    '日本語のトークン',
    'العربية',
    'हिन्दी',
    'ｆｕｌｌ',
    '▁the',
    '⚓\uFE0E ❤\uFE0F 🙂',
    'a\\u{1b}',
    ' \u00a0 ',
  ])('leaves %j as it is', (text) => {
    expect(visible(text)).toBe(text);
  });

  it('writes what cannot be seen as its code', () => {
    expect(visible('a\u001b[2J\u202E\u200B\u{E0041}')).toBe('a\\u{1b}[2J\\u{202e}\\u{200b}\\u{e0041}');
    expect(quoted(`${'a'.repeat(119)}🙂b`)).toBe(`"${'a'.repeat(119)}…"`);
  });

  it('JSON stays what it is, and is as harmless', () => {
    ofAny((name) => {
      for (const space of [undefined, 2]) {
        const json = jsonOf({ [name]: [name, 1] }, space);
        expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify({ [name]: [name, 1] })));
        expect(unseen(json.replaceAll('\n', ''))).toEqual([]);
      }
    });
  });
});

/** What is thrown, as a problem. */
function problemOf(action: () => unknown): Problem | undefined {
  try {
    action();
  } catch (error) {
    return toProblem(error);
  }
  return undefined;
}

describe('what is made for people', () => {
  it('sentences of errors', () => {
    ofAny((name) => {
      const made = new SinkscopeError({ code: 'file', message: `The weight ${name} is cut off.`, file: name });
      expect(unseen(made.message + toProblem(new Error(name)).message)).toEqual([]);
      expect(made.file).toBe(name);
    });
  });

  it('errors of files and of memory that nobody has put into words', () => {
    expect(problemOf(() => readFileSync('/\u001b[31m/nowhere'))).toMatchObject({
      code: 'file',
      file: '/\u001b[31m/nowhere',
      message:
        '/\\u{1b}[31m/nowhere cannot be used: there is no such file or folder. Check that it is there and that you may use it.',
    });
    expect(problemOf(() => new Float64Array(2 ** 53))?.message).toMatch(
      /^What is asked for is more than can be held \(Invalid typed array length/,
    );
  });

  it('labels of tokens', () => {
    ofAny((text) => {
      for (const special of [true, false]) {
        const token = { id: 1, text, start: 0, end: 0, special };
        expect(unseen(tokenLabel(token))).toEqual([]);
        const event = {
          type: 'tokens',
          tokens: [token],
          total: 1,
          window: { start: 0, end: 1 },
          tokenizer: true,
        } as const;
        expect(unseen(tokenLabels({ ...event, source: 'image' }).join(''))).toEqual([]);
      }
    });
  });

  it('presentations of experiments, whatever part holds the name', () => {
    ofAny((name) => {
      const axis = { name, labels: [name] };
      const table: TablePart = { kind: 'table', heading: name, columns: [{ name }], rows: [[name]] };
      const made: Presentation = {
        title: name,
        sentence: name,
        settings: [{ name, value: name }],
        warnings: [name],
        parts: [
          table,
          { kind: 'bars', heading: name, value: { name }, log: false, bars: [{ name, value: 1 }] },
          {
            kind: 'lines',
            heading: name,
            x: { name, values: [1] },
            y: { name, log: false },
            lines: [{ name, values: [1] }],
          },
          {
            kind: 'heatmap',
            heading: name,
            rows: axis,
            columns: axis,
            value: { name },
            scale: 'log',
            values: [1],
            texts: [name],
          },
          { kind: 'text', heading: name, paragraphs: [name] },
        ],
      };
      const { presentation } = outcomeOf(made, {});
      expect(unseen(JSON.stringify(presentation))).toEqual([]);
      expect(presentation.sentence).toBe(visible(name));
    });
  });
});

describe('a terminal', () => {
  it('is given lines, with no colour but our own', () => {
    ofAny((name) => {
      expect(unseen(lineOf(name, true))).toEqual([]);
      const line = lineOf([{ text: name, mark: 'sink' }, { text: name }], true);
      expect(line).toBe(`\u001b[36m${visible(name)}\u001b[0m${visible(name)}`);
      expect(unseen(lineOf([{ text: name, mark: 'sink' }], false))).toEqual([]);
    });
  });

  it('has as many lines as the report has, and columns under each other', () => {
    const plainRun = run(layers, [pattern([[0, 0, 0.9]])]);
    const lines = report(plainRun, defaultThresholds).length;
    ofAny((name) => {
      const { started, tokens } = plainRun;
      if (!started || !tokens) throw new Error('the example has begun');
      const named = {
        ...plainRun,
        started: { ...started, model: { ...started.model, name } },
        tokens: { ...tokens, tokens: tokens.tokens.map((token) => ({ ...token, text: name })) },
        predictions: { type: 'predictions', token: 1, top: [{ id: 1, text: name, probability: 0.5 }] } as const,
      };
      expect(report(named, defaultThresholds).length - lines).toBe(4);
      expect(
        unseen(
          summary(named, defaultThresholds)
            .map((span) => span.text)
            .join(''),
        ),
      ).toEqual([]);
      const shown = [...report(named, defaultThresholds), ...against(named, named, defaultThresholds)];
      expect(unseen(shown.map((line) => lineOf(line, false)).join(''))).toEqual([]);
      const [heading, row] = columns(['name'], 'x', [[name, '1']]);
      expect(row?.length).toBe(heading?.length);
    });
  });

  it('has a row for each row of a table', () => {
    ofAny((name) => {
      const part: TablePart = { kind: 'table', heading: 'a', columns: [{ name }, { name: 'n' }], rows: [[name, 1]] };
      const lines = partInWords(part);
      expect(lines).toHaveLength(4);
      expect(unseen(lines.join(''))).toEqual([]);
    });
  });
});

describe('VS Code', () => {
  // Of base/common/linkedText.ts and base/browser/ui/iconLabel/iconLabels.ts.
  const link = /\[([^\]]+)\]\(((?:https?:\/\/|command:|file:)[^)\s]+)(?: (["'])(.+?)(\3))?\)/i;
  const icon = /\$\([A-Za-z0-9-]+(?:~[A-Za-z]+)?\)/;

  it('knows these for a link and an icon', () => {
    expect(hostile.filter((name) => link.test(name)).length).toBeGreaterThan(2);
    expect(hostile.filter((name) => icon.test(name)).length).toBeGreaterThan(2);
  });

  it('finds neither in a message, a label or a title', () => {
    ofAny((name) => {
      for (const text of [plain(name), plain(`[${name}](${name})`), plain(`$(${name})`)]) {
        expect(text).not.toMatch(link);
        expect(text).not.toMatch(icon);
        expect(unseen(text)).toEqual([]);
      }
    });
  });

  it('sees one code span in a hover, from its first fence to its last', () => {
    ofAny((name) => {
      const span = code(name);
      const [fence = ''] = /^`+/.exec(span) ?? [];
      const inside = span.slice(fence.length, -fence.length);
      expect(span).toBe(`${fence}${inside}${fence}`);
      // CommonMark 6.1: a span ends at the next run of exactly as many backticks.
      expect(Array.from(inside.matchAll(/`+/g), ([run]) => run.length)).not.toContain(fence.length);
      expect(inside).not.toMatch(/^`|`$/);
      expect(unseen(span)).toEqual([]);
      const stripped = /^ .* $/.test(inside) && inside.trim() !== '' ? inside.slice(1, -1) : inside;
      expect(stripped).toBe(visible(name) || ' ');
    });
  });

  it('is given links that end where they are to end', () => {
    ofAny((name) => {
      expect(commandLink(own('Show'), 'sinkscope.showToken', { name })).toMatch(
        /^\[Show\]\(command:sinkscope\.showToken\?[A-Za-z0-9%_.~!*'-]+\)$/,
      );
    });
  });

  it('proposes names of files that are names of files', () => {
    ofAny((name) => {
      const file = fileName(name);
      expect(file).toMatch(/^[\p{L}\p{M}\p{N}_-](?:[\p{L}\p{M}\p{N} ._-]*[\p{L}\p{M}\p{N}_-])?$/u);
      expect(file.length).toBeLessThanOrEqual(100);
    });
    expect(fileName('My notes.v2')).toBe('My notes.v2');
  });
});

it('a webview is given what can be seen, and gets back what it was given', () => {
  ofAny((name) => {
    const { values } = html`<p title=${name} .data=${7}>${name}<input .value=${new Exact(name)} /></p>`;
    expect(values).toEqual([visible(name), 7, visible(name), name]);
  });
});

describe('a spreadsheet', () => {
  /** The two fields of a line as RFC 4180 reads them. */
  const fieldsOf = (line: string) => {
    const [, inQuotes, bare, last] = /^(?:"((?:[^"]|"")*)"|([^",]*)),([^",]*)$/.exec(line) ?? [];
    return [inQuotes?.replaceAll('""', '"') ?? bare, last] as const;
  };

  it('computes nothing, and has every number as it is', () => {
    ofAny((name) => {
      const part: TablePart = {
        kind: 'table',
        heading: '',
        columns: [{ name }, { name: 'n' }],
        rows: [[name, -0.125]],
      };
      const lines = csvOf(part).split('\r\n');
      expect(lines).toHaveLength(3);
      for (const line of lines.slice(0, 2)) {
        const [field = '', number] = fieldsOf(line);
        expect(field.replace(/^'/, '')).toBe(visible(name).replace(/^'/, ''));
        expect(field).not.toMatch(/^[=+\-@＝＋－＠](?![\d.,]*$)/);
        expect(unseen(field)).toEqual([]);
        expect(['n', '-0.125']).toContain(number);
      }
    });
  });

  it('is not told that a number is a text', () => {
    const rows = [['-0.5', '+1,024', '-', '=1', 'a;b', '−3']];
    const part: TablePart = { kind: 'table', heading: '', columns: [{ name: 'n' }], rows };
    expect(csvOf(part)).toBe(`n\r\n-0.5,"+1,024",'-,'=1,"a;b",−3\r\n`);
  });
});
