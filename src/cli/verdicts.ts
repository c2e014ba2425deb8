/** What a check found, in the forms that people and continuous integration read. */
import { isAbsolute, sep } from 'node:path';
import { pathToFileURL } from 'node:url';

/** What there are rules about. */
export const checks = {
  'max-kld': 'mean KL divergence from the model it was made from',
  'min-same-top': 'share of tokens with the same most likely next one, 0 to 1',
  'min-fp16-headroom': '65,504 ÷ the largest activation; 1: it just fits',
  'max-massive-ratio': 'largest entry of a hidden state ÷ its median',
} as const;

/** A rule, and what it was held against. */
export interface Verdict {
  readonly rule: keyof typeof checks;
  readonly broken: boolean;
  readonly value: number;
  readonly limit: number;
  /** Where the value is, as far as that can be said. */
  readonly layer?: number;
  readonly token?: number;
  readonly dim?: number;
  /** A sentence, whether it is broken or holds. */
  readonly message: string;
  /** Its end, where that it holds says little. */
  readonly note?: string;
}

export interface Checked {
  /** Paths. */
  readonly model: string;
  readonly against: string | undefined;
  readonly file: string;
  /** How line ends of the text were read. */
  readonly lineEnds: 'lf' | 'as-is';
  readonly verdicts: readonly Verdict[];
}

export const formats = ['text', 'json', 'junit', 'sarif', 'markdown'] as const;
export type Form = (typeof formats)[number];

/** The verdicts as lines, or as JSON where the format is that. */
export function shown(
  checked: Checked,
  format: Form,
): { readonly lines: readonly string[] } | { readonly json: object } {
  switch (format) {
    case 'text':
      return { lines: textOf(checked) };
    case 'junit':
      return { lines: junitOf(checked) };
    case 'markdown':
      return { lines: markdownOf(checked) };
    case 'json':
      return { json: jsonOf(checked) };
    case 'sarif':
      return { json: sarifOf(checked) };
  }
}

const brokenOf = ({ verdicts }: Checked) => verdicts.filter(({ broken }) => broken);

function textOf(checked: Checked): string[] {
  const broken = brokenOf(checked);
  const { length } = checked.verdicts;
  const notes = new Set(checked.verdicts.flatMap(({ note }) => note ?? []));
  if (broken.length === 0) return [length === 1 ? 'The rule holds.' : `All ${length} rules hold.`, ...notes];
  return broken.map(({ rule, message }) => `${rule}: ${message}`);
}

function jsonOf(checked: Checked): object {
  const { model, against, file, lineEnds, verdicts } = checked;
  return {
    model,
    against: against ?? null,
    file,
    line_ends: lineEnds,
    ok: brokenOf(checked).length === 0,
    rules: verdicts.map(({ rule, broken, value, limit, layer, token, dim, message }) => {
      return { rule, broken, value, limit, layer: layer ?? null, token: token ?? null, dim: dim ?? null, message };
    }),
  };
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
// Controls and halves of surrogate pairs have no place in XML 1.0, escaped or not.
const xml = (text: string) =>
  text.replace(/[&<>"]/g, (sign) => entities[sign] ?? sign).replace(/[\p{Cc}\p{Cs}\uFFFE\uFFFF]/gu, '\ufffd');

/** As Jenkins (junit-10.xsd of its xunit plugin), GitLab and GitHub's reporters take it: a test case for each rule. */
function junitOf(checked: Checked): string[] {
  const { model, verdicts } = checked;
  const counts = `tests="${verdicts.length}" failures="${brokenOf(checked).length}" errors="0"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name="sinkscope check" ${counts}>`,
    ...verdicts.flatMap(({ rule, broken, message }) => {
      const open = `    <testcase classname="${xml(model)}" name="${xml(rule)}"`;
      // GitLab shows what is in the element, Jenkins and others the attribute.
      const failure = `      <failure type="${xml(rule)}" message="${xml(message)}">${xml(message)}</failure>`;
      return broken ? [`${open}>`, failure, '    </testcase>'] : [`${open}/>`];
    }),
    '  </testsuite>',
    '</testsuites>',
  ];
}

const ruleOf = ({ rule }: Verdict) => ({ id: rule, shortDescription: { text: checks[rule] } });

/** A path as it was given, from the folder of the job or absolute, as a reference of RFC 3986. */
function uriOf(path: string): string {
  if (isAbsolute(path)) return pathToFileURL(path).href;
  return path
    .split(sep === '/' ? sep : /[\\/]/)
    .map(encodeURIComponent)
    .join('/');
}

/** Static Analysis Results Interchange Format 2.1.0 (OASIS), as code scanning takes it. */
function sarifOf(checked: Checked): object {
  const { model, verdicts } = checked;
  const physicalLocation = { artifactLocation: { uri: uriOf(model) } };
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'Sinkscope', rules: verdicts.map(ruleOf) } },
        results: brokenOf(checked).map(({ rule, message, value, limit, layer, token, dim }) => {
          const properties = { value, limit, layer, token, dim };
          return {
            ruleId: rule,
            level: 'error',
            message: { text: message },
            locations: [{ physicalLocation }],
            properties,
          };
        }),
      },
    ],
  };
}

const plain = (text: string) => text.replace(/[|\\`<>*_[\]]/g, '\\$&');

function markdownOf(checked: Checked): string[] {
  const broken = brokenOf(checked).length;
  const { model, verdicts } = checked;
  return [
    `### ${broken === 0 ? '✅' : '❌'} ${plain(model)}: ${broken} of ${verdicts.length} rules broken`,
    '',
    '| rule | | |',
    '| --- | --- | --- |',
    ...verdicts.map(({ rule, broken, message }) => `| ${rule} | ${broken ? 'broken' : 'holds'} | ${plain(message)} |`),
  ];
}
