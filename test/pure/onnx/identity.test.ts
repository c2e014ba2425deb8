import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { modelIdentity, sameWeights } from '../../../src/onnx/identity.js';
import { readModel } from '../../../src/onnx/read.js';
import { weightRanges } from '../../../src/onnx/weights.js';
import { trainOn } from '../../support/weight.js';

const path = (file: string) => fileURLToPath(new URL(`../../../${file}`, import.meta.url));
const plain = path('media/models/llama-plain/model.onnx');
const beside = path('test/zoo/fixtures/llama-dynamo-op18-ext');

const folder = mkdtempSync(join(tmpdir(), 'sinkscope-identity-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('is the same for a copy, whatever it is called', () => {
  const copy = join(folder, 'other.onnx');
  copyFileSync(plain, copy);
  expect(modelIdentity(copy)).toBe(modelIdentity(plain));
  expect(modelIdentity(plain)).toMatch(/^[0-9a-f]{64}$/);
});

it('is another for weights of the same shape, inside the file and beside it', () => {
  const copy = join(folder, 'model.onnx');
  copyFileSync(plain, copy);
  trainOn(copy);
  expect(modelIdentity(copy)).not.toBe(modelIdentity(plain));

  const external = join(folder, 'external');
  cpSync(beside, external, { recursive: true });
  const before = modelIdentity(join(external, 'model.onnx'));
  expect(before).toBe(modelIdentity(join(beside, 'model.onnx')));
  trainOn(join(external, 'model.onnx'));
  expect(modelIdentity(join(external, 'model.onnx'))).not.toBe(before);
});

it('is another for another graph over the same weights', () => {
  const copy = join(folder, 'renamed.onnx');
  const bytes = readFileSync(plain);
  // op_type is field 4 of a node; names of nodes and values have other tags.
  bytes.write('LogSoft', bytes.indexOf('\x22\x07Softmax') + 2);
  writeFileSync(copy, bytes);
  expect(modelIdentity(copy)).not.toBe(modelIdentity(plain));
});

it('a number that no sample holds is told by all weights', () => {
  const copy = join(folder, 'one.onnx');
  copyFileSync(plain, copy);
  expect(sameWeights(plain, copy)).toBe(true);
  const large = weightRanges(readModel(copy)).toSorted((a, b) => b.length - a.length)[0];
  if (!large) throw new Error('there is no weight');
  const bytes = readFileSync(copy);
  bytes.writeFloatLE(Number.NaN, large.offset);
  writeFileSync(copy, bytes);
  expect(modelIdentity(copy)).toBe(modelIdentity(plain));
  expect(sameWeights(plain, copy)).toBe(false);
  expect(sameWeights(copy, plain)).toBe(false);
});
