/** Running on from a cache: every fixture that has one, at every place where a text can be cut in two. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LoadedModel, loadModel } from '../../src/engine/stages/loaded.js';
import { Onward } from '../../src/engine/stages/onward.js';
import { StageRunner } from '../../src/engine/stages/runner.js';
import type { Pattern } from '../../src/engine/tensors/patterns.js';
import { numbers, storedValue } from '../../src/engine/tensors/value.js';
import { readModel } from '../../src/onnx/read.js';
import { openSafetensors } from '../../src/statistics/safetensors.js';
import { at } from '../support/lists.js';
import { fixture, folders, toleranceOf } from './known.js';
import { scrambledFile } from './scramble.js';

const cached = folders
  .map((folder, seed) => [basename(folder), folder, seed] as const)
  .filter(([, folder]) => {
    const { graph } = readModel(join(folder, 'model.onnx'));
    // What is kept of an encoder has to be given, so that no text is run on.
    const names = graph.inputs.map(({ name }) => name);
    // Values of a series that are past are no cache.
    return (
      names.some((name) => /past(?!_values)|cache\./.test(name)) && !names.some((name) => name.includes('encoder'))
    );
  });

/** Why a file cannot go on from its cache to the end. */
const without: Readonly<Record<string, RegExp>> = {
  'cache-gqa-declared-8': /has room for 8 tokens, and there are more$/,
  'cache-llama-optimum-past-8': /has room for 8 tokens, and what comes first is still looked at/,
  // It counts positions by what a window keeps.
  'cache-cut-counted-ts-op17': /keeps the last tokens, and what comes first is still looked at or counted$/,
  // It counts positions from 0 in every run.
  'form-attention24-tensorscatter': /a step with its cache \("cache\.0\.key" and the others\) does not give/,
};

/** Whose mask is made for one token behind a cache, or for all at once. */
const oneByOne = new Set(['llama-genai-fp16']);

/** What a run may differ by, where the file itself gives something else for tokens that are run together. */
const together: Readonly<Record<string, number>> = {
  // Activations are rounded to integers by what is the largest among them.
  'gpt2-int8-dynamic': 0.1,
  'llama-int8-dynamic': 0.1,
};

// Every token sees those after it: what is known when they are not there is something else.
const both = 'operator-gqa-bidirectional';

describe('a run that goes on is as one of everything', () => {
  it.each(cached.filter(([name]) => name !== both))('%s', async (name, folder) => {
    const loaded = loadModel(join(folder, 'model.onnx'));
    const ids = await idsOf(folder);
    const tolerance = together[name] ?? toleranceOf(await fixture(folder));
    const places = Array.from({ length: ids.length - 1 }, (_, i) => i + 1);
    await expectSame(loaded, ids, places, tolerance, without[name], oneByOne.has(name));
  });

  it('is not taken for that where tokens see those after them', async () => {
    const [, folder] = at(
      cached.filter(([name]) => name === both),
      0,
    );
    const runner = new StageRunner(loadModel(join(folder, 'model.onnx')), 1);
    const onward = new Onward(runner, sizes);
    const ids = await idsOf(folder);
    await onward.run(ids.slice(0, 5), async () => {});
    await onward.run(ids.slice(5), async () => {});
    expect(onward.caching).toMatchObject({ why: expect.stringMatching(/does not give what the whole text gives/) });
    await runner.release();
  });
});

describe.each(['llama', 'llama-plain', 'llama-sink', 'llama-bias'])('the demo model %s', (name) => {
  const folder = join(import.meta.dirname, '../../media/models', name);
  const ids = Array.from({ length: 12 }, (_, i) => (i * 977) % 8000);

  it('goes on from its cache', async () => {
    const places = Array.from({ length: ids.length - 1 }, (_, i) => i + 1);
    await expectSame(loadModel(join(folder, 'model_cached.onnx')), ids, places, 1e-5, undefined, false);
  });

  it('is the same without one', async () => {
    const runners = ['model.onnx', 'model_cached.onnx'].map(
      (file) => new StageRunner(loadModel(join(folder, file)), 1),
    );
    const [plain, withCache] = await Promise.all(runners.map((runner) => record(new Onward(runner, sizes), ids)));
    if (!plain || !withCache) throw new Error('there are two of them');
    expect(plain.states.size).toBe(9);
    expect(plain.patterns.size).toBe(8);
    expectPart(withCache, plain, ids.length, 0, ids.length, 1e-5);
    for (const runner of runners) await runner.release();
  });
});

