import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Anatomy, Attention, Block, Routing } from '../../src/anatomy/anatomy.js';
import { type Stream, streamsOf } from '../../src/anatomy/streams.js';
import type { Engine } from '../../src/engine/host/engine.js';
import { inlineFunctions } from '../../src/onnx/functions.js';
import type { Graph } from '../../src/onnx/model.js';
import { prepare } from '../../src/onnx/prepare.js';
import { readModel } from '../../src/onnx/read.js';
import { subgraphs } from '../../src/onnx/scope.js';
import { makeEngine } from '../support/engine.js';
import { compare } from './compare.js';
import { fixture, folders, toleranceOf } from './known.js';
import { scrambled, scrambledFile } from './scramble.js';

const cases = folders.map((folder, seed) => {
  const model = inlineFunctions(readModel(join(folder, 'model.onnx')));
  return { name: basename(folder), folder, seed, model, streams: streamsOf(prepare(model)) };
});

describe('names and order mean nothing', () => {
  it.each(cases)('$name: the same anatomy', ({ model, streams, seed }) => {
    const { model: other, rename } = scrambled(model, seed, true);
    expect(streamsOf(prepare(other)).map((stream) => facts(stream))).toEqual(
      streams.map((stream) => facts(stream, rename)),
    );
  });

  it.each(cases)('$name: the same tensors in a file without shapes', ({ model, streams, seed }) => {
    const { model: other, rename } = scrambled(model, seed, false);
    expect(streamsOf(prepare(other)).map(({ anatomy }) => tensors(anatomy))).toEqual(
      streams.map(({ anatomy }) => tensors(anatomy, rename)),
    );
  });
});

/**
 * Files that have an operator, a type of weights or something in their anatomy that none before them has: by the tests
 * above the same tensors are found in all. Every file with `SINKSCOPE_SCRAMBLED=all`.
 */
function firstOfTheirKind(): typeof cases {
  if (process.env.SINKSCOPE_SCRAMBLED === 'all') return cases;
  const seen = new Set<string>();
  return cases.filter(({ model, streams }) => {
    const marks = [...marksOfGraph(model.graph), ...streams.flatMap(marksOfStream)];
    const isNew = marks.some((mark) => !seen.has(mark));
    for (const mark of marks) seen.add(mark);
    return isNew;
  });
}

function marksOfGraph({ nodes, initializers }: Graph): string[] {
  const operators = nodes.flatMap((node) => [
    `operator ${node.domain}.${node.op}`,
    ...subgraphs(node).flatMap((graph) => marksOfGraph(graph).map((mark) => `in a branch, ${mark}`)),
  ]);
  return [...operators, ...Array.from(initializers.values(), ({ type }) => `weights ${type}`)];
}

function marksOfStream({ name, anatomy }: Stream): string[] {
  const keys = (part: object) => Object.entries(part).flatMap(([key, value]) => (value === undefined ? [] : [key]));
  const attention = (part: Attention | undefined) =>
    part ? [`attention ${part.weighting} ${[...keys(part), ...keys(part.pattern)]}`] : [];
  return [
    `stream ${name}`,
    `anatomy ${keys(anatomy)}`,
    ...anatomy.inputs.map(({ role }) => `input ${role}`),
    ...anatomy.outputs.map(({ made }) => `output ${made}`),
    ...anatomy.missing.map(({ part }) => `without ${part}`),
    ...anatomy.blocks.flatMap((block) => [
      `block ${keys(block)}`,
      ...attention(block.attention),
      ...attention(block.cross),
      ...(block.routing ? [`routing ${keys(block.routing.from)}`] : []),
    ]),
  ];
}

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

  it.each(firstOfTheirKind())('$name', async ({ name, folder: source, seed }) => {
    const known = await fixture(source);
    const file = await scrambledFile(source, join(folder, name), seed);
    const { results } = await compare(engine, source, folder, file);
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
