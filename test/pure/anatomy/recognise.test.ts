/** What is recognised of graphs that no fixture has. */
import { describe, expect, it } from 'vitest';
import { recognise } from '../../../src/anatomy/recognise.js';
import { modelOf } from '../../support/graph.js';

/** A decoder that attends to `states` after its tokens; `attend` writes an attention of queries, keys and values. */
function decoder(attend: (q: string, k: string, v: string, to: string) => string) {
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
  return modelOf(`h0 = Gather(table, ids) ${block(1)} ${block(2)}\nlogits = MatMul(h2, head)`, {
    inputs: { ids: ['batch', 'tokens'], states: ['batch', 'frames', 8] },
    types: { ids: 7 },
    outputs: ['logits'],
    weights: { table: [20, 8], square: [8, 8], up: [8, 32], down: [32, 8], head: [8, 20] },
  });
}

describe('attention to an encoder is a part of the block that it is in', () => {
  it.each([
    [
      'as products and a softmax',
      decoder(
        (q, k, v, to) => `
          ${to}/t = Transpose(${k}) perm=0,2,1
          ${to}/s = MatMul(${q}, ${to}/t)
          ${to}/p = Softmax(${to}/s)
          ${to} = MatMul(${to}/p, ${v})`,
      ),
    ],
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
    expect(missing).toEqual([
      { part: 'cross-attention of all 2 blocks', why: 'it looks at states that are not the tokens shown' },
    ]);
  });
});
