/** Where blocks begin and end in graphs that no fixture has. */
import { describe, expect, it } from 'vitest';
import { recognise } from '../../../src/anatomy/recognise.js';
import { nodesOf } from '../../support/graph.js';
import { type Added, block, foundIn, stackOf } from '../../support/stack.js';

describe('the first block begins before what h_0 is mixed with', () => {
  it('where all blocks mix it with the like', () => {
    expect(foundIn('injection', ...block, 'injection', ...block, 'injection', ...block)).toEqual({
      points: ['h0', 'h3', 'h6', 'h9'],
      missing: [],
    });
  });

  it('said to be uncertain where only some do', () => {
    expect(foundIn('injection', ...block, ...block, 'injection', ...block)).toEqual({
      points: ['h0', 'h3', 'h5', 'h8'],
      missing: ['where the first block begins, with certainty'],
    });
  });

  it('not where no other does, or what is mixed in is made of h_0 as it is after that', () => {
    expect(foundIn('injection', ...block, ...block)).toEqual({ points: ['h1', 'h3', 'h5'], missing: [] });
    expect(foundIn(...block, 'injection', ...block)).toEqual({ points: ['h0', 'h2', 'h5'], missing: [] });
  });
});

describe('the last block ends before additions that are the head’s', () => {
  it('behind a norm that no block ends with', () => {
    const missing = ['a final norm that the unembedding reads'];
    expect(foundIn(...block, ...block, 'norm', 'mlp')).toEqual({ points: ['h0', 'h2', 'h4'], missing });
    expect(foundIn(...block, ...block, 'norm', 'mlp', 'mlp')).toEqual({ points: ['h0', 'h2', 'h4'], missing });
    expect(foundIn(...block, 'norm', 'mlp')).toEqual({ points: ['h0', 'h2'], missing });
  });

  it('said to be uncertain where nothing but the other blocks tells', () => {
    expect(foundIn(...block, ...block, 'mlp')).toEqual({
      points: ['h0', 'h2', 'h4'],
      missing: ['where the last block ends, with certainty'],
    });
  });

  it('not where other blocks end so too', () => {
    expect(foundIn(...block, 'mlp', ...block, ...block, 'mlp').points).toEqual(['h0', 'h3', 'h5', 'h8']);
    expect(foundIn(...block, 'norm', ...block, 'norm', ...block, 'norm').points).toEqual(['h0', 'h3', 'h6', 'h9']);
  });
});

describe('where blocks end', () => {
  const missing = (...kinds: readonly Added[]) => recognise(stackOf(kinds)).missing;

  it('is said to be uncertain where some have an MLP and others have none or several', () => {
    const part = 'where blocks end, with certainty';
    const ofParts = missing('attention', ...block, ...block, 'attention');
    expect(ofParts.find((one) => one.part === part)?.why).toMatch(
      /blocks 1, 4 have no MLP and blocks 2–3 have one MLP;.* has 6 layers/,
    );
    expect(missing(...block, 'mlp', ...block, ...block).map((one) => one.part)).toContain(part);
  });

  it('is where a convolution stands between two of them', () => {
    const found = foundIn(...block, 'convolution', ...block);
    expect(found.points).toEqual(['h0', 'h3', 'h5']);
    expect(found.missing).toContain('where block 1 ends, with certainty');
    expect(foundIn(...block, 'convolution', ...block, 'convolution').missing.join()).not.toContain('ends');
  });

  it('is not where the last block alone differs, or none', () => {
    expect(missing(...block, ...block, 'attention').map(({ part }) => part)).toEqual(['MLP intermediate of block 3']);
    expect(missing(...block, 'mlp', ...block, 'mlp').map(({ part }) => part)).toEqual([
      'a further MLP of all 2 blocks',
    ]);
  });
});

describe('a block begins', () => {
  const points = (...kinds: Parameters<typeof stackOf>[0]) => {
    const { embedding, blocks } = recognise(stackOf(kinds));
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

  it('behind what norms the stream, where half a block follows the last one', () => {
    const layer = ['mlp', ...block, 'norm'] as const;
    expect(points(...layer, ...layer, 'mlp')).toEqual(['h0', 'h4', 'h8']);
  });

  it('not in the counting of positions, whose rows are added to the stream', () => {
    // Lengths halved and rounded down twice, as an exporter writes it: differences of what is above both of their terms.
    const halved = (from: string, to: string) => `
      rest${to} = Mod(${from}, 2)
      odd${to} = Equal(rest${to}, 1)
      below${to} = Less(${from}, 0)
      both${to} = And(below${to}, odd${to})
      carry${to} = Cast(both${to}) to=7
      half${to} = Div(${from}, 2)
      ${to} = Sub(half${to}, carry${to})`;
    const start = `n = ReduceSum(ids)${halved('n', 'a')}${halved('a', 'b')}
      row = Gather(table, b)
      h0 = Add(condition, row)`;
    expect(recognise(stackOf([...block, ...block], { start })).embedding).toBe('h0');
  });

  it('with its attention, after an MLP that belongs to the embedding', () => {
    expect(points('mlp', 'attention', 'mlp', 'attention', 'mlp')).toEqual(['h1', 'h3', 'h5']);
  });

  it('and its MLP is the one after its attention, its middle between the two', () => {
    const [block] = recognise(stackOf(['mlp', 'attention', 'mlp', 'mlp', 'attention', 'mlp'])).blocks;
    expect(block).toMatchObject({ residMid: 'h2', mlpIntermediate: 'i2' });
  });
});

describe('a block begins with a recurrence that is written out', () => {
  it.each(['recurrence', 'running sum'] as const)('a %s, with an MLP after it or not, after attention too', (kind) => {
    expect(foundIn(kind, 'mlp', ...block, kind, 'mlp').points).toEqual(['h0', 'h2', 'h4', 'h6']);
    expect(foundIn(kind, kind, 'attention', kind).points).toEqual(['h0', 'h1', 'h2', 'h3', 'h4']);
  });

  it('which pieces side by side are not', () => {
    expect(foundIn('attention', 'pieces', 'attention', 'pieces').points).toEqual(['h0', 'h2', 'h4']);
  });
});

describe('a block is the sum of its parts', () => {
  const additive = (model: Parameters<typeof recognise>[0]) => recognise(model).blocks.map((block) => block.additive);

  it('where attention and MLP are added to the stream and nothing else happens to it', () => {
    expect(additive(stackOf(['attention', 'mlp', 'attention', 'mlp']))).toEqual([true, true]);
    expect(additive(stackOf(['attention', 'attention']))).toEqual([true, true]);
  });

  it('not where the stream is scaled before it is added to', () => {
    const model = stackOf(['attention', 'mlp', 'attention', 'mlp']);
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
    expect(additive(stackOf(['mlp', 'attention', 'mlp', 'mlp', 'attention', 'mlp']))).toEqual([false, false]);
    const model = stackOf(['attention', 'mlp', 'attention', 'mlp']);
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
