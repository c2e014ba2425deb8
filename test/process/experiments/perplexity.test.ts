import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eachAs, finish, type Progress } from '../../../src/experiments/experiment.js';
import { measurePerplexity } from '../../../src/experiments/shared/perplexity.js';
import { lostWarnings } from '../../../src/experiments/shared/settings.js';
import { follow } from '../../../src/experiments/shared/text.js';
import { type Windowing, windowsOf } from '../../../src/experiments/shared/windows.js';
import {
  boats,
  budget,
  demoModel,
  fixtureModel,
  last,
  off,
  references,
  startEngine,
  temporaryFolder,
  text,
} from '../../support/experiments.js';
import { at, pairs } from '../../support/lists.js';

const engine = startEngine();

const request = (model: string, content: string, windowing: Windowing) => ({
  ...budget,
  ...windowing,
  model: demoModel(model),
  text: content,
});

// The longer protocols of the references take minutes on a small machine and show nothing else.
const short = references.perplexity.filter(({ maxTokens, model }) => maxTokens <= 1500 || model === 'llama');

describe('perplexity equals PyTorch', () => {
  it.each(short.map((reference) => [reference.model, reference.file, reference.window, reference.stride, reference]))(
    '%s on %s, window %i, stride %i',
    async (model, file, window, stride, reference) => {
      const result = await finish(
        measurePerplexity(engine, request(model, text(file), { window, stride, tokens: reference.maxTokens })),
      );
      expect(off(result.perplexity, reference.perplexity)).toBeLessThan(2e-6);
      expect(result.tokens).toBe(reference.tokens);
      expect(result.windows).toBe(reference.windows);
      expect(result.stride).toBe(reference.stride);
      expect(result.prefix ?? null).toBe(reference.prefix);
      // 95 % of a normal distribution, in the logarithm.
      const half = (1.96 * reference.lossDeviation) / Math.sqrt(reference.tokens);
      expect(off(result.interval[1], Math.exp(reference.lossMean + half))).toBeLessThan(1e-5);
      expect(off(result.interval[0], Math.exp(reference.lossMean - half))).toBeLessThan(1e-5);
    },
  );
});

it('is that of a text as it is, CR LF and all, where that is asked for', async () => {
  const { window, stride, maxTokens: tokens, perplexity } = at(references.asIs, 0);
  engine.lineEnds = 'as-is';
  try {
    const result = await finish(measurePerplexity(engine, request('llama', text(boats), { window, stride, tokens })));
    expect(off(result.perplexity, perplexity)).toBeLessThan(2e-6);
  } finally {
    engine.lineEnds = 'lf';
  }
});

it('gives a running value, window by window, and says what the end leaves', async () => {
  const seen: number[] = [];
  let left = -1;
  for await (const step of measurePerplexity(engine, request('llama', text(boats), { window: 64, tokens: 200 }))) {
    seen.push(step.done);
    expect(step.partial?.tokens).toBe(63 * step.done);
    left = step.partial?.left ?? left;
  }
  expect(seen).toEqual([1, 2, 3]);
  expect(left).toBe(200 - 3 * 63);
});

it('moves block by block where windows go through the model together, and ends the same', async () => {
  const asked = request('llama', text(boats), { window: 64, tokens: 200 });
  const steps: Progress[] = [];
  // Room for the windows, not for the model.
  const together = await finish(
    eachAs(measurePerplexity(engine, { ...asked, memory: 60e6 }), (step) => void steps.push(step)),
  );
  const { perplexity, tokens } = await finish(measurePerplexity(engine, asked));
  expect(off(together.perplexity, perplexity)).toBeLessThan(1e-5);
  expect(together.tokens).toBe(tokens);

  const { layers } = (await engine.inspect(asked.model)).model;
  const blocks = Array.from({ length: layers }, (_, block) => `block ${block + 1} of ${layers}`);
  expect(steps.flatMap(({ note }) => note ?? [])).toEqual([at(blocks, 0), ...blocks]);
  const bar = steps.map(({ done, underWay = 0 }) => done + underWay);
  expect(bar).toEqual([...bar].sort((a, b) => a - b));
  expect(steps.map(({ done }) => done)).toEqual([...steps.slice(3).map(() => 0), 1, 2, 3]);
});

