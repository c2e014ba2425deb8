/** Saved surveys: put together, and read as a table. */
import { resolve } from 'node:path';
import * as v from 'valibot';
import { SinkscopeError } from '../../errors.js';
import { readText } from '../shared/files.js';
import { SURVEY_VERSION, type Survey, type TokenKind, tokenKinds } from './compute.js';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const survey = v.object({
  survey: v.literal(SURVEY_VERSION),
  settings: v.object({
    model: v.object({ name: v.string(), layers: count, hidden: count, bytes: count, identity: v.string() }),
    corpus: v.string(),
    sequences: count,
    length: count,
    prefix: v.nullable(count),
    thresholds: v.object({ absolute: v.number(), ratio: v.number(), soft: v.number() }),
  }),
  shard: v.object({ index: count, of: v.pipe(count, v.minValue(1)) }),
  records: v.array(
    v.object({
      sequence: count,
      entries: v.array(
        v.object({
          dim: count,
          kind: v.picklist(tokenKinds),
          token: v.string(),
          value: v.number(),
          massive: v.boolean(),
        }),
      ),
    }),
  ),
});

/**
 * What a file holds.
 *
 * @param file what it is called in messages: its path as given
 * @throws SinkscopeError `input` where it is no survey, or one of another version
 */
export function readSurvey(text: string, file: string): Survey {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new SinkscopeError(
      { code: 'input', file, message: `${file} is not JSON; give files written by sinkscope survey --save.` },
      { cause: error },
    );
  }
  const version = v.safeParse(v.object({ survey: v.number() }), json);
  if (version.success && version.output.survey !== SURVEY_VERSION) {
    throw new SinkscopeError({
      code: 'input',
      file,
      message: `${file} is a survey of version ${version.output.survey}, and this program reads version ${SURVEY_VERSION}; run the survey again.`,
    });
  }
  const read = v.safeParse(survey, json);
  if (read.success) return read.output;
  const where = v.getDotPath(read.issues[0]);
  throw new SinkscopeError({
    code: 'input',
    file,
    message: `${file} is not a survey${where === null ? '' : ` (${where} is missing or wrong)`}; give files written by sinkscope survey --save.`,
  });
}

/**
 * What files hold, by their paths as given.
 *
 * @throws SinkscopeError as {@link readText} and {@link readSurvey}; `input` where one file is given twice
 */
export async function readSurveys(paths: readonly string[]): Promise<Map<string, Survey>> {
  const before = new Map<string, string>();
  const surveys = new Map<string, Survey>();
  for (const path of paths) {
    const same = before.get(resolve(path));
    if (same !== undefined) {
      const twice = same === path ? `${path} is given twice` : `${same} and ${path} are one file`;
      throw new SinkscopeError({ code: 'input', file: path, message: `${twice}; give each part once.` });
    }
    before.set(resolve(path), path);
    surveys.set(path, readSurvey(await readText(path), path));
  }
  return surveys;
}

/**
 * The whole of which these are the parts, the same as if it had been run at once.
 *
 * @param parts by file
 * @throws SinkscopeError `input` where they differ in a setting, overlap, or one is missing
 */
export function mergeSurveys(parts: ReadonlyMap<string, Survey>): Survey {
  const [first, ...others] = parts;
  if (!first) throw new SinkscopeError({ code: 'input', message: 'There is no survey to merge.' });
  const [file, { settings, shard }] = first;
  for (const [other, part] of others) {
    const difference = differing(settings, part.settings) ?? (part.shard.of === shard.of ? undefined : 'shards');
    if (difference !== undefined) {
      throw new SinkscopeError({
        code: 'input',
        file: other,
        message: `${file} and ${other} do not belong together: they differ in ${difference}.`,
      });
    }
  }
  const seen = new Map<number, string>();
  for (const [part, { shard }] of parts) {
    const before = seen.get(shard.index);
    if (before !== undefined) {
      throw new SinkscopeError({
        code: 'input',
        file: part,
        message: `${before} and ${part} are both shard ${shard.index} of ${shard.of}; leave one of them out.`,
      });
    }
    seen.set(shard.index, part);
  }
  const missing = Array.from({ length: shard.of }, (_, index) => index).filter((index) => !seen.has(index));
  if (missing.length > 0) {
    throw new SinkscopeError({
      code: 'input',
      message: `Of ${shard.of} shards ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing; give all parts of one survey.`,
    });
  }
  const records = [...parts.values()].flatMap((part) => part.records).sort((a, b) => a.sequence - b.sequence);
  if (records.length !== settings.sequences || records.some(({ sequence }, i) => sequence !== i)) {
    throw new SinkscopeError({
      code: 'input',
      message: `The parts have ${records.length} of ${settings.sequences} sequences; run the incomplete one again.`,
    });
  }
  return { survey: SURVEY_VERSION, settings, shard: { index: 0, of: 1 }, records };
}

