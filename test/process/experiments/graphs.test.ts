import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compareRatios, ratiosConclusion } from '../../../src/experiments/ratios/compute.js';
import { graphs as reference } from '../../references/vision-graphs.json';
import {
  budget,
  demoModel,
  finish,
  fixtureModel,
  off,
  startEngine,
  temporaryFolder,
  withWeight,
} from '../../support/experiments.js';
import { found } from '../../support/lists.js';

const untrained = fixtureModel(reference.fixture);
const feeds = untrained.replace('model.onnx', 'golden.safetensors');
const trained = join(await temporaryFolder(), 'model.onnx');
// [6 edge features, 4 heads]
const element = reference.row * 4 + reference.column;
writeFileSync(
  trained,
  withWeight(untrained, reference.weight, element, (weight) => weight * reference.factor),
);
const engine = startEngine();

const of = (model: string, twin: string) =>
  finish(compareRatios(engine, { ...budget, model, twin, graphs: [{ feeds }], tail: reference.tail }));

describe('activation ratios against an untrained twin', () => {
  it('equal NumPy', async () => {
    const { ratios } = await of(trained, untrained);
    expect(ratios).toHaveLength(reference.ratios.length);
    for (const expected of reference.ratios) {
      const ratio = found(ratios, ({ of: kind, layer }) => kind === expected.of && layer === expected.layer);
      expect(ratio.trained.entries).toBe(expected.entries);
      expect(off(ratio.trained.largestRatio, expected.largestRatio)).toBeLessThan(1e-4);
      // Entries near 0 differ in their last digits, which their logarithms feel.
      expect(off(ratio.gamma.shape, expected.shape)).toBeLessThan(1e-2);
      expect(off(ratio.gamma.scale, expected.scale)).toBeLessThan(1e-2);
      expect(off(ratio.limit, expected.limit)).toBeLessThan(2e-3);
      expect(ratio.outside).toBeCloseTo(expected.outside, 6);
      expect(ratio.outsideUntrained).toBeCloseTo(expected.outsideUntrained, 6);
      for (const { histogram, entries } of [ratio.trained, ratio.untrained])
        expect(histogram.counts.reduce((sum, count) => sum + count, 0)).toBe(entries);
    }
  });

  it('say where training made activations massive, and that it made none', async () => {
    expect(ratiosConclusion(await of(trained, untrained))).toMatch(
      /^23 % of the edges of layer 2 .* the largest is 182\.6/,
    );
    expect(ratiosConclusion(await of(untrained, untrained))).toMatch(/^At most .* made no activations massive here\.$/);
  });
});

describe('what does not fit', () => {
  it('another model as the twin', async () => {
    const graphs = [{ feeds }];
    const request = { ...budget, model: untrained, twin: fixtureModel('vit-ort-fused'), graphs, tail: 0.01 };
    await expect(finish(compareRatios(engine, request))).rejects.toThrow(/pixel_values|not .* with other weights/);
  });

  it('a text model, which takes token ids', async () => {
    await expect(of(demoModel('llama'), demoModel('llama'))).rejects.toThrow(/inputs: /);
  });
});
