/** Heads that are no vocabulary, and which of several inputs takes the token ids. */
import { describe, expect, it } from 'vitest';
import { recognise } from '../../../src/anatomy/recognise.js';
import { DataType } from '../../../src/onnx/model.js';
import { attentionLines, modelOf } from '../../support/graph.js';

type Shape = readonly (number | string | null)[];
const whole: Shape = ['batch', 'tokens'];

interface Graph {
  /** Lines that make `h0`, of inputs and the tables `table` and `other` (40 rows), `types` (2), `places` (64). */
  readonly start?: string;
  /** Lines that make `out` of `h2`. */
  readonly head?: string;
  readonly inputs?: Readonly<Record<string, Shape>>;
  readonly floats?: readonly string[];
  readonly outputs?: readonly string[];
}

function found({ start = 'h0 = Gather(table, input_ids)', head = 'out = MatMul(h2, two)', ...more }: Graph) {
  const { inputs = { input_ids: whole }, floats = [], outputs = ['out'] } = more;
  const types = Object.keys(inputs).map((name) => [name, floats.includes(name) ? DataType.float : DataType.int64]);
  return recognise(
    modelOf(
      `${start}
       ${attentionLines}
       up = MatMul(h1, wide)
       inner = Relu(up)
       down = MatMul(inner, back)
       h2 = Add(h1, down)
       ${head}`,
      {
        inputs,
        types: Object.fromEntries(types),
        outputs,
        weights: {
          table: [40, 16],
          other: [40, 16],
          types: [2, 16],
          places: [64, 16],
          square: [16, 16],
          wide: [16, 32],
          back: [32, 16],
          one: [16, 1],
          two: [16, 2],
          many: [16, 40],
          nearly: [16, 42],
          scale: [16],
          corner: [64, 16],
        },
        integers: { first: 0, last: 3, ends: [4] },
      },
    ),
  );
}

const roles = (graph: Graph) =>
  Object.fromEntries(found(graph).inputs.map(({ name, role, guessed }) => [name, guessed ? `${role}?` : role]));

describe('the bound of ids is the rows of their table', () => {
  it.each([
    ['one column', 'out = MatMul(h2, one)', undefined],
    ['two', 'out = MatMul(h2, two)', undefined],
    ['as many as rows', 'out = MatMul(h2, many)', 'out'],
    ['as many as rows and what pads them', 'out = MatMul(h2, nearly)', 'out'],
  ])('with a head of %s', (_, head, logits) => {
    const { vocabulary, unembedding, missing } = found({ head });
    expect(vocabulary).toBe(40);
    expect(unembedding?.logits).toBe(logits);
    expect(missing).toEqual([]);
  });
});

it('is that of columns where one matrix serves the tokens and the head', () => {
  const start = 'turned = Transpose(many) perm=1,0\nh0 = Gather(turned, input_ids)';
  const { vocabulary, unembedding } = found({ start, head: 'out = MatMul(h2, many)' });
  expect([vocabulary, unembedding?.logits]).toEqual([40, 'out']);
});

describe('the final norm', () => {
  it('is one where the head reads it, of all tokens or of one', () => {
    expect(found({ head: 'n = LayerNormalization(h2, scale)\nout = MatMul(n, two)' }).finalNorm?.output).toBe('n');
    const one = 'n = LayerNormalization(h2, scale)\nc = Gather(n, first) axis=1\nout = MatMul(c, two)';
    expect(found({ head: one }).finalNorm?.output).toBe('n');
  });

  it('is no activation of a pooler', () => {
    const pooled = 'c = Gather(h2, first) axis=1\nd = MatMul(c, square)\nt = Tanh(d)\nout = MatMul(t, two)';
    expect(found({ head: pooled }).finalNorm).toBeUndefined();
    const dense = 'd = MatMul(h2, square)\nn = LayerNormalization(d, scale)\nout = MatMul(n, many)';
    expect(found({ head: dense }).finalNorm).toBeUndefined();
  });
});

