import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cachesOf } from '../../../src/anatomy/caches.js';
import { streamsOf } from '../../../src/anatomy/streams.js';
import { prepare } from '../../../src/onnx/prepare.js';
import { readModel } from '../../../src/onnx/read.js';
import { root } from '../../support/files.js';

const fixture = join(root, 'test/zoo/fixtures/gpt2-optimum-past/model.onnx');
const [{ model, anatomy }] = streamsOf(prepare(readModel(fixture)));
const name = 'past_key_values.1.key';

describe('caches of a model', () => {
  it('are fed what is given of each, which is longer by the new tokens', () => {
    const found = cachesOf(model, anatomy);
    if ('why' in found) throw new Error(found.why);
    expect(found.pairs).toHaveLength(6);
    for (const { form, axis } of found.pairs) expect([form, axis]).toEqual(['grows', 2]);
  });

  it('are added to where that is all that becomes of them', () => {
    const joins = (inputs: readonly string[]) =>
      model.graph.nodes.map((node) => (node.op === 'Concat' && node.inputs[0] === name ? { ...node, inputs } : node));
    const addedOf = (nodes = model.graph.nodes) => {
      const found = cachesOf({ ...model, graph: { ...model.graph, nodes } }, anatomy);
      return 'why' in found ? found.why : found.pairs.find(({ input }) => input === name)?.added;
    };
    const [added = ''] = model.graph.nodes.flatMap(({ op, inputs }) =>
      op === 'Concat' && inputs[0] === name ? inputs.slice(1) : [],
    );
    expect(addedOf()).toBe(added);
    expect(addedOf(joins([name, added, added]))).toBeUndefined();
    expect(addedOf(joins([added, name]))).toBeUndefined();
  });

  it('are named where their shape cannot be told', () => {
    const inputs = anatomy.inputs.map((input) =>
      input.name === name ? { ...input, shape: [null, null, null, null], extents: [] } : input,
    );
    expect(cachesOf(model, { inputs })).toEqual({
      why: `the shape of its cache input "${name}" cannot be told: axis 0 may be anything`,
    });
  });

  it('are named where nothing tells what becomes of them', () => {
    const nodes = model.graph.nodes.map((node) => (node.inputs.includes(name) ? { ...node, op: 'Max' } : node));
    expect(cachesOf({ ...model, graph: { ...model.graph, nodes } }, anatomy)).toEqual({
      why: `what becomes of its cache input "${name}" is not given by the graph`,
    });
  });
});
