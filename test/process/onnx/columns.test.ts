/** A large weight is rounded some columns at a time; what its product gives is what it gives at once. */
import { expect, it } from 'vitest';
import { createSession } from '../../../src/engine/stages/session.js';
import { encodeModel } from '../../../src/onnx/encode.js';
import { type Attribute, DataType, type Model } from '../../../src/onnx/model.js';
import { schemes, withProducts } from '../../../src/onnx/quantise.js';

/** Two parts, the fewest there are. */
const [rows, columns] = [512, 32_800];
/** Repeats every 4,093 entries, a prime, since millions of sines of their own take most of a test's time. */
const waves = Float32Array.from({ length: 4093 }, (_, i) => Math.sin(i * 78.233) / 2);
/** The last column has the largest entry, which is the scale of all where there is one. */
const entry = (row: number, column: number) =>
  column === columns - 1 && row === 0 ? 3 : (waves[(row * 601 + column) % waves.length] ?? 0);

/** `x` times the columns of the weight that are asked for; of one that is turned, as a tied head's is, `table` makes it. */
function productOf(chosen: readonly number[], turned = false): Model {
  const data = new Float32Array(rows * chosen.length);
  for (let row = 0; row < rows; row++)
    for (const [i, column] of chosen.entries())
      data[turned ? i * rows + row : row * chosen.length + i] = entry(row, column);
  const name = turned ? 'table' : 'w';
  const dims = turned ? [chosen.length, rows] : [rows, chosen.length];
  const weight = { name, type: DataType.float, dims, data: new Uint8Array(data.buffer) };
  const perm: Attribute = { kind: 'ints', value: [1n, 0n] };
  const turn = {
    op: 'Transpose',
    domain: '',
    inputs: ['table'],
    outputs: ['w'],
    attributes: new Map([['perm', perm]]),
  };
  const node = { name: 'p', op: 'MatMul', domain: '', inputs: ['x', 'w'], outputs: ['y'], attributes: new Map() };
  return {
    file: '',
    producer: '',
    functions: [],
    remarks: [],
    irVersion: 8,
    opsets: new Map([['', 17]]),
    graph: {
      name: 'product',
      nodes: turned ? [{ ...turn, name: 't' }, node] : [node],
      inputs: [{ name: 'x', type: DataType.float, shape: [2, rows] }],
      outputs: [{ name: 'y', type: DataType.float, shape: [2, chosen.length] }],
      initializers: new Map([[name, weight]]),
      valueInfo: new Map(),
    },
  };
}

it.each(['int8-dynamic', 'int8-channel', 'int8-token', 'int4-block32', 'fp16', 'fp8'] as const)(
  '%s',
  async (scheme) => {
    const x = {
      type: DataType.float,
      dims: [2, rows],
      data: Float32Array.from({ length: 2 * rows }, (_, i) => Math.cos(i)),
    };
    const made = (chosen: readonly number[], turned = false) => {
      const model = productOf(chosen, turned);
      const products = model.graph.nodes
        .filter(({ op }) => op === 'MatMul')
        .map((node) => ({ node, extents: [rows, chosen.length] as const }));
      return withProducts(model, schemes[scheme], { products, pairs: [] });
    };
    /** What is cut into parts, for each of them. */
    const cut = ({ graph }: Model) =>
      graph.nodes.flatMap(({ op, inputs: [value = ''] }) => (op === 'Slice' ? [value] : []));
    const given = async (model: Model) => {
      const session = await createSession(encodeModel(model, ''), '', { prepack: true, threads: 1 });
      const y = (await session.run(new Map([['x', x]]))).get('y');
      await session.release();
      return [...(y?.data ?? [])].map(Number);
    };
    const few = [0, 1, 16_399, 16_400, 16_401, columns - 1];
    const all = Array.from({ length: columns }, (_, i) => i);
    const [whole, alone] = [made(all), made(few)];
    expect([cut(whole).length, cut(alone).length]).toEqual([2, 0]);
    const values = await given(whole);
    const picked = [0, 1].flatMap((row) => few.map((column) => values[row * columns + column] ?? Number.NaN));
    for (const [i, value] of (await given(alone)).entries()) expect(picked[i]).toBeCloseTo(value, 4);
    // Computed one by one, each part would turn the whole table.
    const turned = made(all, true);
    expect(cut(turned)).toEqual(['table', 'table']);
    // With one scale for the whole weight, and with scales inside its columns.
    if (scheme === 'int8-dynamic' || scheme === 'int4-block32') expect(await given(turned)).toEqual(values);
  },
);
