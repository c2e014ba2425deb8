/** What is recognised of graphs that no fixture has. */
import { describe, expect, it } from 'vitest';
import { recognise } from '../../../src/anatomy/recognise.js';
import { streamsOf } from '../../../src/anatomy/streams.js';
import { attentionLines, modelOf, nodesOf } from '../../support/graph.js';

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

/** Nodes from the scores `s` to the weights `p`, with `@` behind each name; `one` and `few` are constants. */
const softmax = 'p@ = Softmax(s@)';

type Kind = 'attention' | 'mlp' | 'injection' | 'norm' | 'recurrence' | 'running sum' | 'pieces';

/** A stack of additions, each of an attention, an MLP or what h0 makes (or norms), that begins at h0 and ends at h<n>. */
function stack(kinds: readonly Kind[], { weights = softmax, down = 'd@ = MatMul(i@, down)' } = {}) {
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
  const mixing = { recurrence: steps('a@, e@, g@'), pieces: steps('a@, b@, c@'), 'running sum': running };
  const texts = { attention, mlp, injection, ...mixing, norm: '\nTO = LayerNormalization(FROM, scale)' };
  const lines = kinds.map((kind, i) =>
    texts[kind]
      .replaceAll('FROM', `h${i}`)
      .replaceAll('TO', `h${i + 1}`)
      .replaceAll('@', `${i}`),
  );
  return modelOf(`h0 = Gather(table, ids)${lines.join('')}\nlogits = MatMul(h${kinds.length}, head)`, {
    inputs: { ids: ['batch', 'tokens'], condition: ['batch', 1, 8] },
    types: { ids: 7 },
    outputs: ['logits'],
    integers: { 0: 0, 1: 1, 2: 2 },
    weights: {
      table: [20, 8],
      square: [8, 8],
      up: [8, 32],
      down: [32, 8],
      head: [8, 20],
      one: [],
      few: [4, 4],
      scale: [8],
    },
  });
}

const block = ['attention', 'mlp'] as const;

/** h_0 … h_L, and what is said to be missing. */
const found = (...kinds: readonly Kind[]) => {
  const { embedding, blocks, missing } = recognise(stack(kinds));
  return { points: [embedding, ...blocks.map(({ residPost }) => residPost)], missing: missing.map(({ part }) => part) };
};

describe('the first block begins before what h_0 is mixed with', () => {
  it('where all blocks mix it with the like', () => {
    expect(found('injection', ...block, 'injection', ...block, 'injection', ...block)).toEqual({
      points: ['h0', 'h3', 'h6', 'h9'],
      missing: [],
    });
  });

  it('said to be uncertain where only some do', () => {
    expect(found('injection', ...block, ...block, 'injection', ...block)).toEqual({
      points: ['h0', 'h3', 'h5', 'h8'],
      missing: ['where the first block begins, with certainty'],
    });
  });

  it('not where no other does, or what is mixed in is made of h_0 as it is after that', () => {
    expect(found('injection', ...block, ...block)).toEqual({ points: ['h1', 'h3', 'h5'], missing: [] });
    expect(found(...block, 'injection', ...block)).toEqual({ points: ['h0', 'h2', 'h5'], missing: [] });
  });
});

