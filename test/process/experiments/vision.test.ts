import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { fixMean, type VisionRequest, visionConclusion } from '../../../src/experiments/vision/compute.js';
import references from '../../references/vision-graphs.json';
import { budget, finish, fixtureModel, off, startEngine, thresholds, withWeight } from '../../support/experiments.js';
import { at, found, pairs } from '../../support/lists.js';

const engine = startEngine();

const images = [0, 1, 2, 3].map((i) => ({
  feeds: fileURLToPath(new URL(`../../references/pixels/${i}.safetensors`, import.meta.url)),
}));
const of = (fixture: string, more: Partial<VisionRequest> = {}) => {
  const request = { ...budget, model: fixtureModel(fixture), images, dims: 2, seed: 0, thresholds, ...more };
  return finish(fixMean(engine, request));
};

describe('Fix-mean equals NumPy', () => {
  it.each(references.vision.map((reference) => [reference.fixture, reference] as const))(
    '%s',
    async (fixture, reference) => {
      const { layer, dims, entries, rows, massive } = await of(fixture, {
        thresholds: { ...thresholds, soft: reference.soft },
      });
      expect([layer, dims, massive]).toEqual([reference.layer, reference.dims, false]);
      expect(entries.map((list) => list.map(({ token, dim }) => [token, dim]))).toEqual(
        reference.entries.map((list) => list.map(([token, dim]) => [token, dim])),
      );
      for (const [list, wanted] of pairs(entries, reference.entries)) {
        for (const [{ value }, expected] of pairs(list, wanted)) expect(off(value, at(expected, 2))).toBeLessThan(1e-5);
      }
      for (const expected of reference.rows) {
        const row = found(rows, ({ name }) => name === expected.name);
        expect(row.cosine).toBeCloseTo(expected.cosine, 6);
        expect(row.leastCosine).toBeCloseTo(expected.leastCosine, 6);
        expect(off(row.change, expected.change)).toBeLessThan(1e-3);
      }
    },
  );
});

it('draws the same random entries from the same seed', async () => {
  const random = async (seed: number) =>
    found((await of('vit-ort-fused', { seed })).rows, ({ name }) => name === 'random');
  const [first, again, other] = [await random(1), await random(1), await random(2)];
  expect(first.change).toBeGreaterThan(0);
  expect(again).toEqual(first);
  expect(other).not.toEqual(first);
});

it('says that nothing is massive, and what the output does', async () => {
  const words = visionConclusion(
    await of('dinov2_with_registers-dynamo-op18', { thresholds: { ...thresholds, soft: 4 } }),
  );
  expect(words).toMatch(/^Nothing is massive here \(at most 8\.\d+ × the median\)|^Nothing is massive here/);
  expect(words).toMatch(/to zero changes the output by 9\.37 %, to the mean over other images by 12\.1 %/);
  expect(words).toMatch(/more than a constant bias\.$/);
});

it('finds massive activations that act as a bias: the mean stands in for them', async () => {
  const fixture = fixtureModel('dinov2_with_registers-dynamo-op18');
  const folder = mkdtempSync(join(tmpdir(), 'vision-'));
  try {
    // One dimension of what the first block's MLP adds is the same large value at every token and in every image.
    const model = join(folder, 'model.onnx');
    writeFileSync(
      model,
      withWeight(fixture, 'm.encoder.layer.0.mlp.fc2.bias', 40, (bias) => bias + 20_000),
    );
    const result = await finish(fixMean(engine, { ...budget, model, images, dims: 1, seed: 0, thresholds }));
    expect(result).toMatchObject({ layer: 1, dims: [40], massive: true });
    expect(result.largestRatio).toBeGreaterThan(1000);
    const [zero, mean] = [at(result.rows, 0), at(result.rows, 1)];
    expect(zero.change).toBeGreaterThan(0.02);
    expect(mean.change).toBeLessThan(zero.change / 10);
    expect(visionConclusion(result)).toMatch(
      /^Setting dimension 40 of h_1 .* but hardly what differs in them between images\.$/,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('sets every entry that stands out, not sixteen of them, and each to a mean over others', async () => {
  const { entries, dims, tokens } = await of('vit-ort-fused', { dims: 3, thresholds: { ...thresholds, soft: 0.01 } });
  expect([entries.length, dims.length]).toEqual([4, 3]);
  for (const image of entries) {
    // Nearly nothing is below a hundredth of the median.
    for (const dim of dims) expect(image.filter((entry) => entry.dim === dim).length).toBeGreaterThan(tokens - 3);
  }
});

describe('what does not fit', () => {
  it('a picture that is given twice', async () => {
    const twice = at(images, 0);
    await expect(of('vit-ort-fused', { images: [...images, { ...twice }] })).rejects.toThrow(
      `${twice.feeds} and ${twice.feeds} give the same output, so they are one picture`,
    );
  });

  it('more dims than the model has', async () => {
    await expect(of('vit-ort-fused', { dims: 1000 })).rejects.toThrow(
      /vit-ort-fused\/model\.onnx has 64 dims, so 1,000 cannot be set; choose at most 64\.$/,
    );
  });

  it('one image', async () => {
    await expect(of('vit-ort-fused', { images: images.slice(0, 1) })).rejects.toThrow(/give at least two/);
  });

  it('tensors that are no pixels', async () => {
    const feeds = fixtureModel('gnn-ts-op17').replace('model.onnx', 'golden.safetensors');
    await expect(of('vit-ort-fused', { images: [{ feeds }, { feeds }] })).rejects.toThrow(/pixel_values/);
  });
});
