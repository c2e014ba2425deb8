import { closeSync, copyFileSync, ftruncateSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { WeightStatistics } from '../../../src/engine/contract/description.js';
import { startEngine } from '../../support/engine.js';
import { demo, fixture, root, temporaryFolder } from '../../support/files.js';
import { at, found } from '../../support/lists.js';

const folder = await temporaryFolder();
const engine = startEngine();

type Reference = WeightStatistics & { readonly file: string; readonly name: string };
const { weights }: { weights: Reference[] } = JSON.parse(
  readFileSync(join(root, 'test/references/weights.json'), 'utf8'),
);

describe.each(weights)('the numbers in $name', ({ file, name, ...reference }) => {
  it('are as NumPy has them', async () => {
    const told = await engine.weight(join(root, file), name);
    const { min, max, mean, deviation, kurtosis, ...exact } = told;
    const close = { min, max, mean, deviation, kurtosis };
    for (const [key, value] of Object.entries(close))
      expect(value, key).toBeCloseTo(found(Object.entries(reference), ([of]) => of === key)[1] as number, 8);
    expect(exact).toEqual({
      count: reference.count,
      nonFinite: reference.nonFinite,
      zeros: reference.zeros,
      top: reference.top,
      octaves: reference.octaves,
    });
  });
});

it('there is no weight of another name', async () => {
  await expect(engine.weight(demo, 'nothing')).rejects.toMatchObject({ code: 'input' });
});

it('places weights in their blocks, those that are tied where they are multiplied', async () => {
  const { weights, anatomy } = await engine.describe(demo);
  expect(anatomy.found).toBe(true);
  const place = (name: string) => {
    const { block, part } = found(weights, (one) => one.name === name);
    return [block, part];
  };
  expect(place('blocks.4.mlp.down.weight')).toEqual([5, 'mlp_out']);
  expect(place('blocks.7.attn.q.weight')).toEqual([8, 'attn_in']);
  expect(place('wte')).toEqual([9, 'head']);
});

it('a broken file is a sentence', async () => {
  const broken = join(folder, 'broken.onnx');
  copyFileSync(fixture('gpt2-ts-op14').model, broken);
  const descriptor = openSync(broken, 'r+');
  ftruncateSync(descriptor, 10_000);
  closeSync(descriptor);
  await expect(engine.describe(broken)).rejects.toMatchObject({
    code: 'file',
    message: expect.stringContaining('truncated'),
  });
});

it('a graph that is no transformer is described, and says that it is none', async () => {
  // ModelProto by hand: IR 8, opset 17, one Relu from x to y.
  const field = (number: number, bytes: readonly number[]) => [(number << 3) | 2, bytes.length, ...bytes];
  const text = (words: string) => [...Buffer.from(words)];
  const node = [...field(1, text('x')), ...field(2, text('y')), ...field(4, text('Relu'))];
  const value = (name: string) => field(1, text(name));
  const graph = [...field(1, node), ...field(2, text('g')), ...field(11, value('x')), ...field(12, value('y'))];
  const file = join(folder, 'relu.onnx');
  writeFileSync(file, Uint8Array.from([0x08, 8, ...field(7, graph), ...field(8, [0x10, 17])]));
  const { anatomy, operators, inputs, outputs } = await engine.describe(file);
  expect(anatomy).toMatchObject({ found: false, problem: { code: 'not-a-transformer' } });
  expect(operators).toEqual([['Relu', 1]]);
  expect([at(inputs, 0).name, at(outputs, 0).name]).toEqual(['x', 'y']);
});