describe('under other names, in another order and without shapes as well', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sinkscope-onward-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each(cached.filter(([name]) => name !== both))('%s', async (name, source, seed) => {
    const file = await scrambledFile(source, join(folder, name), seed);
    const ids = await idsOf(source);
    const tolerance = together[name] ?? toleranceOf(await fixture(source));
    await expectSame(loadModel(file), ids, [1, 7], tolerance, without[name], oneByOne.has(name));
  });
});

const sizes = { tokens: 32, memory: 2 ** 30, threads: 1 };

interface Ran {
  readonly states: ReadonlyMap<number, Float32Array>;
  readonly patterns: ReadonlyMap<number, Pattern>;
  readonly logits: Float32Array;
}

async function record(onward: Onward, ids: readonly number[]): Promise<Ran> {
  const states = new Map<number, Float32Array>();
  const patterns = new Map<number, Pattern>();
  const logits = await onward.run(ids, async ({ block, state, pattern }) => {
    states.set(block, state.slice());
    if (pattern) patterns.set(block, { ...pattern, values: pattern.values.slice() });
  });
  return { states, patterns, logits };
}

/** Cut at each of these places, the rest at once; and from the first on, token by token. */
async function expectSame(
  loaded: LoadedModel,
  ids: readonly number[],
  places: readonly number[],
  tolerance: number,
  why: RegExp | undefined,
  alone: boolean,
): Promise<void> {
  const runner = new StageRunner(loaded, 1);
  const whole = await record(new Onward(runner, sizes), ids);
  expect(loaded.caching()).toHaveProperty('pairs');
  const steps = alone ? places.map((from) => [from, 1] as const) : places.map((from) => [from, ids.length] as const);
  for (const [from, step] of [[at(places, 0), 1] as const, ...steps]) {
    const onward = new Onward(runner, sizes);
    await record(onward, ids.slice(0, from));
    for (let start = from; start < ids.length; start += step) {
      const part = ids.slice(start, start + step);
      expectPart(await record(onward, part), whole, ids.length, start, part.length, tolerance);
    }
    if (!why) expect(onward.caching).toHaveProperty('bytes');
    else if (step === 1 && from === at(places, 0))
      expect(onward.caching).toMatchObject({ why: expect.stringMatching(why) });
    await onward.release();
  }
  await runner.release();
}

function expectPart(ran: Ran, whole: Ran, tokens: number, start: number, count: number, tolerance: number): void {
  expect(ran.states.size).toBe(whole.states.size);
  for (const [block, state] of ran.states) {
    const dims = state.length / count;
    const expected = whole.states.get(block)?.subarray(start * dims, (start + count) * dims) ?? new Float32Array();
    expect(apart(state, expected), `h_${block} from token ${start}`).toBeLessThanOrEqual(tolerance);
  }
  for (const [block, pattern] of ran.patterns) {
    const expected = whole.patterns.get(block);
    if (!expected) throw new Error(`no pattern of block ${block}`);
    // Of a window, the keys are the last.
    const first = Math.max(0, start + count - pattern.keys);
    let largest = 0;
    for (let head = 0; head < pattern.heads; head++)
      for (let query = 0; query < count; query++) {
        const row = (head * pattern.queries + pattern.queries - count + query) * pattern.keys;
        const other = (head * expected.queries + start + query) * expected.keys + first;
        for (let key = 0; key < pattern.keys; key++) {
          const isThere = first + key < expected.keys;
          const value = isThere ? at(expected.values, other + key) : 0;
          largest = Math.max(largest, Math.abs(at(pattern.values, row + key) - value));
        }
      }
    expect(largest, `pattern of block ${block} from token ${start}`).toBeLessThanOrEqual(tolerance);
  }
  if (start + count === tokens) expect(apart(ran.logits, whole.logits), 'logits').toBeLessThanOrEqual(tolerance);
}

/** The largest difference over the largest magnitude. */
function apart(one: Float32Array, other: Float32Array): number {
  expect(one.length).toBe(other.length);
  let [largest, difference] = [0, 0];
  for (const [i, value] of one.entries()) {
    largest = Math.max(largest, Math.abs(at(other, i)));
    difference = Math.max(difference, Math.abs(value - at(other, i)));
  }
  return difference / (largest || 1);
}

async function idsOf(folder: string): Promise<number[]> {
  const { ids } = await fixture(folder);
  if (ids) return [...ids];
  return numbers(storedValue(await (await openSafetensors(join(folder, 'golden.safetensors'))).tensor('input_ids')));
}
