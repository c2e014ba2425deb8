import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SinkscopeError } from '../../src/errors.js';
import { prepare } from '../../src/onnx/prepare.js';
import { parseModel } from '../../src/onnx/read.js';
import { fixture } from '../support/files.js';

/** mulberry32: a small generator with a seed. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const sources = ['gpt2-ort-attention-past', 'llama-genai-int4', 'gpt2-optimum-merged', 'llama-dynamo-op23'];

test.each(sources)('a damaged %s is read, or refused with a sentence', (name) => {
  const file = fixture(name).model;
  const sound = readFileSync(file);
  const random = generator(20_240_217);
  let refused = 0;
  for (let i = 0; i < 150; i++) {
    const bytes = Buffer.from(sound);
    // Half of the mutants are hurt near the start, where there is structure and not weights.
    const reach = random() < 0.5 ? Math.min(bytes.length, 4000) : bytes.length;
    for (let hits = 1 + Math.floor(random() * 8); hits > 0; hits--) {
      bytes[Math.floor(random() * reach)] = random() < 0.3 ? 0xff : Math.floor(random() * 256);
    }
    try {
      prepare(parseModel({ size: bytes.length, read: (into, position) => bytes.copy(into, 0, position) }, file));
    } catch (error) {
      if (!SinkscopeError.is(error)) throw error;
      expect(error.message).toMatch(/^[^\n]{20,}\.$/);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(20);
});
