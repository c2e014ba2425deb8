/** Which residual streams a graph has, and what each of them needs. */
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { streamsOf } from '../../../src/anatomy/streams.js';
import { prepare } from '../../../src/onnx/prepare.js';
import { readModel } from '../../../src/onnx/read.js';
import { modelOf } from '../../support/graph.js';
import { fixture, folders } from '../../zoo/known.js';

const streamsIn = (folder: string) => streamsOf(prepare(readModel(join(folder, 'model.onnx'))));
const family = (name: string) => streamsIn(join(import.meta.dirname, '../../zoo/families', name));
const rolesOf = ([{ anatomy }]: ReturnType<typeof streamsOf>) =>
  Object.fromEntries(anatomy.inputs.map(({ name, role }) => [name, role]));

describe('streams of every fixture', () => {
  it.each(folders.map((folder) => [basename(folder), folder] as const))('%s', async (name, folder) => {
    const { stream } = await fixture(folder);
    const names = streamsIn(folder).map((one) => one.name);
    if (stream !== undefined) expect(names).toContain(stream);
    else if (name === 't5-whole-ts-op17') expect(names).toEqual(['decoder', 'encoder']);
    else expect(names).toHaveLength(1);
  });
});

describe('an encoder and its decoder', () => {
  const [decoder, encoder] = family('t5-whole-ts-op17');

  it('each has its own blocks, and the decoder attends to the encoder', () => {
    expect([decoder.name, encoder?.name]).toEqual(['decoder', 'encoder']);
    expect(decoder.anatomy.blocks.every(({ attention, cross }) => attention && cross)).toBe(true);
    expect(encoder?.anatomy.blocks.map(({ cross }) => cross)).toEqual([undefined, undefined]);
    expect(decoder.anatomy.missing.map(({ part }) => part)).toEqual(['unembedding']);
  });

  it('the encoder is run without the decoder’s inputs, the decoder is given the encoder’s ids alone', () => {
    expect(encoder && rolesOf([encoder])).toEqual({
      input_ids: 'token-ids',
      attention_mask: 'attention-mask',
      decoder_input_ids: 'unused',
    });
    expect(rolesOf([decoder])).toEqual({
      input_ids: 'features',
      attention_mask: 'attention-mask',
      decoder_input_ids: 'token-ids',
    });
    expect(decoder.anatomy.inputs.map(({ along }) => along)).toEqual([undefined, 'input_ids', undefined]);
  });
});

/** A tower of two blocks from h_0, up to its last sum `NAME2`. */
function tower(name: string, start: string) {
  const block = (n: number) => {
    const from = n === 1 ? `${name}0` : `${name}${n - 1}`;
    return `
      ${name}q${n} = MatMul(${from}, square)
      ${name}k${n} = MatMul(${from}, square)
      ${name}v${n} = MatMul(${from}, square)
      ${name}t${n} = Transpose(${name}k${n}) perm=0,2,1
      ${name}s${n} = MatMul(${name}q${n}, ${name}t${n})
      ${name}p${n} = Softmax(${name}s${n})
      ${name}w${n} = MatMul(${name}p${n}, ${name}v${n})
      ${name}o${n} = MatMul(${name}w${n}, square)
      ${name}${n} = Add(${from}, ${name}o${n})`;
  };
  return `${name}0 = ${start} ${block(1)} ${block(2)}`;
}
const parts = {
  types: { query: 7, passage: 7, ids: 7 },
  weights: { table: [20, 8], square: [8, 8], head: [8, 20] },
};

it('two texts are named by their inputs', () => {
  const model = modelOf(
    `${tower('a', 'Gather(table, query)')}
    ${tower('b', 'Gather(table, passage)')}
    x = MatMul(a2, square)
    y = MatMul(b2, square)`,
    { ...parts, inputs: { query: ['n', 't'], passage: ['n', 'u'] }, outputs: ['x', 'y'] },
  );
  const streams = streamsOf(model);
  expect(streams.map(({ name }) => name)).toEqual(['query', 'passage']);
  expect(streams.map(({ anatomy }) => anatomy.output)).toEqual(['x', 'y']);
});

it('a tower behind which a language model starts is a stream, and so is the language model', () => {
  const model = modelOf(
    `${tower('a', 'MatMul(pixels, square)')}
    seen = MatMul(a2, square)
    words = Gather(table, ids)
    ${tower('b', 'Concat(seen, words) axis=1')}
    logits = MatMul(b2, head)`,
    { ...parts, inputs: { pixels: ['n', 'p', 8], ids: ['n', 't'] }, outputs: ['logits'] },
  );
  const names = streamsOf(model).map(({ name, anatomy }) => [name, anatomy.inputs.map(({ role }) => role)]);
  expect(names).toEqual([
    ['pixels', ['features', 'unused']],
    ['text', ['features', 'token-ids']],
  ]);
});

it('a stage that goes on from another of another width is no stream of its own', () => {
  const model = modelOf(
    `${tower('a', 'Gather(table, ids)')}
    merged = MatMul(a2, square)
    mixed = Tanh(merged)
    ${tower('b', 'MatMul(mixed, square)')}
    logits = MatMul(b2, head)`,
    { ...parts, inputs: { ids: ['n', 't'] }, outputs: ['logits'] },
  );
  expect(streamsOf(model).map(({ anatomy: { missing } }) => missing.map(({ part }) => part))).toEqual([
    ['MLP intermediate of all 2 blocks', 'a further residual stream'],
  ]);
});

it('rows of two streams that are joined behind their blocks are a stream of their own', () => {
  const model = modelOf(
    `${tower('a', 'MatMul(words, square)')}
    ${tower('b', 'MatMul(pixels, square)')}
    ${tower('c', 'Concat(a2, b2) axis=1')}
    y = MatMul(c2, head)`,
    { ...parts, inputs: { words: ['n', 't', 8], pixels: ['n', 'p', 8] }, outputs: ['y'] },
  );
  const streams = streamsOf(model).map(({ name, anatomy }) => [name, anatomy.embedding, anatomy.layers]);
  expect(streams).toHaveLength(3);
  expect(streams).toEqual(
    expect.arrayContaining([
      ['words', 'a0', 2],
      ['pixels', 'b0', 2],
      ['joined', 'c0', 2],
    ]),
  );
});

it('rows that join late begin a stage; those that were cut off and put back do not', () => {
  const late = modelOf(
    `${tower('a', 'MatMul(pixels, square)')}
    token = Relu(class)
    ${tower('b', 'Concat(token, a2) axis=1')}
    y = MatMul(b2, head)`,
    { ...parts, weights: { ...parts.weights, class: [1, 1, 8] }, inputs: { pixels: ['n', 'p', 8] }, outputs: ['y'] },
  );
  expect(streamsOf(late).map(({ anatomy }) => [anatomy.embedding, anatomy.layers])).toEqual([['a0', 2]]);
  const apart = modelOf(
    `${tower('a', 'MatMul(pixels, square)')}
    some, rest = Split(a2) axis=1
    ${tower('b', 'Concat(some, rest) axis=1')}
    y = MatMul(b2, head)`,
    { ...parts, inputs: { pixels: ['n', 'p', 8] }, outputs: ['y'] },
  );
  expect(streamsOf(apart).map(({ anatomy }) => [anatomy.embedding, anatomy.layers])).toEqual([['a0', 4]]);
});