it('is the same for a model that memory has no room to keep', async () => {
  const model = demoModel('llama');
  const { ids, prefix = 0 } = await engine.encode(model, text(boats));
  const entry = { block: 3, tokens: [0], dims: [239], set: { to: 'zero' } } as const;
  const variants = [
    { name: 'as is', interventions: [] },
    { name: 'after', interventions: [{ ...entry, point: 'resid_post' } as const] },
    { name: 'inside', interventions: [{ ...entry, point: 'mlp' } as const] },
    {
      name: 'both',
      interventions: [{ ...entry, point: 'attn_out' } as const, { ...entry, point: 'resid_post', block: 6 } as const],
    },
  ];
  const sequences = [{ ids: [prefix, ...ids.subarray(0, 40)], from: 1, variants }];
  const losses = async (memory: number) => {
    const found: number[][] = [];
    for await (const event of follow(engine.run('measure', { model, sequences, memory, threads: 1 })))
      if (event.type === 'measured') found.push([...event.losses]);
    return found;
  };
  const [kept, blockwise] = [await losses(2 ** 31), await losses(1)];
  expect(kept).toHaveLength(4);
  for (const [variant, again] of pairs(kept, blockwise))
    for (const [loss, same] of pairs(variant, again)) expect(Math.abs(same - loss)).toBeLessThan(1e-4);
  expect(kept[1]).not.toEqual(kept[0]);
});

it('does not take a prefix token that the text spells for a model without one', async () => {
  const windowing = { window: 64, tokens: 128 };
  const plain = await finish(measurePerplexity(engine, request('llama', text(boats), windowing)));
  const spelt = await finish(measurePerplexity(engine, request('llama', `<|endoftext|>${text(boats)}`, windowing)));
  expect(spelt).toEqual(plain);
});

it('puts a prefix token before every sequence where it is asked for', async () => {
  const folder = await temporaryFolder();
  const model = join(folder, 'model.onnx');
  await copyFile(demoModel('llama'), model);
  await copyFile(demoModel('llama').replace('model.onnx', 'tokenizer.json'), join(folder, 'tokenizer.json'));
  const tokenizerConfig = { add_bos_token: false, bos_token: '<|endoftext|>' };
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(tokenizerConfig));
  const windowing = { window: 64, tokens: 128 };
  const asked = async (bos: boolean | undefined) =>
    finish(measurePerplexity(engine, { ...request('llama', text(boats), windowing), model, bos }));
  const plain = await finish(measurePerplexity(engine, request('llama', text(boats), windowing)));
  expect(await asked(true)).toEqual({ ...plain, model });
  expect((await asked(undefined)).prefix).toBeUndefined();
});

it('says how many characters the tokenizer has no token for', async () => {
  const folder = await temporaryFolder();
  const model = join(folder, 'model.onnx');
  await copyFile(demoModel('llama'), model);
  const tokenizer = {
    version: '1.0',
    added_tokens: [],
    pre_tokenizer: { type: 'Whitespace' },
    model: { type: 'BPE', vocab: { a: 0, b: 1 }, merges: [] },
  };
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  const result = await finish(measurePerplexity(engine, { ...request('llama', 'abab 東京 ba', { window: 3 }), model }));
  expect([result.tokens, result.left, result.lost]).toEqual([4, 0, 2]);
  expect(lostWarnings(result)[0]).toMatch(/^2 characters of the text have no token of their own/);
});

it('leaves out the prefix token when asked to', async () => {
  const windowing = { window: 64, tokens: 128 };
  const without = await finish(measurePerplexity(engine, { ...request('llama', text(boats), windowing), bos: false }));
  expect(without).toMatchObject({ prefix: undefined, tokens: 126, windows: 2 });
});

