/** New names, and names within scopes. */
import { describe, expect, it } from 'vitest';
import type { Graph, Node } from '../../../src/onnx/model.js';
import { Names, renamed } from '../../../src/onnx/rename.js';
import { captures, GraphError, inputsOf, ordered } from '../../../src/onnx/scope.js';
import { graphOf } from '../../support/graph.js';

/** `text` with its first `If` having this branch. */
function branched(text: string, branch: Graph): Graph {
  const graph = graphOf(text, { inputs: { x: [1], flag: [] }, outputs: ['y'] });
  const nodes = graph.nodes.map((node) =>
    node.op === 'If'
      ? { ...node, attributes: new Map([['then_branch', { kind: 'graph', value: branch } as const]]) }
      : node,
  );
  return { ...graph, nodes };
}

const branch = graphOf('inner = Add(h, own)\n out = Mul(inner, x)', { outputs: ['out'], weights: { own: [1] } });
const graph = branched('h = Relu(x)\n y = If(flag)', branch);
const [conditional = nothing()] = graph.nodes.filter(({ op }) => op === 'If');

function nothing(): Node {
  throw new Error('there is no If');
}

describe('new names', () => {
  it('are those that no scope has', () => {
    const names = new Names(graph);
    expect(names.fresh('z')).toBe('z');
    expect(names.fresh('z')).toBe('z#1');
    // An inner scope would capture it.
    expect(names.fresh('inner')).toBe('inner#1');
    expect(names.fresh('h')).toBe('h#1');
    expect(names.fresh('h#1')).toBe('h#1#1');
  });

  it('may be those of an inner scope where it is taken apart', () => {
    const names = new Names(graph);
    expect(names.claim('inner')).toBe('inner');
    expect(names.claim('inner')).toBe('inner#1');
    expect(names.claim('x')).toBe('x#1');
  });
});

describe('what a branch reads of the graph around it', () => {
  it('is read by its node', () => {
    expect(captures(branch)).toEqual(['h', 'x']);
    expect(inputsOf(conditional)).toEqual(['flag', 'h', 'x']);
  });

  it('is renamed with it, and what the branch calls so itself is not', () => {
    const other = renamed(conditional, (name) => `${name}!`);
    expect(inputsOf(other)).toEqual(['flag!', 'h!', 'x!']);
    const inside = other.attributes.get('then_branch');
    const nodes = inside?.kind === 'graph' ? inside.value.nodes : [];
    expect(nodes.map(({ inputs, outputs }) => [inputs, outputs])).toEqual([
      [['h!', 'own'], ['inner']],
      [['inner', 'x!'], ['out']],
    ]);
  });
});

describe('an order in which nodes can run', () => {
  const lines = (given: Graph) => given.nodes.map(({ outputs }) => outputs[0]);

  it("is the file's own where that works", () => {
    expect(ordered(graph)).toBe(graph);
  });

  it('has what a branch captures before its node', () => {
    expect(lines(ordered(branched('y = If(flag)\n h = Relu(x)', branch)))).toEqual(['h', 'y']);
  });

  it.each([
    ['a circle', 'a = Add(x, b)\n b = Relu(a)\n y = Relu(b)', 'depends on its own output'],
    ['a value with two sources', 'y = Relu(x)\n y = Neg(x)', 'two sources make the value "y"'],
    ['a value with none', 'y = Add(x, z)', 'reads "z", which nothing makes'],
    ['an output with none', 'z = Relu(x)', 'nothing makes the output "y"'],
  ])('is refused for %s', (_, text, message) => {
    const broken = graphOf(text, { inputs: { x: [1] }, outputs: ['y'] });
    expect(() => ordered(broken)).toThrow(GraphError);
    expect(() => ordered(broken)).toThrow(message);
  });
});