it('tells all outputs of the last residual, and what the graph makes of them', () => {
  const head = `n = LayerNormalization(h2, scale)
    c = Gather(n, first) axis=1
    out = MatMul(c, two)
    shares = Softmax(out) axis=-1
    length = ReduceL2(c) axes=-1,-1
    unit = Div(c, length)`;
  expect(found({ head, outputs: ['n', 'out', 'shares', 'unit', 'v'] }).outputs).toEqual([
    { name: 'n', columns: undefined, made: 'states' },
    { name: 'out', columns: 2, made: undefined },
    { name: 'shares', columns: 2, made: 'probabilities' },
    { name: 'unit', columns: undefined, made: 'unit' },
  ]);
});

describe('token ids', () => {
  const both = 't = Gather(table, input_ids)\ns = Gather(types, token_type_ids)\nh0 = Add(t, s)';

  it('are not the kinds of segment, though a head of two columns is as wide as their table is long', () => {
    expect(roles({ start: both, inputs: { token_type_ids: whole, input_ids: whole } })).toEqual({
      input_ids: 'token-ids',
      token_type_ids: 'token-type-ids',
    });
  });

  it('are not positions, though their table is longer', () => {
    const start = 't = Gather(table, input_ids)\np = Gather(places, position_ids)\nh0 = Add(p, t)';
    const inputs = { position_ids: whole, input_ids: whole };
    expect(roles({ start, inputs })).toEqual({ input_ids: 'token-ids?', position_ids: 'position-ids' });
    // As many columns as rows leave no doubt.
    expect(roles({ start, inputs, head: 'out = MatMul(h2, many)' })).toEqual({
      input_ids: 'token-ids',
      position_ids: 'position-ids',
    });
  });

  it('are told by name from what is looked up in their own table', () => {
    const start = 't = Gather(table, input_ids)\ns = Gather(table, token_type_ids)\nh0 = Add(s, t)';
    expect(roles({ start, inputs: { token_type_ids: whole, input_ids: whole } })).toEqual({
      input_ids: 'token-ids?',
      token_type_ids: 'token-type-ids?',
    });
  });

  it('are asked for where not even names tell', () => {
    const start = 't = Gather(table, first_ids)\ns = Gather(table, second_ids)\nh0 = Add(s, t)';
    const { inputs } = found({ start, inputs: { first_ids: whole, second_ids: whole } });
    expect(inputs.map(({ role }) => role)).toEqual(['unknown', 'unknown']);
    expect(inputs.map(({ how }) => how)[0]).toMatch(/it and "second_ids" index one table/);
  });

  it('are asked for where they may be of either of two tables as long', () => {
    const start = 't = Gather(table, left)\ns = Gather(other, right)\nh0 = Add(s, t)';
    const { inputs } = found({ start, inputs: { left: whole, right: whole } });
    expect(inputs.map(({ role }) => role)).toEqual(['unknown', 'unknown']);
  });

  it('have others beside them that are asked for by name, where each token is looked up in several tables (RoCBert)', () => {
    const start = `t = Gather(table, input_ids)
      p = Gather(places, input_shape_ids)
      joined = Concat(t, p) axis=-1
      h0 = MatMul(joined, back)`;
    const { inputs } = found({ start, inputs: { input_ids: whole, input_shape_ids: whole } });
    expect(inputs.map(({ role }) => role)).toEqual(['token-ids', 'unknown']);
    expect(inputs.at(1)?.how).toMatch(/table of 64 rows, and whether they are positions is not told/);
  });

  it('are not what is only added to embeddings that are given', () => {
    const start = 'p = Gather(places, position_ids)\nh0 = Add(inputs_embeds, p)';
    const inputs = { inputs_embeds: ['batch', 'tokens', 16], position_ids: whole };
    expect(roles({ start, inputs, floats: ['inputs_embeds'] })).toEqual({
      inputs_embeds: 'features',
      position_ids: 'position-ids',
    });
  });

  it('of several tables for each token are asked for', () => {
    const start = `a = Gather(input_ids, first) axis=1
      b = Gather(input_ids, last) axis=1
      x = Gather(table, a)
      y = Gather(places, b)
      h0 = Add(x, y)`;
    expect(roles({ start, inputs: { input_ids: ['batch', 4, 'tokens'] } })).toEqual({ input_ids: 'codes' });
  });
});

