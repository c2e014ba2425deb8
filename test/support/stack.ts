/** Small transformers written as text, by what their blocks add to the stream. */
import { recognise } from '../../src/anatomy/recognise.js';
import { modelOf } from './graph.js';

/** Nodes from the scores `s` to the weights `p`, with `@` behind each name; `one` and `few` are constants. */
const softmax = 'p@ = Softmax(s@)';

/** What a stack adds to its stream. */
export type Added =
  | 'attention'
  | 'mlp'
  | 'injection'
  | 'norm'
  | 'recurrence'
  | 'running sum'
  | 'pieces'
  | 'convolution';

/** A stack of additions, each of an attention, an MLP or what h0 makes (or norms), that begins at h0 and ends at h<n>. */
export function stackOf(
  kinds: readonly Added[],
  { weights = softmax, down = 'd@ = MatMul(i@, down)', start = 'h0 = Gather(table, ids)' } = {},
) {
  const attention = `
    q@ = MatMul(FROM, square)
    k@ = MatMul(FROM, square)
    v@ = MatMul(FROM, square)
    t@ = Transpose(k@) perm=0,2,1
    s@ = MatMul(q@, t@)
    ${weights}
    w@ = MatMul(p@, v@)
    o@ = MatMul(w@, square)
    TO = Add(FROM, o@)`;
  const mlp = `
    u@ = MatMul(FROM, up)
    i@ = Relu(u@)
    ${down}
    TO = Add(FROM, d@)`;
  const injection = '\nj@ = MatMul(h0, square)\nTO = Add(FROM, j@)';
  const steps = (joined: string) => `
    x@ = MatMul(FROM, square)
    a@ = Gather(x@, 0) axis=1
    b@ = Gather(x@, 1) axis=1
    c@ = Gather(x@, 2) axis=1
    d@ = Mul(a@, one)
    e@ = Add(d@, b@)
    f@ = Mul(e@, one)
    g@ = Add(f@, c@)
    r@ = Concat(${joined}) axis=1
    o@ = MatMul(r@, square)
    TO = Add(FROM, o@)`;
  const running = `
    x@ = MatMul(FROM, square)
    r@ = CumSum(x@, 1)
    o@ = MatMul(r@, square)
    TO = Add(FROM, o@)`;
  const convolution = `
    y@ = Transpose(FROM) perm=0,2,1
    c@ = Conv(y@, kernel) kernel_shape=3,1 pads=1,0,1,0
    o@ = Transpose(c@) perm=0,2,1
    TO = Add(FROM, o@)`;
  const mixing = { recurrence: steps('a@, e@, g@'), pieces: steps('a@, b@, c@'), 'running sum': running };
  const texts = { attention, mlp, injection, convolution, ...mixing, norm: '\nTO = LayerNormalization(FROM, scale)' };
  const lines = kinds.map((kind, i) =>
    texts[kind]
      .replaceAll('FROM', `h${i}`)
      .replaceAll('TO', `h${i + 1}`)
      .replaceAll('@', `${i}`),
  );
  return modelOf(`${start}${lines.join('')}\nlogits = MatMul(h${kinds.length}, head)`, {
    inputs: { ids: ['batch', 'tokens'], condition: ['batch', 1, 8] },
    types: { ids: 7 },
    outputs: ['logits'],
    integers: { 0: 0, 1: 1, 2: 2 },
    weights: {
      table: [20, 8],
      square: [8, 8],
      up: [8, 32],
      down: [32, 8],
      kernel: [8, 8, 3, 1],
      head: [8, 20],
      one: [],
      few: [4, 4],
      scale: [8],
    },
  });
}

/** What a block of most models adds. */
export const block = ['attention', 'mlp'] as const;

/** h_0 … h_L, and what is said to be missing. */
export const foundIn = (...kinds: readonly Added[]) => {
  const { embedding, blocks, missing } = recognise(stackOf(kinds));
  return { points: [embedding, ...blocks.map(({ residPost }) => residPost)], missing: missing.map(({ part }) => part) };
};