describe('bad input is answered with a sentence', () => {
  const failing = (model: string, content: string, windowing: Windowing) =>
    finish(measurePerplexity(engine, { ...request('llama', content, windowing), model }));

  it.each([
    ['an empty text', '', { window: 256 }, /text is empty/],
    ['a window above the context', text(boats), { window: 600 }, /Sequences of 600 tokens .* at most 512 fit/],
    [
      'a window above the context, whatever the length of the text',
      'Summer is warm.',
      { window: 100_000 },
      /Sequences of 100,000 tokens .* at most 512 fit/,
    ],
    ['a window of nothing', 'Summer', { window: 1 }, /window of 1 tokens has none to score/],
    ['a stride above the window', 'Summer', { window: 64, stride: 65 }, /stride of 65 tokens would step over text/],
    ['a stride of nothing', 'Summer', { window: 64, stride: 0 }, /stride must be a whole number from 1 on/],
  ] as const)('%s', async (_, content, windowing, sentence) => {
    await expect(failing(demoModel('llama'), content, windowing)).rejects.toThrow(sentence);
  });

  it('a prefix token that the model’s files do not name', async () => {
    const asked = measurePerplexity(engine, { ...request('llama-plain', text(boats), { window: 64 }), bos: true });
    await expect(last(asked)).rejects.toThrow(/name no prefix token/);
  });

  it('the tokenizer of another model', async () => {
    const folder = await temporaryFolder();
    await copyFile(fixtureModel('gpt2-ts-op14'), join(folder, 'model.onnx'));
    await copyFile(demoModel('llama').replace('model.onnx', 'tokenizer.json'), join(folder, 'tokenizer.json'));
    const failed = failing(join(folder, 'model.onnx'), text(boats), { window: 8 });
    await expect(failed).rejects.toThrow(/tokenizer\.json has 8,192 tokens but the model knows only [\d,]+/);
  });

  it('a model without a tokenizer', async () => {
    await expect(failing(fixtureModel('gpt2-ts-op14'), 'Summer', { window: 8 })).rejects.toThrow(/no tokenizer\.json/);
  });

  it('a text that the tokenizer has no tokens for', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sinkscope-'));
    try {
      await copyFile(demoModel('llama'), join(folder, 'model.onnx'));
      const model = { type: 'WordLevel', vocab: { one: 0 }, unk_token: '<none>' };
      const tokenizer = { version: '1.0', added_tokens: [], pre_tokenizer: { type: 'Whitespace' }, model };
      await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
      const failed = failing(join(folder, 'model.onnx'), 'one two', { window: 2 });
      await expect(failed).rejects.toThrow(/cannot represent this text/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it.each([
    ['a model without an output head', 'dinov2_with_registers-dynamo-op18', /no output head.*no perplexity/],
    ['a model that sees what comes next', 'bert-optimum-op14', /every token see those after it.*no perplexity/],
  ])('%s', async (_, name, sentence) => {
    const events = engine.run('measure', {
      ...budget,
      model: fixtureModel(name),
      sequences: [{ ids: [1, 2, 3], from: 1, variants: [{ name: 'as is', interventions: [] }] }],
    });
    const end = await last(events);
    expect(end).toMatchObject({
      type: 'failed',
      problem: { message: expect.stringMatching(sentence) },
    });
  });

  it('being stopped', async () => {
    const stop = new AbortController();
    const steps = measurePerplexity(engine, request('llama', text(boats), { window: 64 }), stop.signal);
    await steps.next();
    stop.abort();
    await expect(last(steps)).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('windows', () => {
  const ids = Array.from({ length: 10 }, (_, i) => 100 + i);
  it('begin with the prefix, and score every token of a piece once', () => {
    const { sequences, left, stride } = windowsOf(ids, 7, { window: 5 });
    expect(sequences).toEqual([
      { ids: [7, 100, 101, 102, 103], from: 1 },
      { ids: [7, 104, 105, 106, 107], from: 1 },
    ]);
    expect([left, stride]).toEqual([2, 4]);
  });
  it('without a prefix leave the first token of each unscored', () => {
    const { sequences } = windowsOf(ids, undefined, { window: 5 });
    expect(sequences.map(({ from }) => from)).toEqual([1, 1]);
    expect(at(sequences, 1).ids).toEqual([105, 106, 107, 108, 109]);
  });
  it('with a stride score only the last tokens', () => {
    const { sequences } = windowsOf(ids, 7, { window: 5, stride: 2 });
    expect(sequences.map((sequence) => [sequence.ids[1], sequence.from])).toEqual([
      [100, 3],
      [102, 3],
      [104, 3],
      [106, 3],
    ]);
  });
  it('are one, of all there is, where the text fills none', () => {
    const whole = [{ ids: [7, ...ids], from: 1 }];
    expect(windowsOf(ids, 7, { window: 64 })).toEqual({ sequences: whole, window: 11, asked: 64, left: 0, stride: 10 });
    const strided = windowsOf(ids, undefined, { window: 64, stride: 32 });
    expect(strided).toMatchObject({ sequences: [{ ids, from: 1 }], window: 10, asked: 64 });
    expect(() => windowsOf(ids, 7, { window: 64, exact: true })).toThrow(/has 10 tokens, fewer than the 63 /);
    expect(() => windowsOf([5], undefined, { window: 64 })).toThrow(/has 1 token, so that none follows another/);
  });
});