describe('beside token ids', () => {
  const start = (line: string) => `t = Gather(table, input_ids)\n${line}`;

  it('a row of a table for the whole run is asked for', () => {
    const line = 'r = Gather(places, task)\nh0 = Add(t, r)';
    for (const shape of [[], ['batch']]) {
      const { inputs } = found({ start: start(line), inputs: { input_ids: whole, task: shape } });
      expect(inputs[1]).toMatchObject({ role: 'choice', how: expect.stringContaining('from 0 to 63') });
    }
  });

  it('places with an axis behind that of the tokens are zeros, which is said', () => {
    const line = 'x = Gather(bbox, first) axis=2\nc = Gather(corner, x)\nh0 = Add(t, c)';
    expect(roles({ start: start(line), inputs: { input_ids: whole, bbox: ['batch', 'tokens', 4] } })).toMatchObject({
      bbox: 'coordinates?',
    });
  });

  it('what is looked up in a table is positions by its name or by none, and asked for by any other', () => {
    const line = (name: string) => `p = Gather(places, ${name})\nh0 = Add(t, p)`;
    const roleOf = (name: string) =>
      roles({ start: start(line(name)), inputs: { input_ids: whole, [name]: whole } })[name];
    expect(['position_ids', 'input.3', 'age'].map(roleOf)).toEqual(['position-ids', 'position-ids?', 'unknown']);
  });

  it('lengths are the number of tokens, a guess where the name says something else, and not those of a prefix', () => {
    const roleOf = (name: string) => {
      const line = `s = Shape(t)\nr = Range(first, s, last)\nm = Less(r, ${name})\nf = Cast(m) to=1\nh0 = Mul(t, f)`;
      return roles({ start: start(line), inputs: { input_ids: whole, [name]: ['batch'] } })[name];
    };
    expect(['lengths', 'limit', 'prefix_length'].map(roleOf)).toEqual(['lengths', 'lengths?', 'choice']);
  });
});

describe('the axis of tokens', () => {
  const axis = (shape: Shape, line: string) =>
    found({ start: `t = Gather(table, input_ids)\n${line}\nh0 = Add(t, p)`, inputs: { input_ids: shape } }).inputs[0]
      ?.tokenAxis;
  const cut = (of: string) => `s = Shape(input_ids)\ne = Gather(s, ${of})\np = Slice(places, ends, e)`;

  it('is that by which positions are cut', () => {
    expect(axis(['a', 'b'], cut('first'))).toBe(0);
    expect(axis(['a', 'b'], 's = Shape(input_ids) start=1 end=2\np = Slice(places, ends, s)')).toBe(1);
  });

  it('is not that of a batch which is counted', () => {
    const counted = 's = Shape(input_ids) start=0 end=1\nr = Range(first, s, last)\np = GatherND(scale, r)';
    expect(axis(['rows', 'columns'], counted)).toBe(1);
    const positions = 's = Shape(input_ids) start=0 end=1\nr = Range(first, s, last)\np = Gather(places, r)';
    expect(axis(['rows', 'columns'], positions)).toBe(0);
  });

  it('is the last where nothing tells, and not one that is called a batch', () => {
    expect(axis(['rows', 'columns'], 'p = Identity(scale)')).toBe(1);
    expect(axis(['seq', 'batch'], 'p = Identity(scale)')).toBe(0);
  });
});
