/** What a mask means, by what a graph does with it. */
import { describe, expect, it } from 'vitest';
import { recognise } from '../../../src/anatomy/recognise.js';
import { DataType } from '../../../src/onnx/model.js';
import { modelOf } from '../../support/graph.js';

const { bool, int64, float } = DataType;

/** A block whose `scores` are made of `raw` ones and an input called `name`: how that input is read. */
function readAs(lines: string, { name = 'mask', type = int64 as DataType, shape = ['batch', 'tokens'] } = {}) {
  const model = modelOf(
    `h0 = Gather(table, ids)
     q = MatMul(h0, square)
     k = MatMul(h0, square)
     v = MatMul(h0, square)
     keys = Transpose(k) perm=0,2,1
     raw = MatMul(q, keys)
     ${lines}
     pattern = Softmax(scores) axis=-1
     mixed = MatMul(pattern, v)
     projected = MatMul(mixed, square)
     h1 = Add(h0, projected)
     up = MatMul(h1, wide)
     inner = Relu(up)
     down = MatMul(inner, back)
     h2 = Add(h1, down)
     logits = MatMul(h2, head)`,
    {
      inputs: { ids: ['batch', 'tokens'], [name]: shape },
      types: { ids: int64, [name]: type },
      outputs: ['logits'],
      weights: { table: [40, 16], square: [16, 16], wide: [16, 32], back: [32, 16], head: [16, 40], near: [40, 40] },
      integers: { none: 0, all: [1], behind: [1], step: 1, T: 12 },
      scalars: { one: 1, fill: -1e9, low: -10000, nothing: 0 },
    },
  );
  const input = recognise(model).inputs.find((one) => one.name === name);
  return input && { role: input.role, keeps: input.keeps, guessed: input.guessed };
}

const keeps = (value: 0 | 1, guessed = false) => ({ role: 'attention-mask', keeps: value, guessed });

describe('a mask is true', () => {
  it.each<[string, string, DataType]>([
    [
      'as (1 - mask) · -10000',
      'f = Cast(mask) to=1\nleft = Sub(one, f)\nbias = Mul(left, low)\nscores = Add(raw, bias)',
      int64,
    ],
    ['as the condition of the scores', 'm = Unsqueeze(mask, behind)\nscores = Where(m, raw, fill)', bool],
    ['as the negated condition of a fill', 'm = Not(mask)\nscores = Where(m, fill, raw)', bool],
    ['as mask == 0 before a fill', 'm = Equal(mask, none)\nscores = Where(m, fill, raw)', int64],
    [
      'together with a causal mask',
      'c = Less(near, one)\nm = Cast(mask) to=9\nb = And(c, m)\nbias = Where(b, nothing, fill)\nscores = Add(raw, bias)',
      int64,
    ],
    ['as its logarithm', 'f = Cast(mask) to=1\nl = Log(f)\nscores = Add(raw, l)', int64],
    ['where it multiplies states', 'f = Cast(mask) to=1\nscores = Mul(raw, f)', int64],
  ])('where tokens are seen: %s', (_, lines, type) => {
    expect(readAs(lines, { type })).toEqual(keeps(1));
  });

  it.each<[string, string, DataType]>([
    ['as the condition of a fill', 'm = Unsqueeze(mask, behind)\nscores = Where(m, fill, raw)', bool],
    ['as an integer', 'm = Cast(mask) to=9\nscores = Where(m, fill, raw)', int64],
    ['as mask · -10000', 'f = Cast(mask) to=1\nbias = Mul(f, low)\nscores = Add(raw, bias)', int64],
    [
      'as the condition of a fill that is added, with a causal one',
      'c = Greater(near, one)\nb = Or(c, mask)\nbias = Where(b, fill, nothing)\nscores = Add(raw, bias)',
      bool,
    ],
  ])('where tokens are ignored: %s', (_, lines, type) => {
    expect(readAs(lines, { type })).toEqual(keeps(0));
  });
});

it('zeros are what a mask of floats that is added holds', () => {
  expect(readAs('m = Unsqueeze(mask, behind)\nscores = Add(raw, m)', { type: float })).toEqual(keeps(0));
});

it('what only opens more than is open masks nothing, and is asked for', () => {
  const lines = 'c = Less(near, one)\nb = Or(c, mask)\nscores = Where(b, raw, fill)';
  expect(readAs(lines, { type: bool, name: 'mask' })).toMatchObject({ role: 'unknown', guessed: false });
});

it('a mask over pairs is asked for', () => {
  const shape = ['tokens', 'tokens'];
  expect(readAs('scores = Add(raw, mask)', { type: float, shape })).toMatchObject({ role: 'pair-mask' });
});

describe('behind what is not followed', () => {
  const lines = (name: string) => `m = my.Operator(${name})\nscores = Add(raw, m)`;

  it('it is taken for one that is true where tokens are seen, which is said', () => {
    expect(readAs(lines('mask'))).toEqual(keeps(1, true));
  });

  it('its name may say otherwise', () => {
    expect(readAs(lines('padding_mask'), { name: 'padding_mask' })).toEqual(keeps(0, true));
  });
});

describe('a number for each example that is compared with places', () => {
  const shape = ['batch'];
  const places =
    'count = Shape(ids) start=1 end=2\nlast = Squeeze(count)\nplaces = Range(none, last, step)\nof = Unsqueeze(mask, behind)';
  const masked = 'm = Unsqueeze(c, all)\nscores = Where(m, fill, raw)';
  it.each([
    ['those that are seen: its masks begin at it', `c = GreaterOrEqual(places, of)`, masked, undefined],
    ['those that are seen, written the other way', `s = Less(places, of)\nc = Not(s)`, masked, undefined],
    ['those that are masked, in front', `c = Less(places, of)`, masked, 0],
    ['those that are masked, behind', `left = Sub(T, of)\nc = GreaterOrEqual(places, left)`, masked, 0],
  ])('counts %s', (_, lines, scores, zero) => {
    const found = readAs(`${places}\n${lines}\n${scores}`, { name: 'mask', shape });
    expect(found).toEqual({ role: 'lengths', keeps: zero, guessed: found?.guessed });
  });

  it('is asked for where neither many nor none of it masks everything', () => {
    const lines = `${places}\np = Less(places, of)\nc = Less(near, one)\ns = Or(c, p)\nscores = Where(s, raw, fill)`;
    expect(readAs(lines.replaceAll('mask', 'n'), { name: 'n', shape })?.role).toBe('choice');
  });
});
