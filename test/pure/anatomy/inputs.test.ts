/** What an input is by the place at which an attention operator takes it. */
import { describe, expect, it } from 'vitest';
import { recognise } from '../../../src/anatomy/recognise.js';
import { DataType } from '../../../src/onnx/model.js';
import { modelOf } from '../../support/graph.js';

type Extents = readonly (number | string | null)[];

/** A decoder of one block whose attention is `attend`, and whose output is `head`; `inputs` that they read, recognised. */
function recognised(
  attend: string,
  inputs: Record<string, Extents>,
  types: Record<string, DataType> = {},
  head = 'logits = MatMul(h2, head)',
) {
  const model = modelOf(
    `h0 = Gather(table, ids)
     q = MatMul(h0, square)
     k = MatMul(h0, narrow)
     v = MatMul(h0, narrow)
     ${attend}
     projected = MatMul(mixed, square)
     h1 = Add(h0, projected)
     up = MatMul(h1, wide)
     inner = Relu(up)
     down = MatMul(inner, back)
     h2 = Add(h1, down)
     ${head}`,
    {
      inputs: { ids: ['batch', 'tokens'], ...inputs },
      types: { ids: DataType.int64, ...types },
      outputs: ['logits'],
      weights: {
        table: [20, 16],
        square: [16, 16],
        narrow: [16, 8],
        widened: [8, 16],
        qkv: [16, 48],
        bias: [48],
        scale: [],
        wide: [16, 32],
        back: [32, 16],
        head: [16, 20],
        cos: [40, 4],
        sin: [40, 4],
        end: [1],
        axis: [1],
      },
    },
  );
  const { context, inputs: all } = recognise(model);
  return {
    context,
    inputs: all.slice(1).map(({ name, role, tokenAxis, extents }) => [name, role, tokenAxis, extents]),
    guessed: all.filter(({ guessed }) => guessed).map(({ name }) => name),
  };
}

const cache = ['batch', 2, 'past', 4];
const group = (more: string, attributes = '') =>
  `mixed, present_key, present_value = com.microsoft.GroupQueryAttention(q, k, v, past_key, past_value, last, total${more}) num_heads=4 kv_num_heads=2 ${attributes}`;
const grouped = { past_key: cache, past_value: cache, last: ['batch'], total: [] };
const counts = { last: DataType.int32, total: DataType.int32 };

describe('inputs of GroupQueryAttention', () => {
  it('are caches, counts and positions; its rotary table bounds the context', () => {
    const found = recognised(
      group(', cos, sin, positions', 'do_rotary=1'),
      { ...grouped, positions: ['batch', 'tokens'] },
      { ...counts, positions: DataType.int64 },
    );
    expect(found).toEqual({
      context: 40,
      guessed: [],
      inputs: [
        ['past_key', 'past', 2, { 0: 1, 1: 2, 3: 4 }],
        ['past_value', 'past', 2, { 0: 1, 1: 2, 3: 4 }],
        ['last', 'last-key-index', 0, {}],
        ['total', 'total-length', 0, {}],
        ['positions', 'position-ids', 1, {}],
      ],
    });
  });

  it('are caches of fixed length where it says that they hold the window', () => {
    const { inputs } = recognised(group('', 'local_window_size=6 sliding_window_cache=1'), grouped, counts);
    expect(inputs[0]).toEqual(['past_key', 'past', undefined, { 0: 1, 1: 2, 2: 6, 3: 4 }]);
  });
});

it('is not fed where only an output that has nothing of the stream reads it', () => {
  const attend = 'mixed = com.microsoft.MultiHeadAttention(q, k, v) num_heads=4';
  const head = `logits = MatMul(h2, head)
     names_out = Identity(names)`;
  const { inputs } = recognised(attend, { names: ['batch'] }, { names: DataType.string }, head);
  expect(inputs).toEqual([['names', 'unused', 0, {}]]);
});

