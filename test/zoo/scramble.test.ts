import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Anatomy, Attention, Block, Routing } from '../../src/anatomy/anatomy.js';
import { type Stream, streamsOf } from '../../src/anatomy/streams.js';
import type { Engine } from '../../src/engine/host/engine.js';
import { inlineFunctions } from '../../src/onnx/functions.js';
import { prepare } from '../../src/onnx/prepare.js';
import { readModel } from '../../src/onnx/read.js';
import { makeEngine } from '../support/engine.js';
import { compare } from './compare.js';
import { fixture, folders, toleranceOf } from './known.js';
import { scrambled, scrambledFile } from './scramble.js';

const cases = folders.map((folder, seed) => [basename(folder), folder, seed] as const);

describe('names and order mean nothing', () => {
  it.each(cases)('%s: the same anatomy', (_, folder, seed) => {
    const model = inlineFunctions(readModel(join(folder, 'model.onnx')));
    const { model: other, rename } = scrambled(model, seed, true);
    expect(streamsOf(prepare(other)).map((stream) => facts(stream))).toEqual(
      streamsOf(prepare(model)).map((stream) => facts(stream, rename)),
    );
  });

  it.each(cases)('%s: the same tensors in a file without shapes', (_, folder, seed) => {
    const model = inlineFunctions(readModel(join(folder, 'model.onnx')));
    const { model: other, rename } = scrambled(model, seed, false);
    expect(streamsOf(prepare(other)).map(({ anatomy }) => tensors(anatomy))).toEqual(
      streamsOf(prepare(model)).map(({ anatomy }) => tensors(anatomy, rename)),
    );
  });
});

describe('a scrambled file without shapes gives the same numbers', () => {
  let engine: Engine;
  let folder: string;
  beforeAll(async () => {
    engine = makeEngine();
    folder = await mkdtemp(join(tmpdir(), 'sinkscope-scrambled-'));
  });
  afterAll(async () => {
    engine.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  it.each(cases)('%s', async (name, source, seed) => {
    const known = await fixture(source);
    const { results } = await compare(engine, source, await scrambledFile(source, join(folder, name), seed));
    expect(results.size).toBeGreaterThan(0);
    for (const [quantity, result] of results) {
      if (known.gaps?.[quantity] !== undefined) continue;
      expect(result, quantity).toHaveProperty('error');
      if ('error' in result) expect(result.error, quantity).toBeLessThanOrEqual(toleranceOf(known));
    }
  });
});

/** Everything recognised, as plain data under the names that `rename` gives. */
function facts({ name, anatomy }: Stream, rename = (name: string) => name) {
  const { missing, inputs, turns, outputs, ...numbers } = anatomy;
  // What others take of a stream that has no output of its own is an inner tensor.
  const given = outputs.map((output) => ({ ...output, name: rename(output.name) }));
  const turned = turns.map((turn) => ({ ...turn, value: rename(turn.value) }));
  return {
    name,
    ...numbers,
    ...tensors(anatomy, rename),
    turned,
    inputs,
    outputs: given,
    missing: missing.map(({ part }) => part),
  };
}

function tensors(anatomy: Anatomy, rename = (name: string) => name) {
  const maybe = (name: string | undefined) => (name === undefined ? undefined : rename(name));
  return {
    source: rename(anatomy.source),
    embedding: rename(anatomy.embedding),
    blocks: anatomy.blocks.map(
      ({ residPost, residMid, attention, cross, mlpIntermediate, mlpOutput, routing }: Block) => ({
        residPost: rename(residPost),
        residMid: maybe(residMid),
        mlpIntermediate: maybe(mlpIntermediate),
        mlpOutput: maybe(mlpOutput),
        routing: routing && routed(routing, rename),
        output: maybe(attention?.output),
        pattern: patternIn(attention, rename),
        cross: patternIn(cross, rename),
      }),
    ),
    finalNorm: maybe(anatomy.finalNorm?.output),
    unembedding: anatomy.unembedding && {
      input: rename(anatomy.unembedding.input),
      logits: rename(anatomy.unembedding.logits),
    },
    output: rename(anatomy.output),
    roles: anatomy.inputs.map(({ name, role }) => `${name}: ${role}`),
  };
}

function patternIn(attention: Attention | undefined, rename: (name: string) => string) {
  if (!attention) return undefined;
  const { pattern } = attention;
  if ('tensor' in pattern) return rename(pattern.tensor);
  if ('parts' in pattern) return pattern.parts.map(({ tensor }) => rename(tensor));
  return pattern.operator.outputs.filter((output) => output !== '').map(rename);
}

function routed({ from, intermediate, ...facts }: Routing, rename: (name: string) => string) {
  const inner = intermediate && { ...intermediate, tensor: rename(intermediate.tensor) };
  if ('operator' in from) return { ...facts, inner, outputs: from.operator.outputs.map(rename) };
  const { indices, weights, scores, ...layout } = from;
  const values = [indices, weights, ...(scores ? [scores.value] : [])].map(rename);
  return { ...facts, inner, values, layout, scores: scores?.kind };
}
