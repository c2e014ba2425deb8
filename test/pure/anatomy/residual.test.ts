/** The chain of residual additions, on graphs small enough to follow by eye. */
import { describe, expect, it } from 'vitest';
import { flowOf } from '../../../src/anatomy/flow.js';
import { residualStream } from '../../../src/anatomy/residual.js';
import { modelOf } from '../../support/graph.js';

const parts = { inputs: { x: ['tokens', 8] }, weights: { w: [8, 8], bias: [8], gamma: [8] }, outputs: ['y'] };

/** The points between additions, and what each addition's branches give. */
function of(text: string) {
  const stream = residualStream(flowOf(modelOf(text, parts)));
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
