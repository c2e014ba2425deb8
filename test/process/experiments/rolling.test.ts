/** Caches that roll on, against token-by-token runs in PyTorch and, from files' own caches, in ONNX Runtime. */
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CacheWay } from '../../../src/engine/contract/streaming.js';
import { findPrefix } from '../../../src/experiments/prefix/compute.js';
import { encodeModel } from '../../../src/onnx/encode.js';
import { readModel } from '../../../src/onnx/read.js';
import references from '../../references/streaming.json';
import {
  boats,
  budget,
  demoModel,
  finish,
  fixtureModel,
  off,
  startEngine,
  temporaryFolder,
  text,
  thresholds,
} from '../../support/experiments.js';
import { at, pairs } from '../../support/lists.js';

const engine = startEngine();
const folder = await temporaryFolder();
/** More than enough of it. */
const start = text(boats).slice(0, 8000);
const { sinks, window } = references;
const kept = { window, sinks };

interface Went {
  readonly losses: readonly number[];
  readonly why: string | undefined;
  readonly bytes: number;
  readonly checked: number;
  readonly evicted: readonly (readonly number[])[] | undefined;
}

async function roll(model: string, ids: readonly number[], ways: readonly CacheWay[]): Promise<Went[]> {
  const went: Went[] = [];
  for await (const event of engine.run('rolling', { ...budget, model, ids, ways, timed: false })) {
    if (event.type === 'failed') throw new Error(event.problem.message);
    if (event.type === 'streamed') went[event.way] = { ...event, losses: [...event.losses], evicted: event.evicted };
  }
  return went;
}

/** What a test looks at is there, or it fails. */
function there<T>(value: T | null | undefined): T {
  if (value === undefined || value === null) throw new Error('It is not there.');
  return value;
}

const mean = (losses: readonly number[]) => losses.reduce((sum, loss) => sum + loss, 0) / losses.length;

describe('a rolling cache gives what token after token gives', () => {
  it.each(references.models.map((reference) => [reference.model, reference] as const))(
    '%s',
    async (name, reference) => {
      const model = demoModel(name);
      const { ids: own, prefix } = await engine.encode(model, start, { most: reference.tokens });
      const ids = [...(prefix === undefined ? [] : [prefix]), ...own].slice(0, reference.tokens);
      const all: Readonly<Record<string, Omit<CacheWay, 'name'>>> = {
        rolling: { kept, positions: 'cache', tells: true },
        int4: { kept, positions: 'cache', rounded: { bits: 4, float: 0 } },
        'int4 but sinks': { kept, positions: 'cache', rounded: { bits: 4, float: sinks } },
        'int4 but massive': {
          kept,
          positions: 'cache',
          rounded: { bits: 4, float: 0, massive: { absolute: 100, ratio: 1000 } },
        },
        all: { positions: 'sequence' },
        sequence: { kept, positions: 'sequence' },
      };
      const names = Object.keys(reference.mean);
      const went = await roll(
        model,
        ids,
        names.map((way) => ({ name: way, ...there(all[way]) })),
      );
      for (const [i, way] of names.entries()) {
        const { losses } = at(went, i);
        const [wanted, last] = [new Map(Object.entries(reference.mean)), new Map(Object.entries(reference.last))];
        // Rounding to 4 bits may fall on the other side of a half.
        const bound = way.startsWith('int4') ? 2e-3 : 1e-5;
        expect(off(mean(losses), there(wanted.get(way))), way).toBeLessThan(bound);
        if (!way.startsWith('int4'))
          for (const [loss, expected] of pairs(losses.slice(-8), there(last.get(way))))
            expect(Math.abs(loss - expected), way).toBeLessThan(1e-4);
      }
      const evicted = there(went[names.indexOf('rolling')]?.evicted);
      for (const [heads, expected] of pairs(evicted, reference.evicted))
        for (const [mass, wanted] of pairs(heads, expected)) expect(Math.abs(mass - wanted)).toBeLessThan(1e-5);
    },
  );

  it.each(references.fixtures.map((reference) => [reference.fixture, reference] as const))(
    '%s',
    async (name, { ids, window: keys, sinks: first, losses }) => {
      const way = { name: 'rolling', kept: { window: keys, sinks: first }, positions: 'cache' } as const;
      const [went] = await roll(fixtureModel(name), ids, [way]);
      for (const [loss, expected] of pairs(there(went).losses, losses))
        expect(Math.abs(loss - expected)).toBeLessThan(1e-4);
    },
  );

  it('holds what it says', async () => {
    const ids = Array.from({ length: 40 }, (_, i) => (i * 37 + 5) % 97);
    const four = { kept: { window: 12, sinks: 3 }, positions: 'cache', rounded: { bits: 4, float: 3 } } as const;
    const ways = [
      { name: 'all', positions: 'sequence' },
      { name: 'four', ...four },
    ] as const;
    const [all, few] = await roll(fixtureModel('llama-optimum-past'), ids, ways);
    const { anatomy, model } = await engine.inspect(fixtureModel('llama-optimum-past'));
    const heads = model.layers * there(anatomy.kvHeads);
    const dims = there(anatomy.headDim);
    expect(there(all).bytes).toBe(heads * 40 * 2 * dims * 4);
    expect(there(few).bytes).toBe(heads * (3 * 2 * dims * 4 + 9 * 2 * (dims / 2 + 8)));
  });
});

