import { copyFileSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readModel } from '../../../src/onnx/read.js';
import { dataFiles, weightBytes } from '../../../src/onnx/weights.js';
import { digest } from './canonical.js';
import facts from './facts.json' with { type: 'json' };
import { fixtures, modelFile } from './zoo.js';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sinkscope-read-')));
afterAll(() => rmSync(folder, { recursive: true }));

describe('every fixture reads as the onnx package reads it', () => {
  const expected = new Map(Object.entries(facts));
  test('the facts are about these fixtures', () => {
    expect([...expected.keys()]).toEqual(fixtures);
  });
  test.each(fixtures)('%s', (fixture) => {
    const model = readModel(modelFile(fixture));
    expect({
      irVersion: model.irVersion,
      opsets: Object.fromEntries(model.opsets),
      nodes: model.graph.nodes.length,
      initializers: model.graph.initializers.size,
      digest: digest(model.graph),
    }).toEqual(expected.get(fixture));
  });
});

test('a model is known by its real path', () => {
  const link = join(folder, 'link.onnx');
  copyFileSync(modelFile('gpt2-ts-op14'), join(folder, 'real.onnx'));
  symlinkSync('real.onnx', link);
  expect(readModel(link).file).toBe(join(folder, 'real.onnx'));
});

test('weights are counted once and their files are named', () => {
  const model = readModel(modelFile('llama-dynamo-op18-ext'));
  expect(
    dataFiles(model).map((file) =>
      file
        .slice(folder.length * 0)
        .split('/')
        .at(-1),
    ),
  ).toEqual(['model.onnx.data']);
  expect(weightBytes(model)).toBeGreaterThan(0);
});
