/** What is said where there is no transformer, or where a part of one is not found. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { recognise } from '../../../src/anatomy/recognise.js';
import { attentionObstacle, merged } from '../../../src/anatomy/words.js';
import { SinkscopeError } from '../../../src/errors.js';
import { prepare } from '../../../src/onnx/prepare.js';
import { parseModel, readModel } from '../../../src/onnx/read.js';
import { floats, message, model, node, type Parts, value } from '../../support/build.js';
import { attentionLines, modelOf, nodesOf } from '../../support/graph.js';

const weight = (name: string, ...dims: number[]) =>
  floats(
    name,
    dims,
    Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => 0.5),
  );
const ints = (name: string, ...values: number[]) => message([1, name], ...values.map((v) => [8, v] as const), [20, 7]);
const input = value('x', ['batch', 8]);
const output = value('y', ['batch', 8]);

/** What recognising a graph of these parts says. */
function said(parts: Parts): string {
  const bytes = Buffer.from(model(parts));
  const source = {
    size: bytes.length,
    read: (into: Uint8Array, position: number) => bytes.copy(into, 0, position, position + into.length),
  };
  try {
    recognise(prepare(parseModel(source, '/models/tiny.onnx')));
  } catch (error) {
    if (SinkscopeError.is(error, 'not-a-transformer')) return error.message;
    throw error;
  }
  throw new Error('it was taken for a transformer');
}

const sentence = (cause: string) =>
  `tiny.onnx is no transformer that Sinkscope can see into: ${cause}; give a transformer exported as one graph.`;

describe('a graph that is no transformer is told so in one sentence', () => {
  it('an MLP', () => {
    const nodes = [node('MatMul', ['x', 'w'], ['a']), node('Relu', ['a'], ['b']), node('MatMul', ['b', 'w'], ['y'])];
    expect(said({ nodes, initializers: [weight('w', 8, 8)], inputs: [input], outputs: [output] })).toBe(
      sentence(
        'no chain of residual additions with attention or the like leads to an output (it has 2 MatMul, 1 Relu)',
      ),
    );
  });

  it('a residual network of convolutions', () => {
    const convolution = (from: string, to: string) =>
      node('Conv', [from, 'k'], [to], [ints('kernel_shape', 3, 3), ints('pads', 1, 1, 1, 1)]);
    const block = (from: string, to: string) => [
      convolution(from, `${to}/a`),
      node('Relu', [`${to}/a`], [`${to}/b`]),
      convolution(`${to}/b`, `${to}/c`),
      node('Add', [from, `${to}/c`], [`${to}/d`]),
      node('Relu', [`${to}/d`], [to]),
    ];
    const nodes = [...block('x', 'h1'), ...block('h1', 'h2'), ...block('h2', 'h3')];
    nodes.push(node('GlobalAveragePool', ['h3'], ['pooled']), node('Flatten', ['pooled'], ['flat']));
    nodes.push(node('MatMul', ['flat', 'w'], ['y']));
    const initializers = [weight('k', 8, 8, 3, 3), weight('w', 8, 8)];
    expect(said({ nodes, initializers, inputs: [value('x', [1, 8, 6, 6])], outputs: [output] })).toMatch(
      /^tiny\.onnx is no transformer .* \(it has 6 Conv, 6 Relu, 3 Add, .*\); give a transformer exported as one graph\.$/,
    );
  });

  it('an empty graph', () => {
    expect(said({ inputs: [value('y', [1])], outputs: [value('y', [1])] })).toBe(sentence('its graph is empty'));
  });

  it('a tokenizer', () => {
    const nodes = [
      node('StringNormalizer', ['x'], ['lower']),
      node('StringSplit', ['lower'], ['pieces', 'counts']),
      node('LabelEncoder', ['pieces'], ['y'], [], 'ai.onnx.ml'),
    ];
    expect(said({ nodes, inputs: [value('x', ['n'], 8)], outputs: [value('y', ['n', 'm'], 7)] })).toMatch(
      /\(it has 1 StringNormalizer, 1 StringSplit, 1 LabelEncoder\)/,
    );
  });
});