describe('padding is a mask, or the number of keys of each sequence', () => {
  it.each<[Extents, string]>([
    [['batch', 'tokens'], 'attention-mask'],
    [['batch'], 'total-length'],
  ])('by its extents %j', (extents, role) => {
    const type = { padding: DataType.int32 };
    const apart = 'mixed = com.microsoft.MultiHeadAttention(q, k, v, , padding) num_heads=4';
    const inside = 'mixed = com.microsoft.Attention(h0, qkv, bias, padding) num_heads=4';
    for (const attend of [apart, inside])
      expect(recognised(attend, { padding: extents }, type).inputs).toEqual([
        ['padding', role, extents.length - 1, {}],
      ]);
  });
});

describe('caches of keys and values in one', () => {
  const past = [2, 'batch', 4, 'past', 4];
  it.each([
    'com.microsoft.Attention(h0, qkv, bias, , past)',
    'com.microsoft.QAttention(h0, qkv, bias, scale, scale, , , , past)',
    'com.microsoft.DecoderMaskedSelfAttention(h0, qkv, bias, , past)',
  ])('of %s', (call) => {
    const { inputs } = recognised(`mixed, present = ${call} num_heads=4`, { past });
    expect(inputs).toEqual([['past', 'past', 3, { 0: 2, 1: 1, 2: 4, 4: 4 }]]);
  });
});

it('the number of keys of ai.onnx Attention is that of the tokens', () => {
  const { inputs } = recognised(
    'mixed = Attention(q, k, v, , past_key, past_value, keys) q_num_heads=4 kv_num_heads=2',
    { past_key: cache, past_value: cache, keys: ['batch'] },
    { keys: DataType.int64 },
  );
  expect(inputs.map(([name, role]) => [name, role])).toEqual([
    ['past_key', 'past'],
    ['past_value', 'past'],
    ['keys', 'total-length'],
  ]);
});

describe('numbers of the whole run', () => {
  it('of how many tokens there are logits is all of them', () => {
    const { inputs, guessed } = recognised(
      'mixed = Attention(q, k, v) q_num_heads=4 kv_num_heads=2',
      { kept: [1] },
      { kept: DataType.int64 },
      `start = Neg(kept)
       last = Slice(h2, start, end, axis)
       logits = MatMul(last, head)`,
    );
    expect(inputs.map(([name, role]) => [name, role])).toEqual([['kept', 'kept-rows']]);
    expect(guessed).toEqual([]);
  });
});

it('what products make of an input is joined to keys as states are, not as a cache is', () => {
  const joined = (states: string, more: string) => `${more}
     all = Concat(${states}, k) axis=1
     turned = Transpose(all) perm=0,2,1
     low = MatMul(h0, narrow)
     scores = MatMul(low, turned)
     weights = Softmax(scores)
     both = Concat(${states}, v) axis=1
     weighed = MatMul(weights, both)
     mixed = MatMul(weighed, widened)`;
  const of = (text: string, past: Extents) => recognised(text, { past }).inputs.map(([, role]) => role);
  expect(of(joined('past', ''), ['batch', 'past', 8])).toEqual(['past']);
  expect(of(joined('seen', 'seen = MatMul(past, narrow)'), ['batch', 'past', 16])).toEqual(['features']);
});

it('ids of which as many are taken as there are, as XLM takes them, are token ids', () => {
  const model = modelOf(
    `shape = Shape(ids)
     length = Gather(shape, one)
     back = Neg(length)
     start = Unsqueeze(back, zero)
     some = Slice(ids, start, end, one)
     h0 = Gather(table, some)
     q = MatMul(h0, square)
     k = MatMul(h0, square)
     turned = Transpose(k) perm=0,2,1
     scores = MatMul(q, turned)
     weights = Softmax(scores)
     mixed = MatMul(weights, k)
     projected = MatMul(mixed, square)
     h1 = Add(h0, projected)`,
    {
      inputs: { ids: ['batch', 'tokens'] },
      types: { ids: DataType.int64 },
      outputs: ['h1'],
      weights: { table: [20, 16], square: [16, 16] },
      integers: { one: [1], zero: [0], end: [999] },
    },
  );
  expect(recognise(model).inputs.map(({ role }) => role)).toEqual(['token-ids']);
});
