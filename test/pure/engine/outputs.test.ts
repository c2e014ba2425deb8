import { describe, expect, it } from 'vitest';
import type { Output } from '../../../src/anatomy/anatomy.js';
import { headOutputs } from '../../../src/engine/jobs/outputs.js';
import type { Value } from '../../../src/engine/tensors/value.js';
import { DataType } from '../../../src/onnx/model.js';

const tokens = ['one', 'two', 'three'].map((text, id) => ({ id, text, start: 0, end: 0, special: false }));

const floats = (dims: number[], ...data: number[]): Value => ({
  type: DataType.float,
  dims,
  data: Float32Array.from(data),
});

/** What is said of one output of a model 4 wide. */
function said(value: Value, output: Partial<Output> = {}, classes: { labels?: string[]; several?: boolean } = {}) {
  const outputs = [{ name: 'out', columns: undefined, made: undefined, ...output }];
  const facts = { anatomy: { outputs, hidden: 4 }, classes: { labels: classes.labels, several: !!classes.several } };
  const [one] = headOutputs(facts, new Map([[outputs[0]?.name ?? '', value]]), tokens);
  if (!one) throw new Error('nothing is said');
  return one;
}

describe('headOutputs', () => {
  it('names classes as the configuration does, most likely first', () => {
    // softmax(0, ln 3) = 1/4, 3/4
    const { kind, how, rows } = said(floats([1, 2], 0, Math.log(3)), { columns: 2 }, { labels: ['bad', 'good'] });
    expect([kind, how]).toEqual(['classes', 'as many columns as its config.json names classes']);
    expect(rows[0]?.token).toBeUndefined();
    expect(rows[0]?.top.map(({ label, probability }) => [label, probability])).toEqual([
      ['good', expect.closeTo(0.75, 6)],
      ['bad', expect.closeTo(0.25, 6)],
    ]);
  });

  it('gives each class a probability of its own where several may hold, and the graph’s where it has them', () => {
    const several = said(floats([1, 2], 0, Math.log(3)), {}, { labels: ['a', 'b'], several: true });
    expect(several.rows[0]?.top.map(({ probability }) => probability)).toEqual(
      [0.75, 0.5].map((p) => expect.closeTo(p, 6)),
    );
    const given = said(floats([1, 2], 0.25, 0.75), { made: 'probabilities' });
    expect(given.rows[0]?.top[0]).toMatchObject({ label: 'class 1', probability: 0.75 });
  });

  it('takes rows for tokens, and leaves padding out', () => {
    const { kind, rows } = said(floats([1, 4, 2], 0, 1, 2, 3, 5, 4, 9, 9), { name: 'logits', columns: 2 });
    expect(kind).toBe('classes');
    expect(rows.map(({ token, top }) => [token, top[0]?.index])).toEqual([
      [0, 1],
      [1, 1],
      [2, 0],
    ]);
  });

  it('one column is a score', () => {
    const { kind, rows } = said(floats([1, 1], -2.5), { columns: 1 });
    expect([kind, rows[0]?.top]).toEqual([
      'score',
      [{ index: 0, label: 'score', value: -2.5, probability: undefined }],
    ]);
  });

  it('a column that was taken apart is a score of each token: where something begins or ends', () => {
    const { kind, rows } = said(floats([1, 3], 0, 2, 1), { columns: 2 });
    expect(kind).toBe('places');
    expect(rows).toHaveLength(1);
    expect(rows[0]?.top.map(({ index, label }) => [index, label])).toEqual([
      [1, 'two'],
      [2, 'three'],
      [0, 'one'],
    ]);
    expect(rows[0]?.top[0]?.probability).toBeCloseTo(Math.E ** 2 / (1 + Math.E + Math.E ** 2), 6);
  });

  it.each<[string, Value, Partial<Output>]>([
    ['of length one', floats([1, 2], 0.6, 0.8), { made: 'unit' }],
    ['as wide as the stream', floats([1, 4], 0, 0, 0, 1), {}],
    ['called so', floats([1, 2], 0.6, 0.8), { name: 'text_embeds' }],
  ])('an embedding %s has a norm', (_, value, output) => {
    const { kind, rows } = said(value, output);
    expect([kind, rows]).toEqual(['embedding', [{ token: undefined, norm: expect.closeTo(1, 6), top: [] }]]);
  });

  it('says what it cannot tell', () => {
    expect(said(floats([1, 2], 1, 2))).toMatchObject({ kind: 'values', how: 'nothing tells what its columns are' });
    expect(said(floats([1, 2, 2, 1], 1, 2, 3, 4))).toMatchObject({ kind: 'values', rows: [] });
  });

  it('leaves out the normed residual', () => {
    const facts = { anatomy: { outputs: [{ name: 'h', columns: undefined, made: 'states' as const }], hidden: 4 } };
    const classes = { labels: undefined, several: false };
    expect(headOutputs({ ...facts, classes }, new Map([['h', floats([1, 3, 4])]]), tokens)).toEqual([]);
  });
});
