/** The chain of residual additions, on graphs small enough to follow by eye. */
import { describe, expect, it } from 'vitest';
import { flowOf } from '../../../src/anatomy/flow.js';
import { residualStreams } from '../../../src/anatomy/residual.js';
import { modelOf } from '../../support/graph.js';

const parts = {
  inputs: { x: ['tokens', 8] },
  weights: { w: [8, 8], bias: [8], gamma: [8], lambda: [], mu: [], one: [] },
  outputs: ['y'],
};

/** The points between additions, and what each addition's branches give. */
function of(text: string) {
  const [stream] = residualStreams(flowOf(modelOf(text, parts)));
  return (
    stream && {
      points: [stream.from, ...stream.steps.map(({ to }) => to)],
      branches: stream.steps.map(({ branches }) => branches.map(({ output }) => output)),
    }
  );
}

describe('a residual stream', () => {
  it('of a pre-norm model is the sums', () => {
    expect(
      of(`
        n = LayerNormalization(x, gamma)
        a = MatMul(n, w)
        h = Add(x, a)
        m = LayerNormalization(h, gamma)
        b = MatMul(m, w)
        y = Add(b, h)`),
    ).toEqual({ points: ['x', 'h', 'y'], branches: [['a'], ['b']] });
  });

  it('of a post-norm model is the norms of the sums, the last one too', () => {
    expect(
      of(`
        a = MatMul(x, w)
        s = Add(x, a)
        h = LayerNormalization(s, gamma)
        b = MatMul(h, w)
        t = Add(h, b)
        k = LayerNormalization(t, gamma)
        c = MatMul(k, w)
        u = Add(k, c)
        l = LayerNormalization(u, gamma)
        y = MatMul(l, w)`),
    ).toEqual({ points: ['x', 'h', 'k', 'l'], branches: [['a'], ['b'], ['c']] });
  });

  it('has one step for branches that read the same point, in one sum or in two', () => {
    const branches = 'a = MatMul(x, w)\n b = Relu(a)\n c = MatMul(b, w)\n d = MatMul(x, w)\n';
    const both = { points: ['x', 'y'], branches: [['c', 'd']] };
    expect(of(`${branches} y = Sum(x, c, d)`)).toEqual(both);
    expect(of(`${branches} s = Add(x, c)\n y = Add(s, d)`)).toEqual(both);
  });

  it('goes past what a branch adds to its own inside', () => {
    expect(
      of(`
        n = LayerNormalization(x, gamma)
        c = MatMul(n, w)
        i = Add(n, c)
        a = MatMul(i, w)
        h = Add(x, a)
        m = LayerNormalization(h, gamma)
        d = MatMul(m, w)
        j = Add(m, d)
        e = MatMul(j, w)
        k = Add(j, e)
        b = MatMul(k, w)
        y = Add(h, b)`),
    ).toEqual({ points: ['x', 'h', 'y'], branches: [['a'], ['b']] });
  });

  it('is what it was before it is mixed with where it began, scaled or not', () => {
    expect(
      of(`
        x1 = Mul(x, lambda)
        x2 = Mul(x, mu)
        s = Add(x1, x2)
        a = MatMul(s, w)
        h = Add(s, a)
        h1 = Mul(h, lambda)
        x3 = Mul(mu, x)
        t = Add(h1, x3)
        b = MatMul(t, w)
        y = Add(t, b)`),
    ).toEqual({ points: ['x', 'h', 'y'], branches: [['a'], ['b']] });
  });

  it('may have its branches subtracted, but is not subtracted itself', () => {
    expect(of('a = MatMul(x, w)\n h = Sub(x, a)\n b = MatMul(h, w)\n y = Sub(h, b)')?.points).toEqual(['x', 'h', 'y']);
    expect(of('a = MatMul(x, w)\n y = Sub(a, x)')).toBeUndefined();
  });

  it('may be scaled by a gate that each block makes of it', () => {
    const highway = (from: string, to: string) => `
      ${to}/p = MatMul(${from}, w)
      ${to}/g = Sigmoid(${to}/p)
      ${to}/r = Sub(one, ${to}/g)
      ${to}/k = Mul(${to}/r, ${from})
      ${to}/f = MatMul(${from}, w)
      ${to}/t = Mul(${to}/g, ${to}/f)
      ${to} = Add(${to}/k, ${to}/t)`;
    expect(of(`${highway('x', 'h')} ${highway('h', 'y')}`)?.points).toEqual(['x', 'h', 'y']);
  });

  it('is what a gate reads in another shape, and its branch counts once', () => {
    const cell = (from: string, to: string) => `
      ${to}/f = MatMul(${from}, w)
      ${to}/b = Reshape(${to}/f, shape)
      ${to}/r = Reshape(${from}, shape)
      ${to}/p = MatMul(${to}/r, w)
      ${to}/g = Sigmoid(${to}/p)
      ${to}/q = MatMul(${to}/b, w)
      ${to}/c = Mul(${to}/g, ${to}/p)
      ${to}/s = Add(${to}/q, ${to}/c)
      ${to}/n = Tanh(${to}/s)
      ${to}/d = Sub(${to}/r, ${to}/n)
      ${to}/z = Mul(${to}/d, ${to}/g)
      ${to} = Add(${to}/z, ${to}/n)`;
    expect(of(`${cell('x', 'h')} ${cell('h', 'y')}`)).toEqual({
      points: ['x', 'h', 'y'],
      branches: [['h/n'], ['y/n']],
    });
  });

  it('ends after a bias that is added alone', () => {
    expect(of('a = MatMul(x, w)\n s = Add(x, a)\n y = Add(s, bias)')?.points).toEqual(['x', 'y']);
  });

  it('is the longer of two chains', () => {
    expect(
      of(`
        a = MatMul(x, w)
        p = Add(x, a)
        r = Relu(w)
        e = MatMul(x, r)
        f = MatMul(e, w)
        g = Add(e, f)
        i = MatMul(g, w)
        y = Add(g, i)`)?.points,
    ).toEqual(['e', 'g', 'y']);
  });
});

describe('there is none', () => {
  it.each([
    ['where nothing is added', 'a = MatMul(x, w)\n y = Relu(a)'],
    // A bias, a position: no branch is computed from the skip.
    ['where what is added does not come from the skip', 'a = MatMul(x, w)\n y = Add(a, bias)'],
    ['where the branch is no more than a scaling', 'a = Mul(x, gamma)\n y = Add(x, a)'],
  ])('%s', (_, text) => {
    expect(of(text)).toBeUndefined();
  });
});
