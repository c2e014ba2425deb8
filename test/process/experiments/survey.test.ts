import { cp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Survey } from '../../../src/engine/contract/surveys.js';
import { mergeSurveys, readSurvey, readSurveys } from '../../../src/engine/jobs/surveys.js';
import { mergeParts } from '../../../src/experiments/shared/merge.js';
import { surveyConclusion, surveyRows } from '../../../src/experiments/shared/survey.js';
import { runSurvey } from '../../../src/experiments/survey/units.js';
import {
  boats,
  budget,
  demoModel,
  finish,
  off,
  references,
  startEngine,
  temporaryFolder,
  text,
  thresholds,
} from '../../support/experiments.js';
import { at } from '../../support/lists.js';
import { trainOn } from '../../support/weight.js';

const engine = startEngine();

interface Asked {
  readonly sequences?: number;
  readonly length?: number;
  readonly shard?: Survey['shard'];
  readonly texts?: readonly string[];
}

async function run(model: string, { sequences = 20, length = 128, shard, texts = [text(boats)] }: Asked = {}) {
  const named = texts.map((text, i) => ({ name: `${i}`, text }));
  const request = {
    ...budget,
    model: demoModel(model),
    texts: named,
    sequences,
    length,
    shard,
    thresholds,
    workers: 1,
  };
  return finish(runSurvey(engine, request));
}

describe.each(references.survey)('a survey with $model equals PyTorch', (reference) => {
  it('in every dim and kind of token', async () => {
    const whole = await run(reference.model, reference);
    const rows = surveyRows(whole);
    expect(rows.map(({ mean: _, deviation: __, tokens: ___, ...row }) => row)).toEqual(
      reference.rows.map(({ mean: _, deviation: __, ...row }) => row),
    );
    // With explicit biases nothing stands out in any sequence, there or here.
    expect(rows.length > 0).toBe(reference.model !== 'llama-bias');
    for (const [i, { mean, deviation }] of reference.rows.entries()) {
      const row = at(rows, i);
      expect(off(row.mean, mean)).toBeLessThan(1e-4);
      expect(Math.abs((row.deviation ?? 0) - deviation)).toBeLessThan(1e-4 * Math.abs(mean));
    }
  });
});

it('parts of two checkpoints of one name are refused', async () => {
  const folder = await temporaryFolder();
  const copies = ['step-100', 'step-200'].map((step) => join(folder, step, 'llama-plain', 'model.onnx'));
  for (const copy of copies) await cp(dirname(demoModel('llama-plain')), dirname(copy), { recursive: true });
  trainOn(at(copies, 1));
  const texts = [{ name: '0', text: text(boats) }];
  const parts = new Map<string, Survey>();
  for (const [index, model] of copies.entries()) {
    const request = {
      ...budget,
      model,
      texts,
      sequences: 4,
      length: 32,
      shard: { index, of: 2 },
      thresholds,
      workers: 1,
    };
    parts.set(`part-${index}.json`, await finish(runSurvey(engine, request)));
  }
  expect(() => mergeSurveys(parts)).toThrow(
    'part-0.json and part-1.json do not belong together: they differ in the weights of the model, though both call it llama-plain.',
  );
});

