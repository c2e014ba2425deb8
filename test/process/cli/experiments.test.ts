import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ResultJson } from '../../../src/analysis/result.js';
import references from '../../references/experiments.json';
import { at, pairs } from '../../support/lists.js';
import { path, printed, sinkscope } from './here.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sinkscope-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const boats = path('test/text/three-men-in-a-boat.md');
const pendulum = path('test/text/pit-and-pendulum.md');
const json = async (...args: string[]) => JSON.parse(await printed(...args, '--json'));
const near = (actual: number, expected: number) => expect(Math.abs(actual / expected - 1)).toBeLessThan(1e-5);

describe('perplexity', () => {
  it('prints what it is and what it depends on', async () => {
    const reference = references.perplexity.find(({ model, stride }) => model === 'llama' && stride === 128);
    if (!reference) throw new Error('no such reference');
    const result = await json('perplexity', 'llama', '--file', boats, '--tokens', '1500', '--stride', '128');
    near(result.perplexity, reference.perplexity);
    expect(result).toMatchObject({
      model: path('media/models/llama/model.onnx'),
      file: boats,
      tokens: reference.tokens,
      window: 256,
      stride: 128,
      prefix: 0,
      windows: reference.windows,
      left: 1500 - 255 - 9 * 128,
      conclusion: expect.stringMatching(/^Perplexity [\d.]+ \(95 % interval .* equally likely ones\./),
    });
    expect(result.interval[0]).toBeLessThan(result.perplexity);
    expect(result.interval[1]).toBeGreaterThan(result.perplexity);
  });

  it('says in words what was left out, and that there is no prefix', async () => {
    const said = await printed('perplexity', 'llama-plain', '--file', boats, '--tokens', '150', '--window', '64');
    expect(said).toMatch(/^Perplexity [\d,.]+ \(95 % interval [\d,.]+ to [\d,.]+\): on average the model is as unsure/);
    expect(said).toContain(
      `model llama-plain · text ${boats} · T 64 tokens · stride 64 · BOS off · tokens scored 126 · left out at the end 22 tokens, too few to fill a window · windows 2 · line ends 2,790 of three-men-in-a-boat.md read as LF\n`,
    );
  });
});

it('interventions prints a table, the points used and a sentence', async () => {
  const args = [
    'interventions',
    'llama',
    '--file',
    boats,
    '--calibrate',
    pendulum,
    // They fill two windows of 127 and the prefix.
    '--tokens',
    '255',
    '--window',
    '128',
  ];
  const result = await json(...args);
  expect(result.rows.map(({ name }: { name: string }) => name)).toEqual([
    'as is',
    'zero',
    'mean',
    'zero everywhere',
    'random',
    'median',
  ]);
  expect(result).toMatchObject({
    layer: 2,
    massive: true,
    points: [{ token: 0, dim: 239 }],
    calibration: { file: pendulum, window: 128 },
    prefix: 0,
    seed: 0,
    thresholds: { absolute: 100, ratio: 1000 },
    left: 1,
    line_ends: 'lf',
    warnings: [],
  });
  expect(result.conclusion).toMatch(/multiplies perplexity by [12]\.\d\d, .* constant bias/);
  const said = await printed(...args);
  expect(said).toContain(result.conclusion);
  expect(said).toMatch(/^ +mean +[\d.]+ +1\.00 × /m);
  expect(said).toContain(
    `\nmodel llama · text ${boats} · calibration ${pendulum}, 2 windows · T 128 tokens · stride 127 · BOS on (token 0) · ` +
      'tokens scored 254 · left out at the end 1 token, too few to fill a window · massive |h| > 100',
  );
});

it('weights saves the list that fine-tuning needs', async () => {
  const save = join(folder, 'list.json');
  const args = ['--file', boats, '--calibrate', pendulum, '--tokens', '255', '--window', '128', '--k', '3'];
  const result = await json('weights', 'llama', ...args, '--save', save);
  const list = JSON.parse(await readFile(save, 'utf8'));
  expect(list).toMatchObject({ block: 2, block_index: 1, token: 0 });
  expect(list.dims).toHaveLength(3);
  expect(list.dims[0]).toBe(425);
  expect(result).toMatchObject(list);
  // What the rows were found by: 255 tokens of the calibration text fill two windows.
  expect(list).toMatchObject({
    massive: true,
    calibration: { file: pendulum, sequences: 2, window: 128 },
    prefix: 0,
    thresholds: { absolute: 100, ratio: 1000 },
  });
  expect(result.random_dims).toHaveLength(3);
  const said = await printed('weights', 'llama', ...args);
  expect(said).toMatch(/^ +425 +−830 +largest$/m);
  for (const dim of result.random_dims) expect(said).toMatch(new RegExp(`^ +${dim} +random$`, 'm'));
  expect(said).toMatch(
    / · left out at the end 1 token, .* · massive \|h\| > 100 and ≥ 1,000 × median · seed 0 · line ends 2,790 of three-men-in-a-boat.md read as LF.*\nNo more than six /,
  );
});

describe('survey', () => {
  const args = ['--sequences', '5', '--length', '32'];

  it('in shards and merged is the survey at once', async () => {
    const whole = await json('survey', 'llama', '--file', boats, ...args);
    const parts = ['1/2', '2/2'].map((shard, i) => ({ shard, file: join(folder, `${i}.json`) }));
    for (const { shard, file } of parts)
      await printed('survey', 'llama', '--file', boats, ...args, '--shard', shard, '--save', file);
    const files = parts.map(({ file }) => file);
    const { parts: names, line_ends: alike, ...put } = await json('merge', ...files);
    const { file, line_ends, device, ...once } = whole;
    expect([line_ends, alike]).toEqual(['lf', 'lf']);
    expect(device).toEqual({ asked: 'cpu', said: [] });
    expect([put, names, file]).toEqual([once, files, boats]);
    expect(JSON.parse(await readFile(at(files, 0), 'utf8'))).toMatchObject({ file: boats });
    expect(whole).toMatchObject({ sequences: 5, length: 32, prefix: 0, rows: expect.any(Array) });
    expect(whole.rows.length).toBeGreaterThan(0);

    const merged = join(folder, 'whole.json');
    await printed('merge', ...files, '--save', merged);
    expect(await json('merge', merged)).toMatchObject(once);

    const { code, stdout, stderr } = await sinkscope('merge', at(files, 0));
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^sinkscope: Of 2 shards 0 is missing.*\n$/);
    expect((await readdir(folder)).sort()).toEqual(['0.json', '1.json', 'whole.json']);
  });

  it('takes the texts of a folder by name', async () => {
    const texts = join(folder, 'texts');
    await mkdir(texts);
    await writeFile(join(texts, 'b.md'), await readFile(boats));
    await writeFile(join(texts, 'a.txt'), 'Too short.');
    await writeFile(join(texts, 'c.png'), Buffer.from([0xff]));
    expect((await json('survey', 'llama', '--file', texts, ...args)).rows).toEqual(
      (await json('survey', 'llama', '--file', boats, ...args)).rows,
    );
  });
});