describe('the last block ends before additions that are the head’s', () => {
  it('behind a norm that no block ends with', () => {
    const missing = ['a final norm that the unembedding reads'];
    expect(found(...block, ...block, 'norm', 'mlp')).toEqual({ points: ['h0', 'h2', 'h4'], missing });
    expect(found(...block, ...block, 'norm', 'mlp', 'mlp')).toEqual({ points: ['h0', 'h2', 'h4'], missing });
    expect(found(...block, 'norm', 'mlp')).toEqual({ points: ['h0', 'h2'], missing });
  });

  it('said to be uncertain where nothing but the other blocks tells', () => {
    expect(found(...block, ...block, 'mlp')).toEqual({
      points: ['h0', 'h2', 'h4'],
      missing: ['where the last block ends, with certainty'],
    });
  });

  it('not where other blocks end so too', () => {
    expect(found(...block, 'mlp', ...block, ...block, 'mlp').points).toEqual(['h0', 'h3', 'h5', 'h8']);
    expect(found(...block, 'norm', ...block, 'norm', ...block, 'norm').points).toEqual(['h0', 'h3', 'h6', 'h9']);
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

describe('where blocks end', () => {
  const missing = (...kinds: readonly Kind[]) => recognise(stack(kinds)).missing;

  it('is said to be uncertain where some have an MLP and others have none or several', () => {
    const part = 'where blocks end, with certainty';
    const ofParts = missing('attention', ...block, ...block, 'attention');
    expect(ofParts.find((one) => one.part === part)?.why).toMatch(
      /blocks 1, 4 have no MLP and blocks 2–3 have one MLP;.* has 6 layers/,
    );
    expect(missing(...block, 'mlp', ...block, ...block).map((one) => one.part)).toContain(part);
  });

  it('is not where the last block alone differs, or none', () => {
    expect(missing(...block, ...block, 'attention').map(({ part }) => part)).toEqual(['MLP intermediate of block 3']);
    expect(missing(...block, 'mlp', ...block, 'mlp').map(({ part }) => part)).toEqual([
      'a further MLP of all 2 blocks',
    ]);
  });
});

describe('a block begins', () => {
  const points = (...kinds: Parameters<typeof stack>[0]) => {
    const { embedding, blocks } = recognise(stack(kinds));
    return [embedding, ...blocks.map(({ residPost }) => residPost)];
  };

  it('with its attention', () => {
    expect(points('attention', 'mlp', 'attention', 'mlp')).toEqual(['h0', 'h2', 'h4']);
  });

  it('with an MLP where as much stands before the first attention as is missing after the last', () => {
    expect(points('mlp', 'attention', 'mlp', 'mlp', 'attention', 'mlp')).toEqual(['h0', 'h3', 'h6']);
    expect(points('mlp', 'attention', 'mlp', 'attention')).toEqual(['h0', 'h2', 'h4']);
    expect(points('mlp', 'attention', 'mlp')).toEqual(['h0', 'h3']);
  });

  it('with its attention, after an MLP that belongs to the embedding', () => {
    expect(points('mlp', 'attention', 'mlp', 'attention', 'mlp')).toEqual(['h1', 'h3', 'h5']);
  });

  it('and its MLP is the one after its attention, its middle between the two', () => {
    const [block] = recognise(stack(['mlp', 'attention', 'mlp', 'mlp', 'attention', 'mlp'])).blocks;
    expect(block).toMatchObject({ residMid: 'h2', mlpIntermediate: 'i2' });
  });
});

describe('a block begins with a recurrence that is written out', () => {
  it.each(['recurrence', 'running sum'] as const)('a %s, with an MLP after it or not, after attention too', (kind) => {
    expect(found(kind, 'mlp', ...block, kind, 'mlp').points).toEqual(['h0', 'h2', 'h4', 'h6']);
    expect(found(kind, kind, 'attention', kind).points).toEqual(['h0', 'h1', 'h2', 'h3', 'h4']);
  });

  it('which pieces side by side are not', () => {
    expect(found('attention', 'pieces', 'attention', 'pieces').points).toEqual(['h0', 'h2', 'h4']);
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
    const { blocks, missing } = recognise(stack(['attention', 'mlp'], { weights }));
    expect(blocks[0]?.attention).toMatchObject({ pattern: { tensor: 'p0' }, weighting });
    expect(missing.map(({ part }) => part)).toEqual(weighting === 'softmax' ? [] : ['softmax of the only block']);
  });

  it('after heads are mixed by what the tokens make of them', () => {
    const weights = `
      x@ = Softmax(s@)
      c@ = MatMul(FROM, few)
      y@ = MatMul(c@, x@)
      p@ = Add(x@, y@)`;
    const { blocks } = recognise(stack(['attention', 'mlp'], { weights }));
    expect(blocks[0]?.attention).toMatchObject({ pattern: { tensor: 'p0' }, weighting: 'other' });
  });

  it('by scores that are no function of products, as in linear attention, is no attention', () => {
    expect(
      recognise(stack(['attention', 'mlp'], { weights: 'p@ = Mul(s@, one)' })).blocks[0]?.attention,
    ).toBeUndefined();
  });

  it('with a division put off', () => {
    const model = stack(['attention', 'mlp'], { weights: 'p@ = Exp(s@)' });
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
    const { blocks, missing } = recognise(stack(['attention', 'mlp', 'attention', 'mlp'], { down }));
    expect(blocks.map(({ mlpIntermediate }) => mlpIntermediate)).toEqual(['i1', 'i3']);
    expect(missing).toEqual([]);
  });
});

it('says that halves of one stream are shown as one', () => {
  const model = stack(['attention', 'mlp']);
  const nodes = [...nodesOf('twice = Concat(h0, h0)'), ...model.graph.nodes].map((node) =>
    node.outputs[0] === 'twice' ? node : { ...node, inputs: node.inputs.map((x) => (x === 'h0' ? 'twice' : x)) },
  );
  expect(recognise({ ...model, graph: { ...model.graph, nodes } }).missing.map(({ part }) => part)).toContain(
    'parts of the residual stream',
  );
});

describe('a block is the sum of its parts', () => {
  const additive = (model: Parameters<typeof recognise>[0]) => recognise(model).blocks.map((block) => block.additive);

  it('where attention and MLP are added to the stream and nothing else happens to it', () => {
    expect(additive(stack(['attention', 'mlp', 'attention', 'mlp']))).toEqual([true, true]);
    expect(additive(stack(['attention', 'attention']))).toEqual([true, true]);
  });

  it('not where the stream is scaled before it is added to', () => {
    const model = stack(['attention', 'mlp', 'attention', 'mlp']);
    const nodes = model.graph.nodes.flatMap((node) =>
      node.outputs[0] === 'h2'
        ? [
            ...nodesOf('scaled = Mul(h1, one)'),
            { ...node, inputs: node.inputs.map((x) => (x === 'h1' ? 'scaled' : x)) },
          ]
        : [node],
    );
    expect(additive({ ...model, graph: { ...model.graph, nodes } })).toEqual([false, true]);
  });

  it('not where there is a further MLP, a branch is subtracted, or the stream is scaled between', () => {
    expect(additive(stack(['mlp', 'attention', 'mlp', 'mlp', 'attention', 'mlp']))).toEqual([false, false]);
    const model = stack(['attention', 'mlp', 'attention', 'mlp']);
    const changed = (change: (node: (typeof model.graph.nodes)[number]) => typeof model.graph.nodes) =>
      additive({ ...model, graph: { ...model.graph, nodes: model.graph.nodes.flatMap(change) } });
    expect(changed((node) => (node.outputs[0] === 'h1' ? [{ ...node, op: 'Sub' }] : [node]))).toEqual([false, true]);
    expect(
      changed((node) =>
        node.outputs[0] === 'h2' ? [{ ...node, outputs: ['sum'] }, ...nodesOf('h2 = Mul(sum, one)')] : [node],
      ),
    ).toEqual([false, true]);
  });
});
