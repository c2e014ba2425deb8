/** What is followed of a mixture's routing, and what is not taken for one. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { recognise } from '../../../src/anatomy/recognise.js';
import { prepare } from '../../../src/onnx/prepare.js';
import { readModel } from '../../../src/onnx/read.js';
import { folders } from '../../zoo/known.js';

function anatomyOf(name: string) {
  const folder = folders.find((one) => one.endsWith(name)) ?? name;
  return recognise(prepare(readModel(join(folder, 'model.onnx'))));
}

const routings = (name: string) => anatomyOf(name).blocks.map(({ routing }) => routing);
const said = (name: string) => anatomyOf(name).missing.filter(({ part }) => /routing|intermediate/.test(part));

describe('the routing of mixtures of experts', () => {
  it.each([
    ['mixtral-dynamo-op18', { experts: 4, chosen: 2, multiplies: 'outputs', shared: false }],
    [
      'experts-qwen2_moe-ts-op17',
      { experts: 5, chosen: 2, multiplies: 'outputs', shared: true, intermediate: undefined },
    ],
    ['experts-loop-dynamo-op18', { experts: 5, chosen: 2, from: { scores: { kind: 'softmax' } } }],
    ['experts-einsum-ts-op17', { experts: 5, chosen: 2, from: { scores: { kind: 'sigmoid' } } }],
    ['experts-scattered-ts-op17', { experts: 5, chosen: 2, from: { ofAll: true, scores: undefined } }],
    ['experts-largest-ts-op17', { experts: 5, chosen: 1, shared: true }],
    ['experts-inputs-ts-op17', { experts: 5, chosen: 2, multiplies: 'inputs', intermediate: { ofAll: true } }],
    ['experts-phimoe-ts-op17', { experts: 5, chosen: 2 }],
    ['experts-qmoe-int8-ts-op17', { experts: 5, chosen: 2, from: { operator: { op: 'QMoE' } } }],
  ])('%s', (name, facts) => {
    for (const routing of routings(name)) expect(routing).toMatchObject(facts);
  });

  it('is of the blocks that have experts', () => {
    expect(routings('experts-deepseek_v3-batched-ts-op17').map((routing) => routing?.experts)).toEqual([undefined, 6]);
  });

  it('is said to be unknown where experts choose tokens', () => {
    expect(routings('experts-by-token-dynamo-op18')).toEqual([undefined, undefined]);
    expect(said('experts-by-token-dynamo-op18')).toContainEqual({
      part: 'routing of all 2 blocks',
      why: 'what it chooses among are not the scores of experts for each token, as where experts choose tokens',
    });
  });

  it('is not seen in an MLP of which the largest activations count', () => {
    expect(routings('experts-units-ts-op17')).toEqual([undefined, undefined]);
    expect(said('experts-units-ts-op17')).toEqual([]);
  });

  it('says where the chosen experts’ intermediates cannot be had', () => {
    expect(said('experts-qwen2_moe-ts-op17')).toContainEqual(
      expect.objectContaining({ part: 'intermediates of the chosen experts of all 2 blocks' }),
    );
    expect(said('experts-moe-ts-op17')).toContainEqual({
      part: 'intermediates of the chosen experts of all 2 blocks',
      why: 'they stay inside its operator',
    });
  });
});
