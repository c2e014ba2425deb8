/** What is recognised of graphs that no fixture has. */
import { describe, expect, it } from 'vitest';
import { recognise } from '../../../src/anatomy/recognise.js';
import { streamsOf } from '../../../src/anatomy/streams.js';
import { attentionLines, modelOf, nodesOf } from '../../support/graph.js';
import { stackOf } from '../../support/stack.js';

/** A decoder that attends to `states` after its tokens; `attend` writes an attention of queries, keys and values. */
function decoder(attend: (q: string, k: string, v: string, to: string) => string, queries = false) {
  const site = (at: string, from: string, keys: string, to: string) => `
    ${at}/q = MatMul(${from}, square)
    ${at}/k = MatMul(${keys}, square)
    ${at}/v = MatMul(${keys}, square)
    ${attend(`${at}/q`, `${at}/k`, `${at}/v`, `${at}/mixed`)}
    ${at}/projected = MatMul(${at}/mixed, square)
    ${to} = Add(${from}, ${at}/projected)`;
  const block = (n: number) => `
    ${site(`self${n}`, `h${n - 1}`, `h${n - 1}`, `self${n}/sum`)}
    ${site(`cross${n}`, `self${n}/sum`, 'states', `cross${n}/sum`)}
    up${n} = MatMul(cross${n}/sum, up)
    inner${n} = Relu(up${n})
    down${n} = MatMul(inner${n}, down)
    h${n} = Add(cross${n}/sum, down${n})`;
  const start = queries ? '' : 'h0 = Gather(table, ids)';
  return modelOf(`${start} ${block(1)} ${block(2)}\nlogits = MatMul(h2, head)`, {
    inputs: queries ? { states: [1, 6, 8] } : { ids: ['batch', 'tokens'], states: ['batch', 'frames', 8] },
    types: { ids: 7 },
    outputs: ['logits'],
    weights: {
      ...(queries && { h0: [1, 3, 8] }),
      table: [20, 8],
      square: [8, 8],
      up: [8, 32],
      down: [32, 8],
      head: [8, 20],
    },
  });
}

const byProducts = (q: string, k: string, v: string, to: string) => `
  ${to}/t = Transpose(${k}) perm=0,2,1
  ${to}/s = MatMul(${q}, ${to}/t)
  ${to}/p = Softmax(${to}/s)
  ${to} = MatMul(${to}/p, ${v})`;

it('learned queries of a file of fixed shapes begin the stream, though they attend before anything is read', () => {
  const [{ anatomy }] = streamsOf(decoder(byProducts, true));
  expect(anatomy.embedding).toBe('h0/queries');
  expect(anatomy.blocks.map(({ residMid, residPost }) => [residMid, residPost])).toEqual([
    ['self1/sum', 'h1'],
    ['self2/sum', 'h2'],
  ]);
  expect(anatomy.blocks.map(({ attention, cross }) => [attention?.output, cross?.output])).toEqual([
    ['self1/projected', 'cross1/projected'],
    ['self2/projected', 'cross2/projected'],
  ]);
});

it('a convolution that is added before each attention belongs to the block that begins with it', () => {
  const block = (n: number) => `
    near${n} = Conv(h${n - 1}, taps) kernel_shape=3,1
    c${n} = Add(h${n - 1}, near${n})
    ${attentionLines.replaceAll(/\b(q|k|v|keys|raw|pattern|mixed|projected|h1)\b/g, `$1_${n}`).replaceAll('h0', `c${n}`)}
    up${n} = MatMul(h1_${n}, up)
    inner${n} = Relu(up${n})
    down${n} = MatMul(inner${n}, down)
    h${n} = Add(h1_${n}, down${n})`;
  const model = modelOf(`h0 = Gather(table, ids) ${block(1)} ${block(2)}\nlogits = MatMul(h2, head)`, {
    inputs: { ids: ['batch', 'tokens'] },
    types: { ids: 7 },
    outputs: ['logits'],
    weights: { table: [20, 8], square: [8, 8], taps: [8, 8, 3, 1], up: [8, 32], down: [32, 8], head: [8, 20] },
  });
  const { embedding, blocks } = recognise(model);
  expect([embedding, ...blocks.map(({ residPost }) => residPost)]).toEqual(['h0', 'h1', 'h2']);
});

describe('attention to an encoder is a part of the block that it is in', () => {
  it.each([
    ['as products and a softmax', decoder(byProducts)],
    [
      'as one operator',
      decoder((q, k, v, to) => `${to} = com.microsoft.MultiHeadAttention(${q}, ${k}, ${v}) num_heads=2`),
    ],
  ])('%s', (_, model) => {
    const { layers, blocks, missing, parallelBlock } = recognise(model);
    expect({ layers, parallelBlock }).toEqual({ layers: 2, parallelBlock: false });
    expect(blocks.map(({ residMid, residPost }) => [residMid, residPost])).toEqual([
      ['self1/sum', 'h1'],
      ['self2/sum', 'h2'],
    ]);
    expect(missing).toEqual([]);
    expect(blocks.map(({ attention, cross }) => [attention?.output, cross?.output])).toEqual([
      ['self1/projected', 'cross1/projected'],
      ['self2/projected', 'cross2/projected'],
    ]);
  });
});