describe('parts that are not found', () => {
  it('are named once for all blocks', () => {
    const file = join(import.meta.dirname, '../../zoo/fixtures/mixtral-dynamo-op18/model.onnx');
    expect(recognise(prepare(readModel(file))).missing).toEqual([
      { part: 'MLP intermediate of all 3 blocks', why: expect.stringContaining('mixture of experts') },
    ]);
  });

  it('name what mixes tokens without attention', () => {
    const file = join(import.meta.dirname, '../../zoo/families/jamba-ts-op17/model.onnx');
    expect(recognise(prepare(readModel(file))).missing).toEqual([
      { part: 'attention of block 1', why: 'its tokens are mixed by Conv, which gives no pattern' },
    ]);
  });

  it.each([
    ['p = Softmax(x)', "its Softmax does not weigh values, as an attention's would"],
    [
      'a = LSTM(x)\n b = com.microsoft.CausalConvWithState(x)\n c = LSTM(a)',
      'its tokens are mixed by LSTM and com.microsoft.CausalConvWithState, which gives no pattern',
    ],
    ['a = Relu(x)', 'it has neither a Softmax that weighs values nor an attention operator that is known'],
  ])('name what stands in the place of an attention: %s', (text, why) => {
    expect(attentionObstacle(nodesOf(text))).toBe(why);
  });

  it('are named by ranges of blocks', () => {
    const gap = (block: number, why = 'because') => ({ part: 'attention', block, why });
    expect(merged([gap(1), gap(2), gap(4), gap(6, 'so')], 6)).toEqual([
      { part: 'attention of blocks 1–2, 4', why: 'because' },
      { part: 'attention of block 6', why: 'so' },
    ]);
  });
});

it('a block that only some tokens go through says which operator picks them', () => {
  const { missing } = recognise(
    modelOf(
      `h0 = Gather(table, ids)
       ${attentionLines}
       scores = MatMul(h1, one)
       top, rows = TopK(scores, few)
       picked = GatherND(h1, rows)
       q2 = MatMul(picked, square)
       k2 = MatMul(picked, square)
       v2 = MatMul(picked, square)
       s2 = MatMul(q2, k2)
       p2 = Softmax(s2)
       o2 = MatMul(p2, v2)
       a2 = MatMul(o2, square)
       done = Add(picked, a2)
       h2 = ScatterND(h1, rows, done)
       logits = MatMul(h2, head)`,
      {
        inputs: { ids: ['batch', 'tokens'] },
        types: { ids: 7 },
        outputs: ['logits'],
        weights: { table: [20, 8], square: [8, 8], one: [8, 1], few: [1], head: [8, 20] },
      },
    ),
  );
  expect(missing.find(({ part }) => part === 'a row of each token of block 2')?.why).toBe(
    'only tokens that its GatherND picks, by what is computed of them, go through it (as in a mixture of depths)',
  );
});

it('a file whose convolutions are laid out for a processor says so, and what to give instead', () => {
  const { missing } = recognise(
    modelOf(
      `h0 = Gather(table, ids)
       ${attentionLines}
       inside = com.microsoft.nchwc.ReorderInput(h1)
       made = com.microsoft.nchwc.Conv(inside, head) kernel_shape=1,1
       logits = com.microsoft.nchwc.ReorderOutput(made)`,
      {
        inputs: { ids: ['batch', 'tokens'] },
        types: { ids: 7 },
        outputs: ['logits'],
        weights: { table: [20, 8], square: [8, 8], head: [24, 8, 1, 1] },
      },
    ),
  );
  const why = new Map(missing.map((one) => [one.part, one.why]));
  expect(why.get('whether its numbers are right on this processor')).toMatch(/level all.* saved at level extended$/);
  expect(why.has('unembedding')).toBe(false);
});