it('outliers shows vectors beside scalars, and int8 by residual point', async () => {
  const result = await json('outliers', 'llama', '--file', boats, '--tokens', '64');
  expect(result.int8).toHaveLength(17);
  expect(result.int8[1]).toMatchObject({ layer: 1, point: 'resid_mid' });
  expect(result.massive_activations[0]).toMatchObject({ token: 0, dim: 239, kind: 'massive' });
  expect(result).toMatchObject({ tokens: 64, prefix: 0, outlier_criteria: { magnitude: 6, layers: 0.25 } });
  expect(await printed('outliers', 'llama', '--file', boats, '--tokens', '64')).toMatch(/cost most at (h|mid)_\d/);
});

it('compare-quantised shows two files side by side', async () => {
  // A file that massive activations are lost in: another model where the tokenizer is this one's.
  const other = join(folder, 'model.onnx');
  for (const file of ['tokenizer.json', 'tokenizer_config.json', 'config.json'])
    await copyFile(path(`media/models/llama/${file}`), join(folder, file));
  await copyFile(path('media/models/llama-sink/model.onnx'), other);
  const args = ['compare-quantised', 'llama', other, '--file', boats, '--tokens', '70', '--window', '64'];
  const result = await json(...args);
  expect(result.differences).toHaveLength(9);
  expect(result.perplexity.quantised).not.toBe(result.perplexity.reference);
  expect(await printed(...args)).toMatch(/^ +0 +239 +massive +\d +\+[\d,]+ +does not stand out$/m);
});