it('columns are tokens from the first sum on where h_0 alone has rows for them', () => {
  // As ONNX Runtime saves a file: what it can, it multiplies by a turned h_0 in place.
  const block = (n: number, from: string, turned: string) => `
    q${n} = ${turned}
    k${n} = ${turned}
    v${n} = ${turned}
    rows${n} = Transpose(q${n}) perm=0,2,1
    s${n} = MatMul(rows${n}, k${n})
    p${n} = Softmax(s${n})
    turned${n} = Transpose(p${n}) perm=0,2,1
    w${n} = MatMul(v${n}, turned${n})
    o${n} = MatMul(square, w${n})
    mid${n} = Add(${from}, o${n})
    up${n} = MatMul(up, mid${n})
    inner${n} = Relu(up${n})
    down${n} = MatMul(down, inner${n})
    h${n} = Add(mid${n}, down${n})`;
  const model = modelOf(
    `h0 = Gather(table, ids)
     t = Transpose(h0) perm=0,2,1
     ${block(1, 't', 'com.microsoft.FusedMatMul(square, h0) transB=1')}
     ${block(2, 'h1', 'MatMul(square, h1)')}
     logits = MatMul(head, h2)`,
    {
      inputs: { ids: [1, 6] },
      types: { ids: 7 },
      outputs: ['logits'],
      weights: { table: [20, 8], square: [8, 8], up: [32, 8], down: [8, 32], head: [20, 8] },
    },
  );
  const { embedding, blocks, turns } = recognise(model);
  expect([embedding, ...blocks.map(({ residPost }) => residPost)]).toEqual(['h0', 'h1', 'h2']);
  expect(turns).toEqual(
    expect.arrayContaining(['mid1', 'h1', 'mid2', 'h2'].map((value) => ({ value, axis: 1, rank: 3 }))),
  );
  expect(turns.map(({ value }) => value)).not.toContain('h0');
});

it('tokens that a block picks by what it computes of them are told, those that are picked by an input are not', () => {
  const missing = (places: string) => {
    const model = modelOf(
      `all = Gather(table, ids)
       ${places}
       h0 = GatherElements(all, places) axis=1
       ${attentionLines}
       logits = MatMul(h1, head)`,
      {
        inputs: { ids: ['batch', 'tokens'], noise: ['batch', 'tokens'] },
        types: { ids: 7 },
        outputs: ['logits'],
        integers: { count: [6] },
        weights: { table: [20, 8], square: [8, 8], head: [8, 20], router: [8, 1] },
      },
    );
    return recognise(model).missing.map(({ part }) => part);
  };
  const part = 'a row of each token of the only block';
  expect(missing('score = MatMul(all, router)\nbest, places = TopK(score, count) axis=1')).toContain(part);
  expect(missing('best, places = TopK(noise, count) axis=1')).not.toContain(part);
});

describe('a pattern is said to be none over tokens', () => {
  const missing = (keys: string) => {
    const lines = `h0 = Gather(table, ids)
      q = MatMul(h0, square)
      ${keys}
      s = MatMul(q, kt)
      p = Softmax(s)
      mixed = MatMul(p, v)
      out = MatMul(mixed, square)
      mid = Add(h0, out)
      wide = MatMul(mid, up)
      inner = Relu(wide)
      mlp = MatMul(inner, down)
      h1 = Add(mid, mlp)
      logits = MatMul(h1, head)`;
    const weights = { table: [20, 8], square: [8, 8], low: [8, 3], high: [3, 8], few: [6, 3], taps: [8, 8, 2, 1] };
    const model = modelOf(lines, {
      inputs: { ids: [1, 6] },
      types: { ids: 7 },
      outputs: ['logits'],
      weights: { ...weights, up: [8, 32], down: [32, 8], head: [8, 20] },
    });
    return recognise(model).missing.map(({ part, why }) => `${part}: ${why}`);
  };
  const part = 'attention pattern over tokens of the only block';

  it('where a product along the sequence makes its keys', () => {
    const values =
      'v0 = MatMul(h0, square)\nv1 = Transpose(v0) perm=0,2,1\nv2 = MatMul(v1, few)\nv = Transpose(v2) perm=0,2,1';
    expect(
      missing(`k = MatMul(h0, square)\nk1 = Transpose(k) perm=0,2,1\nkt = MatMul(k1, few)\n${values}`),
    ).toContainEqual(expect.stringMatching(new RegExp(`^${part}: .*3 keys of 6 tokens`)));
  });

  it('where a convolution with strides does', () => {
    const few =
      'x = Transpose(h0) perm=0,2,1\nc = Conv(x, taps) kernel_shape=2,1 strides=2,1\ny = Transpose(c) perm=0,2,1';
    expect(
      missing(`${few}\nk = MatMul(y, square)\nv = MatMul(y, square)\nkt = Transpose(k) perm=0,2,1`),
    ).toContainEqual(expect.stringMatching(new RegExp(`^${part}: a convolution with strides`)));
  });

  it('not where keys are made by two products with few dims between', () => {
    const keys = 'k1 = MatMul(h0, low)\nk = MatMul(k1, high)\nv = MatMul(h0, square)\nkt = Transpose(k) perm=0,2,1';
    expect(missing(keys)).toEqual([]);
    const turned = 'k1 = MatMul(h0, square)\nk = MatMul(k1, low)\nkt = Transpose(k) perm=0,2,1\nv = MatMul(h0, square)';
    expect(missing(turned).filter((one) => one.startsWith(part))).toEqual([]);
  });
});