describe('shards', () => {
  let whole: Survey;
  /** Shards 2, 0 and 1. */
  let parts: [Survey, Survey, Survey];
  beforeAll(async () => {
    const asked = { sequences: 7, length: 64 };
    whole = await run('llama-plain', asked);
    const part = (index: number) => run('llama-plain', { ...asked, shard: { index, of: 3 } });
    parts = [await part(2), await part(0), await part(1)];
  });

  const named = (surveys: readonly Survey[]) => new Map(surveys.map((part, i) => [`part-${i}.json`, part]));
  /** As from a file, with something else in it. */
  const altered = (part: Survey, more: object) => readSurvey(JSON.stringify({ ...part, ...more }), 'part.json');

  it('give the same answer as one run, to the bit', () => {
    const read = parts.map((part) => readSurvey(JSON.stringify(part), 'part.json'));
    const merged = mergeSurveys(named(read));
    expect(merged).toEqual(whole);
    expect(JSON.stringify(surveyRows(merged))).toBe(JSON.stringify(surveyRows(whole)));
    expect(surveyRows(whole).length).toBeGreaterThan(0);
  });

  it('are put together by the engine from files', async () => {
    const folder = await temporaryFolder();
    const files = parts.map((_, i) => join(folder, `${i}.json`));
    for (const [i, file] of files.entries()) await writeFile(file, JSON.stringify(at(parts, i)));
    expect(await finish(mergeParts(engine, files))).toEqual(whole);
    await writeFile(at(files, 0), '{');
    await expect(finish(mergeParts(engine, files))).rejects.toThrow(`${at(files, 0)} is not JSON`);
  });

  it('are put together to a shard that was itself run in shards', async () => {
    const units = [1, 3].map((index) => ({ index, of: 4 }));
    const run4 = (shard: Survey['shard']) => run('llama-plain', { sequences: 7, length: 64, shard });
    const [one, three] = [await run4(at(units, 0)), await run4(at(units, 1))];
    const half = await run4({ index: 1, of: 2 });
    expect(mergeSurveys(named([three, one]), { index: 1, of: 2 })).toEqual(half);
    expect(() => mergeSurveys(named([one]), { index: 1, of: 2 })).toThrow(/Of 4 shards 3 is missing/);
    expect(() => mergeSurveys(named([one, three]), { index: 0, of: 2 })).toThrow(
      'Shard 1 of 4 is no part of shard 0 of 2.',
    );
  });

  it('are refused at once where a file claims more of them than there can be', () => {
    const shard = (of: number, index = 0) => altered(whole, { shard: { index, of } });
    for (const of of [2e8, 4e9, 1e15]) expect(() => shard(of)).toThrow(/part\.json is not a survey \(shard\.of is/);
    expect(() => shard(3, 3)).toThrow(/part\.json is not a survey/);
    expect(() => mergeSurveys(named([shard(999_999, 1)]))).toThrow(
      'Of 999999 shards 0, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 999988 others are missing; give all parts of one survey.',
    );
  });

  it('are refused where something stands out everywhere', () => {
    const entries = Array.from({ length: 70_000 }, (_, dim) => ({
      dim,
      kind: 'other',
      token: 'a',
      value: 1,
      massive: false,
    }));
    const records = whole.records.map((record) => ({ ...record, entries }));
    expect(() => mergeSurveys(named([altered(whole, { records })]))).toThrow(/at more than 65,536 dims and kinds/);
  });

  it('are refused where one is missing, there twice, or of another survey', () => {
    const [c, a, b] = parts;
    const merging =
      (...surveys: Survey[]) =>
      () =>
        mergeSurveys(named(surveys));
    expect(merging(a, b)).toThrow(/Of 3 shards 2 is missing/);
    expect(merging(a, b, b, c)).toThrow(/part-1\.json and part-2\.json are both shard 1 of 3/);
    const other = (more: object) => altered(b, { settings: { ...b.settings, ...more } });
    expect(merging(a, other({ length: 65 }), c)).toThrow(
      /part-0\.json and part-1\.json do not belong together: they differ in length/,
    );
    expect(merging(a, other({ corpus: '0' }), c)).toThrow(/differ in corpus/);
    expect(merging(a, other({ thresholds: { absolute: 1, ratio: 2, soft: 3 } }), c)).toThrow(/differ in thresholds/);
    expect(merging(a, other({ prefix: 5 }), c)).toThrow(/differ in prefix/);
    expect(merging(a, other({ lineEnds: 'as-is', corpus: '0' }), c)).toThrow(
      'differ in how line ends are read (lf and as-is)',
    );
    expect(merging(a, other({ model: { ...b.settings.model, stream: 'other' } }), c)).toThrow(/differ in model/);
    expect(merging(a, altered(b, { shard: { index: 1, of: 4 } }), c)).toThrow(/differ in shards/);
    expect(merging(a, altered(b, { records: b.records.slice(1) }), c)).toThrow(/have 6 of 7 sequences/);
    expect(() => mergeSurveys(new Map())).toThrow(/no survey to merge/);
  });

  it('are refused where a file is of another version or of another kind', () => {
    expect(() => altered(whole, { survey: 1 })).toThrow(
      /part\.json is a survey of version 1, and this program reads version 3/,
    );
    expect(() => readSurvey('{"survey": 3}', 'part.json')).toThrow(/part\.json is not a survey \(settings is missing/);
    expect(() => readSurvey('{"survey"', 'part.json')).toThrow(/part\.json is not JSON/);
    expect(() => readSurvey('[]', 'part.json')).toThrow(/part\.json is not a survey/);
  });

  it('are read by their paths as given, each once', async () => {
    const folder = await temporaryFolder();
    const [one, other] = [join(folder, 'p0.json'), join(folder, 'p1.json')];
    await writeFile(one, JSON.stringify(parts[1]));
    await writeFile(other, '{}');
    const here = relative(process.cwd(), one);
    expect([...(await readSurveys([here])).keys()]).toEqual([here]);
    await expect(readSurveys([one, one])).rejects.toThrow(`${one} is given twice; give each part once.`);
    await expect(readSurveys(['/dev/null'])).rejects.toThrow(/^\/dev\/null is no plain file; give files written by/);
    await expect(readSurveys([one, here])).rejects.toThrow(`${one} and ${here} are one file; give each part once.`);
    await expect(readSurveys([one, other])).rejects.toThrow(`${other} is not a survey`);
  });

  it('are run by several processes, kept in a folder, and what is there is not run again', async () => {
    const folder = join(await temporaryFolder(), 'parts');
    const texts = [{ name: '0', text: text(boats) }];
    const asked = { ...budget, model: demoModel('llama-plain'), texts, sequences: 40, length: 16, thresholds };
    const once = await finish(runSurvey(engine, { ...asked, workers: 1 }));
    expect(await finish(runSurvey(engine, { ...asked, workers: 3 }))).toEqual(once);
    expect(await finish(runSurvey(engine, { ...asked, workers: 2, parts: folder }))).toEqual(once);
    const files = (await readdir(folder)).sort();
    expect(files).toHaveLength(3);
    const [lost, torn, sound] = files.map((file) => join(folder, file)) as [string, string, string];
    await rm(lost);
    await writeFile(torn, (await readFile(torn, 'utf8')).slice(0, 200));
    const before = await stat(sound);
    const said: number[] = [];
    const again = runSurvey(engine, { ...asked, workers: 1, parts: folder });
    let step = await again.next();
    for (; !step.done; step = await again.next()) said.push(step.value.done);
    expect(step.value).toEqual(once);
    // It begins with what is there.
    expect(said[0]).toBe(13);
    expect((await stat(sound)).mtimeMs).toBe(before.mtimeMs);
    // Another survey has other files.
    await finish(runSurvey(engine, { ...asked, sequences: 3, workers: 1, parts: folder }));
    expect(await readdir(folder)).toHaveLength(4);
    // A shard of it is kept in the same units as the whole.
    const half = { shard: { index: 1, of: 2 }, workers: 1 };
    const alone = await finish(runSurvey(engine, { ...asked, ...half }));
    expect(await finish(runSurvey(engine, { ...asked, ...half, parts: folder }))).toEqual(alone);
  });

  it('need sequences to run', async () => {
    await expect(run('llama', { sequences: 2, length: 64, shard: { index: 2, of: 3 } })).rejects.toThrow(
      /Shard 2 of 3 has no sequence: there are only 2/,
    );
    await expect(run('llama', { texts: [''] })).rejects.toThrow(/^The corpus has no token/);
  });
});

it('goes from text to text, each cut for itself', async () => {
  const texts = [text(boats).slice(0, 1500), 'too short', '', text('media/sample.md')];
  const { settings, records } = await run('llama', { texts, sequences: 100, length: 64 });
  const lengths: number[] = [];
  for (const part of texts) lengths.push((await engine.encode(demoModel('llama'), part)).ids.length);
  expect(settings.sequences).toBe(lengths.reduce((sum, length) => sum + Math.floor(length / 63), 0));
  expect(records.map(({ sequence }) => sequence)).toEqual(records.map((_, i) => i));
});

it('names kinds of token and adds up values', () => {
  const entry = (
    dim: number,
    kind: 'start' | 'first delimiter' | 'other',
    value: number,
    token: string,
    massive = false,
  ) => ({
    dim,
    kind,
    value,
    token,
    massive,
  });
  const settings = {
    model: { name: 'm', stream: '', layers: 2, hidden: 4, bytes: 8, identity: '' },
    corpus: '',
    sequences: 2,
    length: 8,
    prefix: null,
    lineEnds: 'lf' as const,
    thresholds,
  };
  const records = [
    {
      sequence: 0,
      entries: [entry(3, 'other', 100, ' of'), entry(3, 'other', 104, ' of'), entry(1, 'start', 500, 'A', true)],
    },
    { sequence: 1, entries: [entry(3, 'other', 102, ' the'), entry(1, 'start', 510, 'B', true)] },
  ];
  const rows = surveyRows({ records });
  expect(rows).toEqual([
    {
      dim: 1,
      kind: 'start',
      sequences: 2,
      massiveSequences: 2,
      entries: 2,
      mean: 505,
      deviation: Math.sqrt(50),
      tokens: [
        { text: 'A', entries: 1 },
        { text: 'B', entries: 1 },
      ],
    },
    {
      dim: 3,
      kind: 'other',
      sequences: 2,
      massiveSequences: 0,
      entries: 3,
      mean: 102,
      deviation: 2,
      tokens: [
        { text: ' of', entries: 2 },
        { text: ' the', entries: 1 },
      ],
    },
  ]);
  const said = surveyConclusion({ survey: 3, settings, shard: { index: 0, of: 1 }, records }, rows);
  expect(said).toMatch(/dim 1 at the first token \(2 of 2\)/);
  expect(surveyConclusion({ survey: 3, settings, shard: { index: 0, of: 1 }, records: [] }, [])).toMatch(
    /does not appear/,
  );
});