describe('analyze --set', () => {
  const sample = ['analyze', 'llama', '--file', path('media/sample.md')];

  it('changes what is said in words, beside the run as it is', async () => {
    const result = await json(...sample, '--set', 'block=onset tokens=massive dims=massive to=zero');
    const reference = at(references.intervenedRun, 0);
    expect(result.interventions).toEqual([
      { point: 'resid_post', block: 2, tokens: [0], dims: [239], set: { to: 'zero' } },
    ]);
    const largest: number[] = result.layers.map(({ top }: ResultJson['layers'][number]) => Math.abs(at(top, 0).value));
    for (const [value, expected] of pairs(largest, reference.top))
      expect(Math.abs(value / at(expected, 0) - 1)).toBeLessThan(1e-4);
    expect(result.as_is.layers[2].top[0].dim).toBe(239);
    const said = await printed(...sample, '--set', 'to=zero');
    expect(said.startsWith(`${result.conclusion}\n`)).toBe(true);
    expect(said).toMatch(
      /\nmodel llama · T 105 tokens · BOS on · .* · set resid_post of block 2, token 0, dim 239 → 0 · /,
    );
    expect(said).toMatch(
      /Against the run as it is\n[\s\S]*largest of h_2 +\+2,084 \(token 0, dim 239\) +\+309 \(token 0, dim 87\)/,
    );
  });

  it('takes means from another text', async () => {
    // Of two windows and a bit; what the first token has does not depend on the text.
    const short = join(folder, 'short.md');
    await writeFile(short, (await readFile(pendulum, 'utf8')).slice(0, 1200));
    const result = await json(...sample, '--set', 'to=mean', '--calibrate', short);
    expect(result.interventions[0].set.value[0]).toBeCloseTo(2083.61, 1);
    expect(result.changes).toEqual([
      { point: 'resid_post', block: 'onset', tokens: 'massive', dims: 'massive', set: { to: 'mean' } },
    ]);
    const { sequences, ...calibration } = result.calibration;
    expect(calibration).toEqual({ file: short, window: 105 });
    const { windows } = await json('perplexity', 'llama', '--file', short, '--window', '105');
    expect(windows).toBeGreaterThan(1);
    expect(sequences).toBe(windows);
    expect(result.layers[8].top[0].value).toBeCloseTo(result.as_is.layers[8].top[0].value, 1);
  });

  it('warns where means are taken from the text itself', async () => {
    const { code, stdout } = await sinkscope(...sample, '--set', 'to=mean', '--calibrate', path('media/sample.md'));
    expect([code, stdout]).toEqual([0, expect.stringMatching(/\nThe calibration text is the text itself.*\n$/)]);
  });

  it('adds noise that the seed gives, scales, and sets values, one change after another', async () => {
    const set = ['--set', 'block=1 tokens=3,4 dims=5 to=value:7', '--set', 'block=2 tokens=all dims=all to=scale:2'];
    const result = await json('analyze', 'llama', '--text', 'Summer is warm.', ...set);
    expect(result.interventions.map(({ set }: { set: object }) => set)).toEqual([
      { to: 'value', value: 7 },
      { to: 'scale', by: 2 },
    ]);
    const noise = ['analyze', 'llama', '--text', 'Summer', '--set', 'block=1 tokens=all dims=all to=noise:1 seed=3'];
    const [a, b] = [await json(...noise), await json(...noise)];
    expect(a.layers).toEqual(b.layers);
    expect(a.layers[1]).not.toEqual(a.as_is.layers[1]);
  });
});