/** The first setting in which they differ, in words. */
function differing(a: Survey['settings'], b: Survey['settings']): string | undefined {
  const { identity: _, ...outside } = a.model;
  const { identity: __, ...other } = b.model;
  if (a.model.identity !== b.model.identity && JSON.stringify(outside) === JSON.stringify(other))
    return `the weights of the model, though both call it ${a.model.name}`;
  const keys = ['model', 'length', 'prefix', 'thresholds', 'sequences', 'corpus'] as const;
  return keys.find((key) => JSON.stringify(a[key]) !== JSON.stringify(b[key]));
}

/** What stands out at one dim and kind of token. */
export interface SurveyRow {
  readonly dim: number;
  readonly kind: TokenKind;
  /** With at least one entry, and with at least one that is massive by definition. */
  readonly sequences: number;
  readonly massiveSequences: number;
  readonly entries: number;
  /** Of the entries' values; the deviation (n − 1) is undefined for a single one. */
  readonly mean: number;
  readonly deviation: number | undefined;
  /** How many entries are at which token, most first. */
  readonly tokens: readonly { readonly text: string; readonly entries: number }[];
}

/** By dim, then kind of token; entries are added up in the order of sequences, so that parts give the same sums. */
export function surveyRows({ records }: Pick<Survey, 'records'>): SurveyRow[] {
  const groups = new Map<string, Group>();
  for (const { sequence, entries } of records) {
    for (const { dim, kind, token, value, massive } of entries) {
      const key = `${dim} ${kind}`;
      const group: Group = groups.get(key) ?? {
        dim,
        kind,
        all: new Set(),
        massive: new Set(),
        values: [],
        tokens: new Map(),
      };
      groups.set(key, group);
      group.all.add(sequence);
      if (massive) group.massive.add(sequence);
      group.values.push(value);
      group.tokens.set(token, (group.tokens.get(token) ?? 0) + 1);
    }
  }
  const order = (a: Group, b: Group) => a.dim - b.dim || tokenKinds.indexOf(a.kind) - tokenKinds.indexOf(b.kind);
  return [...groups.values()].sort(order).map(rowOf);
}

interface Group {
  readonly dim: number;
  readonly kind: TokenKind;
  readonly all: Set<number>;
  readonly massive: Set<number>;
  readonly values: number[];
  readonly tokens: Map<string, number>;
}

function rowOf({ dim, kind, all, massive, values, tokens }: Group): SurveyRow {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    dim,
    kind,
    sequences: all.size,
    massiveSequences: massive.size,
    entries: values.length,
    mean,
    deviation: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : undefined,
    tokens: [...tokens]
      .map(([text, entries]) => ({ text, entries }))
      .sort((a, b) => b.entries - a.entries || (a.text < b.text ? -1 : 1)),
  };
}

/** What the rows say, in a sentence. */
export function surveyConclusion({ settings, records }: Survey, rows: readonly SurveyRow[]): string {
  const n = records.length;
  const massive = rows.filter(({ massiveSequences }) => 2 * massiveSequences >= n);
  if (massive.length > 0) {
    const named = massive.map(
      ({ dim, kind, massiveSequences }) => `dim ${dim} at the ${place[kind]} (${massiveSequences} of ${n})`,
    );
    return `Massive in at least half of the sequences: ${named.join(', ')}: where they are does not depend on the text.`;
  }
  const large = rows.filter(({ sequences }) => 2 * sequences >= n);
  const named = large.map(({ dim, kind, sequences }) => `dim ${dim} at the ${place[kind]} (${sequences} of ${n})`);
  return large.length > 0
    ? `No entry is massive by definition in half of the sequences; at least ${settings.thresholds.soft} × the median in half of them: ${named.join(', ')}.`
    : 'No dim stands out in half of the sequences: the effect of the paper does not appear in this model.';
}

const place: Readonly<Record<TokenKind, string>> = {
  start: 'first token',
  'first delimiter': 'first delimiter',
  other: 'other tokens',
};
