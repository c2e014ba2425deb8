import { copyFileSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readModel } from '../../../src/onnx/read.js';
import { dataFiles, weightBytes } from '../../../src/onnx/weights.js';
import { external, floats, model, value } from '../../support/build.js';
import { fixture, fixtures } from '../../support/files.js';
import { digest } from './canonical.js';
import facts from './facts.json' with { type: 'json' };

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sinkscope-read-')));
afterAll(() => rmSync(folder, { recursive: true }));

describe('every fixture reads as the onnx package reads it', () => {
  const expected = new Map(Object.entries(facts));
  test('the facts are about these fixtures', () => {
    expect([...expected.keys()]).toEqual(fixtures);
  });
  test.each(fixtures)('%s', (name) => {
    const model = readModel(fixture(name).model);
    expect({
      irVersion: model.irVersion,
      opsets: Object.fromEntries(model.opsets),
      nodes: model.graph.nodes.length,
      initializers: model.graph.initializers.size,
      digest: digest(model.graph),
    }).toEqual(expected.get(name));
  });
});

test('a model is known by its real path', () => {
  const link = join(folder, 'link.onnx');
  copyFileSync(fixture('gpt2-ts-op14').model, join(folder, 'real.onnx'));
  symlinkSync('real.onnx', link);
  expect(readModel(link).file).toBe(join(folder, 'real.onnx'));
});

test('weights that are one are counted once, and their files are named', () => {
  const data = join(folder, 'weights.bin');
  writeFileSync(data, new Uint8Array(8000));
  const at = (offset: number) => ({ location: 'weights.bin', offset: String(offset) });
  const initializers = [
    external('embedding', [1000], at(0)),
    external('unembedding', [1000], at(0)),
    external('other', [1000], at(4000)),
    floats('inside', [300], new Array(300).fill(1)),
    floats('small', [2], [1, 2]),
  ];
  const file = join(folder, 'model.onnx');
  writeFileSync(file, model({ initializers, outputs: [value('other', [1000])] }));
  const read = readModel(file);
  expect(weightBytes(read)).toBe(4000 + 4000 + 1200 + 8);
  expect(dataFiles(read)).toEqual([data, file]);
});