describe('bad input ends with one sentence and leaves nothing', () => {
  const text = ['--file', boats];
  const both = [...text, '--calibrate', pendulum];
  it.each([
    ['no file', ['perplexity', 'llama', '--file', 'missing.txt'], /missing\.txt does not exist; give/],
    ['a folder', ['perplexity', 'llama', '--file', path('media')], /media is a folder; give a file/],
    [
      'a folder to save in that is not there',
      ['survey', 'llama', ...text, '--save', path('no/part.json')],
      /part\.json cannot be written: the folder .*no does not exist; make it first/,
    ],
    ['a folder to save to', ['weights', 'llama', ...both, '--save', path('media')], /it is a folder; give the name of/],
    [
      'a folder that is none',
      ['analyze', 'llama', '--text', 'a', '--save', path('media/logo.png/x.safetensors')],
      /logo\.png is not a folder/,
    ],
    ['a file that is not text', ['perplexity', 'llama', '--file', path('media/logo.png')], /is not UTF-8 text/],
    ['a model that is not there', ['weights', 'lama', ...both], /no bundled model called "lama"/],
    ['a window of words', ['perplexity', 'llama', ...text, '--window', 'x'], /whole number of tokens/],
    ['a window above the context', ['perplexity', 'llama', ...text, '--window', '900'], /at most 512 fit/],
    ['no calibration', ['interventions', 'llama', ...text], /--calibrate/],
    ['a shard that is none', ['survey', 'llama', ...text, '--shard', '5/4'], /shard and their number/],
    ['a part that is no survey', ['merge', boats], /is not JSON/],
    [
      'a block beyond the last',
      ['analyze', 'llama', '--text', 'a', '--set', 'block=9 to=zero'],
      /no resid_post of block 9/,
    ],
    ['a token beyond the last', ['analyze', 'llama', '--text', 'a', '--set', 'tokens=9 to=zero'], /no token 9/],
    ['a dim beyond the last', ['analyze', 'llama', '--text', 'a', '--set', 'dims=256 to=zero'], /no dim 256/],
    [
      'a change in other words',
      ['analyze', 'llama', '--text', 'a', '--set', 'layer=3'],
      /"layer=3" is not one of its parts/,
    ],
    ['a mean of nothing', ['analyze', 'llama', '--text', 'a', '--set', 'to=mean'], /give one with --calibrate/],
  ])('%s', async (_, args, sentence) => {
    const { code, stdout, stderr } = await sinkscope(...args);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(sentence);
    expect(stderr.trim()).not.toMatch(/\n/);
  });
});

it('prints a result that cannot be saved after all', async () => {
  // A name that fits, but for what it has beside it while it is written.
  const save = join(folder, 'x'.repeat(250));
  const args = ['survey', 'llama', '--file', boats, '--sequences', '1', '--length', '16', '--json', '--save', save];
  const { code, stdout, stderr } = await sinkscope(...args);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^sinkscope: .* could not be saved/);
  expect(JSON.parse(stdout)).toMatchObject({ sequences: 1, length: 16 });
  expect(await readdir(folder)).toEqual([]);
});

it('warns where calibration and measured text are one', async () => {
  const args = ['interventions', 'llama', '--file', boats, '--calibrate', boats, '--tokens', '130', '--window', '64'];
  const { code, stdout, stderr } = await sinkscope(...args, '--json');
  expect(code).toBe(0);
  expect(stderr).toMatch(/calibration text is part of the measured one/);
  expect(JSON.parse(stdout).warnings[0]).toMatch(/calibration text is part of the measured one/);
});
