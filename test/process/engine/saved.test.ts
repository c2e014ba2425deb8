/** Convolutions as ONNX Runtime saves them at level *all*, laid out for the processor that saves. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Engine } from '../../../src/engine/host/engine.js';
import { readModel } from '../../../src/onnx/read.js';
import { makeEngine } from '../../support/engine.js';
import { compare } from '../../zoo/compare.js';
import { fixture, toleranceOf } from '../../zoo/known.js';

let engine: Engine;
let folder: string;
beforeAll(async () => {
  engine = makeEngine();
  folder = await mkdtemp(join(tmpdir(), 'sinkscope-saved-'));
});
afterAll(async () => {
  engine.dispose();
  await rm(folder, { recursive: true, force: true });
});

it.each(['layout-conv2d-ts-op17', 'layout-conv2d-stem-ts-op17', 'qnn-conv-ts17-static'])('%s', async (name) => {
  const source = join(import.meta.dirname, '../../zoo/families', name);
  const optimizedModelFilePath = join(folder, `${name}.onnx`);
  const session = await InferenceSession.create(join(source, 'model.onnx'), {
    graphOptimizationLevel: 'all',
    optimizedModelFilePath,
    logSeverityLevel: 3,
  });
  await session.release();
  const { nodes } = readModel(optimizedModelFilePath).graph;
  if (process.arch === 'x64') expect(nodes.some(({ domain }) => domain === 'com.microsoft.nchwc')).toBe(true);
  const { results } = await compare(engine, source, folder, optimizedModelFilePath);
  expect(results.size).toBeGreaterThan(0);
  const tolerance = toleranceOf(await fixture(source));
  for (const [quantity, result] of results) {
    expect(result, quantity).toHaveProperty('error');
    if ('error' in result) expect(result.error, quantity).toBeLessThanOrEqual(tolerance);
  }
});