describe('values are weighed', () => {
  it.each([
    ['by a sigmoid', 'p@ = Sigmoid(s@)', 'elementwise'],
    ['by a squared ReLU', 'r@ = Relu(s@)\n p@ = Mul(r@, r@)', 'elementwise'],
    ['by the exponential of a LogSoftmax', 'l@ = LogSoftmax(s@)\n p@ = Exp(l@)', 'softmax'],
    [
      'by a rectified softmax (softpick)',
      `m@ = ReduceMax(s@)
       c@ = Sub(s@, m@)
       e@ = Exp(c@)
       f@ = Sub(e@, one)
       r@ = Relu(f@)
       a@ = Abs(f@)
       n@ = ReduceSum(a@)
       g@ = Add(n@, one)
       p@ = Div(r@, g@)`,
      'other',
    ],
    ['after heads are mixed', 'x@ = Softmax(s@)\n p@ = MatMul(few, x@)', 'other'],
    ['after the scores of heads are mixed', 'x@ = MatMul(few, s@)\n p@ = Softmax(x@)', 'softmax'],
    ['by the largest scores', 'x@, y@ = TopK(s@, few)\n z@ = ScatterElements(s@, y@, x@)\n p@ = Softmax(z@)', 'other'],
  ])('%s', (_, weights, weighting) => {
    const { blocks, missing } = recognise(stackOf(['attention', 'mlp'], { weights }));
    expect(blocks[0]?.attention).toMatchObject({ pattern: { tensor: 'p0' }, weighting });
    expect(missing.map(({ part }) => part)).toEqual(weighting === 'softmax' ? [] : ['softmax of the only block']);
  });

  it('after heads are mixed by what the tokens make of them', () => {
    const weights = `
      x@ = Softmax(s@)
      c@ = MatMul(FROM, few)
      y@ = MatMul(c@, x@)
      p@ = Add(x@, y@)`;
    const { blocks } = recognise(stackOf(['attention', 'mlp'], { weights }));
    expect(blocks[0]?.attention).toMatchObject({ pattern: { tensor: 'p0' }, weighting: 'other' });
  });

  it('by scores that are no function of products, as in linear attention, is no attention', () => {
    expect(
      recognise(stackOf(['attention', 'mlp'], { weights: 'p@ = Mul(s@, one)' })).blocks[0]?.attention,
    ).toBeUndefined();
  });

  it('with a division put off', () => {
    const model = stackOf(['attention', 'mlp'], { weights: 'p@ = Exp(s@)' });
    const nodes = model.graph.nodes.flatMap((node) =>
      node.outputs[0] === 'o0'
        ? [...nodesOf('n = ReduceSum(p0)\n x = Div(w0, n)'), { ...node, inputs: ['x', 'square'] }]
        : [node],
    );
    const { blocks } = recognise({ ...model, graph: { ...model.graph, nodes } });
    expect(blocks[0]?.attention?.pattern).toMatchObject({ parts: [{ tensor: 'p0', divisor: 'n' }] });
  });
});

describe('an MLP intermediate is what the last product multiplies', () => {
  it.each([
    [
      'behind a gate that a condition makes',
      'a@ = MatMul(condition, square)\n b@ = MatMul(i@, down)\n d@ = Mul(a@, b@)',
    ],
    [
      'behind a gate that the stream makes',
      'a@ = MatMul(FROM, square)\n g@ = Sigmoid(a@)\n b@ = MatMul(i@, down)\n d@ = Mul(b@, g@)',
    ],
    ['in a step towards a result', 'b@ = MatMul(i@, down)\n c@ = Sub(b@, FROM)\n d@ = Mul(c@, one)'],
  ])('%s', (_, down) => {
    const { blocks, missing } = recognise(stackOf(['attention', 'mlp', 'attention', 'mlp'], { down }));
    expect(blocks.map(({ mlpIntermediate }) => mlpIntermediate)).toEqual(['i1', 'i3']);
    expect(missing).toEqual([]);
  });
});

it('says that halves of one stream are shown as one', () => {
  const model = stackOf(['attention', 'mlp']);
  const nodes = [...nodesOf('twice = Concat(h0, h0)'), ...model.graph.nodes].map((node) =>
    node.outputs[0] === 'twice' ? node : { ...node, inputs: node.inputs.map((x) => (x === 'h0' ? 'twice' : x)) },
  );
  expect(recognise({ ...model, graph: { ...model.graph, nodes } }).missing.map(({ part }) => part)).toContain(
    'parts of the residual stream',
  );
});
