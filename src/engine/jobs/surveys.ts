/** Saved surveys, read and put together. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import * as v from 'valibot';
import { grouped, SinkscopeError } from '../../errors.js';
import { readUtf8 } from '../../reading.js';
import { SURVEY_VERSION, type Survey, savedSurvey } from '../contract/surveys.js';

/** Of all parts together. A sequence takes about a kilobyte. */
const maxBytes = 64 * 2 ** 20;
/** Dims and kinds of token in which something stands out; a model that is known has some dozen. */
const maxRows = 2 ** 16;
/** Shards that a message names. */
const maxNamed = 10;

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
  // The first thing that is wrong will do: a file can be wrong in a million places.
  const read = v.safeParse(savedSurvey, json, { abortEarly: true });
  if (read.success) return read.output;
  const where = v.getDotPath(read.issues[0]);
  throw new SinkscopeError({
    code: 'input',
    file,
    message: `${file} is not a survey${where === null ? '' : ` (${where} is missing or wrong)`}; give files written by sinkscope survey --save.`,
  });
}

/**
 * What files hold, by their paths as given: 64 MB in all.
 *
 * @throws SinkscopeError as {@link readUtf8} and {@link readSurvey}; `input` where one file is given twice, or is a pipe
 *   or a device, which have no end that is known
 */
export async function readSurveys(paths: readonly string[]): Promise<Map<string, Survey>> {
  const before = new Map<string, string>();
  const surveys = new Map<string, Survey>();
  let room = maxBytes;
  for (const path of paths) {
    const same = before.get(resolve(path));
    if (same !== undefined) {
      const twice = same === path ? `${path} is given twice` : `${same} and ${path} are one file`;
      throw new SinkscopeError({ code: 'input', file: path, message: `${twice}; give each part once.` });
    }
    before.set(resolve(path), path);
    const status = await stat(path).catch(() => undefined);
    if (status && !status.isFile() && !status.isDirectory()) {
      throw new SinkscopeError({
        code: 'input',
        file: path,
        message: `${path} is no plain file; give files written by sinkscope survey --save.`,
      });
    }
    const text = await readUtf8(path, maxBytes);
    room -= Buffer.byteLength(text);
    if (room < 0) {
      throw new SinkscopeError({
        code: 'input',
        file: path,
        message: `${path} and the parts before it have more than the ${grouped(maxBytes)} bytes that are taken; survey fewer sequences.`,
      });
    }
    surveys.set(path, readSurvey(text, path));
  }
  return surveys;
}

/**
 * What these are the parts of, the same as if it had been run at once.
 *
 * @param parts by file
 * @param wanted what they are to make: the whole, or a shard of it that was itself run in shards
 * @throws SinkscopeError `input` where they differ in a setting, overlap, or one is missing
 */
export function mergeSurveys(
  parts: ReadonlyMap<string, Survey>,
  wanted: Survey['shard'] = { index: 0, of: 1 },
): Survey {
  const isOf = (one: number) => one % wanted.of === wanted.index;
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
  const [stranger] = [...seen].find(([index]) => shard.of % wanted.of !== 0 || !isOf(index)) ?? [];
  if (stranger !== undefined) {
    throw new SinkscopeError({
      code: 'input',
      message: `Shard ${stranger} of ${shard.of} is no part of shard ${wanted.index} of ${wanted.of}.`,
    });
  }
  const missing = shard.of / wanted.of - seen.size;
  if (missing > 0) {
    const named = firstMissing(shard.of, (index) => !isOf(index) || seen.has(index));
    const others = missing > named.length ? ` and ${missing - named.length} others` : '';
    throw new SinkscopeError({
      code: 'input',
      message: `Of ${shard.of} shards ${named.join(', ')}${others} ${missing === 1 ? 'is' : 'are'} missing; give all parts of one survey.`,
    });
  }
  const records = [...parts.values()].flatMap((part) => part.records).sort((a, b) => a.sequence - b.sequence);
  const whole = Math.ceil((settings.sequences - wanted.index) / wanted.of);
  if (records.length !== whole || records.some(({ sequence }, i) => sequence !== wanted.index + wanted.of * i)) {
    throw new SinkscopeError({
      code: 'input',
      message: `The parts have ${grouped(records.length)} of ${grouped(whole)} sequences; run the incomplete one again.`,
    });
  }
  if (new Set(records.flatMap(({ entries }) => entries.map(({ dim, kind }) => `${dim} ${kind}`))).size > maxRows) {
    throw new SinkscopeError({
      code: 'input',
      message: `The parts have entries at more than ${grouped(maxRows)} dims and kinds of token, more than any survey that says something.`,
    });
  }
  return { survey: SURVEY_VERSION, settings, shard: wanted, records };
}

/** The first of `of` shards that are not there, of which there is one: few, whatever a file says of their number. */
function firstMissing(of: number, isThere: (index: number) => boolean): number[] {
  const missing: number[] = [];
  for (let index = 0; index < of && missing.length < maxNamed; index++) if (!isThere(index)) missing.push(index);
  return missing;
}

/** The first setting in which they differ, in words. */
function differing(a: Survey['settings'], b: Survey['settings']): string | undefined {
  const { identity: _, ...outside } = a.model;
  const { identity: __, ...other } = b.model;
  if (a.model.identity !== b.model.identity && JSON.stringify(outside) === JSON.stringify(other))
    return `the weights of the model, though both call it ${a.model.name}`;
  // Of the corpus last: other line ends or another prefix are another corpus too.
  const keys = ['model', 'length', 'prefix', 'lineEnds', 'thresholds', 'sequences', 'corpus'] as const;
  const key = keys.find((one) => JSON.stringify(a[one]) !== JSON.stringify(b[one]));
  return key === 'lineEnds' ? `how line ends are read (${a.lineEnds} and ${b.lineEnds})` : key;
}
