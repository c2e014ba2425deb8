/** What looking for the residual stream costs, counted in questions to the graph: so many for a node, however long it is. */
import { expect, it } from 'vitest';
import { type Flow, flowOf } from '../../../src/anatomy/flow.js';
import { residualStreams } from '../../../src/anatomy/residual.js';
import { modelOf } from '../../support/graph.js';

const chains: Readonly<Record<string, (i: number) => string>> = {
  'of sums with a constant': (i) => `v${i + 1} = Add(v${i}, bias)`,
  'of sums with the input': (i) => `v${i + 1} = Add(v${i}, z)`,
  'of sums with what it began with': (i) => `v${i + 1} = Add(v${i}, v0)`,
  'of sums with the one before': (i) => `v${i + 1} = Add(v${i}, v${Math.max(0, i - 1)})`,
  'of sums with what was there half as long ago': (i) => `v${i + 1} = Add(v${i}, v${Math.floor(i / 2)})`,
  'of products that are added to the input': (i) => `m${i} = MatMul(v${i}, w)\nv${i + 1} = Add(v0, m${i})`,
  'of products of the input that are added up': (i) => `m${i} = MatMul(v0, w)\nv${i + 1} = Add(v${i}, m${i})`,
  'of products, each with an addition of its own': (i) =>
    `q${i} = MatMul(v${i}, w)\nm${i} = MatMul(q${i}, w)\ns${i} = Add(q${i}, m${i})\nv${i + 1} = MatMul(s${i}, w)`,
};

/** Questions per node while the stream of a chain of about so many nodes is looked for. */
function questions(link: (i: number) => string, nodes: number): number {
  const count = Math.ceil(nodes / link(0).split('\n').length);
  const text = Array.from({ length: count }, (_, i) => link(i)).join('\n');
  const parts = { inputs: { v0: ['tokens', 8], z: ['tokens', 8] }, weights: { w: [8, 8], bias: [8] } };
  const flow = flowOf(modelOf(text, { ...parts, outputs: [`v${count}`] }));
  let asked = 0;
  const counted = <T extends unknown[], R>(ask: (...parts: T) => R) => {
    return (...given: T) => {
      asked++;
      return ask(...given);
    };
  };
  const watched: Flow = {
    ...flow,
    reads: counted(flow.reads),
    producer: counted(flow.producer),
    consumers: counted(flow.consumers),
    depth: counted(flow.depth),
  };
  residualStreams(watched);
  return asked / flow.model.graph.nodes.length;
}

it.each(Object.entries(chains))('%s: no more for a node of a chain four times as long', (_, link) => {
  const [short, long] = [questions(link, 1500), questions(link, 6000)];
  expect(long).toBeLessThan(1.5 * short + 5);
  expect(long).toBeLessThan(2000);
});