describe('a model that looks back over a window of its own is kept to it', () => {
  /** Mistral with another window than its own, which is the 8 that its mask takes off positions. */
  async function withWindow(window: number): Promise<string> {
    const source = join(folder, 'model.onnx');
    await copyFile(fixtureModel('mistral-ts-op17'), source);
    const model = readModel(source);
    const taken = new Set(model.graph.nodes.filter(({ op }) => op === 'Sub').map(({ inputs }) => inputs[1]));
    const nodes = model.graph.nodes.map((node) => {
      const value = node.attributes.get('value');
      if (!taken.has(node.outputs[0]) || value?.kind !== 'tensor') return node;
      const data = new Uint8Array(BigInt64Array.of(BigInt(window)).buffer);
      return { ...node, attributes: new Map([['value', { ...value, value: { ...value.value, data } }]]) };
    });
    const file = join(folder, `window-${window}.onnx`);
    await writeFile(file, encodeModel({ ...model, graph: { ...model.graph, nodes } }, folder));
    return file;
  }

  // 300 is more than is read of a block at first.
  it.each([8, 300])('of %i', async (own) => {
    const model = await withWindow(own);
    const ids = Array.from({ length: 340 }, (_, i) => (i * 37 + 5) % 97);
    const whole: number[] = [];
    const sequences = [{ ids, from: 1, variants: [{ name: 'as is', interventions: [] }] }];
    for await (const event of engine.run('measure', { ...budget, model, sequences }))
      if (event.type === 'measured') whole.push(...event.losses);
    const [all] = await roll(model, ids, [{ name: 'all', positions: 'sequence' }]);
    expect(there(all).checked).toBe(340);
    for (const [loss, expected] of pairs(there(all).losses, whole))
      expect(Math.abs(loss - expected)).toBeLessThan(1e-4);
  });
});

describe('what cannot be run from a cache says so', () => {
  it('beyond learned positions, while places in the cache go on', async () => {
    const model = demoModel('llama-plain');
    const { ids } = await engine.encode(model, start, { most: 600 });
    const ways = [
      { name: 'all', positions: 'sequence' },
      { name: 'rolling', kept, positions: 'cache' },
    ] as const;
    const [all, rolling] = await roll(model, [...ids], ways);
    expect(there(all)).toMatchObject({ losses: [], why: 'its positions are learned, and it has 512 of them' });
    expect(there(rolling).losses).toHaveLength(599);
  });

  it.each([['qwen2-ts-op17-static', /takes sequences of one length only/]])('%s', async (name, why) => {
    const ids = Array.from({ length: 24 }, (_, i) => (i * 37 + 5) % 97);
    await expect(roll(fixtureModel(name), ids, [{ name: 'all', positions: 'sequence' }])).rejects.toThrow(why);
  });
});

it('recommends the prefix that takes what stands out, as PyTorch has it', async () => {
  const request = {
    ...budget,
    model: demoModel('llama-sink'),
    text: text(boats),
    window: 256,
    tokens: 1024,
    thresholds,
  };
  const result = await finish(findPrefix(engine, request));
  expect(result.prefix).toEqual([{ id: 1, text: '<|sink|>' }]);
  for (const [i, reference] of references.prefix.entries()) {
    const row = at(result.rows, i);
    expect(row.prefix).toEqual(reference.prefix);
    expect(off(row.ratio, reference.ratio)).toBeLessThan(1e-4);
    expect(off(row.perplexity, reference.perplexity)).toBeLessThan(1e-5);
    for (const [error, expected] of pairs(row.int8, reference.int8))
      expect(off(there(error ?? undefined), expected)).toBeLessThan(1e-3);
  }
  const [before] = references.prefix;
  for (const [count, expected] of pairs(result.outliers, there(before).outliers))
    expect(count).toBeCloseTo(expected, 6);
  expect(result.first).toBe(there(before).first);
  expect(result.rows.map(({ texts }) => texts)).toEqual([[], ['<|sink|>']]);
});
