/** Loops that are unrolled, held against ONNX Runtime on the file as it is. */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tensor } from 'onnxruntime-node';
import { afterAll, describe, expect, test } from 'vitest';
import { prepare } from '../../../src/onnx/prepare.js';
import { readModel } from '../../../src/onnx/read.js';
import {
  floats,
  graph,
  graphAttribute,
  intAttribute,
  message,
  model,
  node,
  tensor,
  value,
} from '../../support/build.js';
import { preparedAsFile } from './zoo.js';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sinkscope-loops-')));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'model.onnx');

const x = new Tensor('float32', [1, -2], [2]);
const int64 = (name: string, dims: readonly number[], ...numbers: number[]) =>
  tensor(name, dims, 7, [9, new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer)]);
const ints = (name: string, ...numbers: number[]) =>
  message([1, name], ...numbers.map((number) => [8, number] as const), [20, 7]);

/** Operators of the prepared model, whose y is that of ONNX Runtime on the file. */
async function sameAsFile(bytes: Uint8Array): Promise<readonly string[]> {
  const flat = await preparedAsFile(file, bytes, { x });
  return flat.graph.nodes.map(({ op }) => op);
}

const io = { inputs: [value('x', [2])], outputs: [value('y', ['a', 'b'])] };

describe('a Scan', () => {
  const body = graphAttribute(
    'body',
    graph({
      nodes: [node('Mul', ['h', 'w'], ['m']), node('Add', ['m', 'k'], ['next']), node('Neg', ['next'], ['each'])],
      initializers: [floats('k', [], [0.5])],
      inputs: [value('h', [2]), value('w', [2])],
      outputs: [value('next', [2]), value('each', [2])],
    }),
  );
  const stack = floats('w', [3, 2], [1, 2, 3, 4, 5, 6]);
  const scanned = (output: 'last' | 'all', weights: Uint8Array, ...attributes: Uint8Array[]) =>
    model({
      ...io,
      nodes: [
        node('Scan', ['x', 'w'], ['last', 'all'], [body, intAttribute('num_scan_inputs', 1), ...attributes]),
        node('Identity', [output], ['y']),
      ],
      initializers: [weights],
    });

  test.each(['last', 'all'] as const)('over a stack of weights is its steps: %s', async (output) => {
    expect(await sameAsFile(scanned(output, stack))).not.toContain('Scan');
  });

  test('may go backwards, and stack what it gives backwards and along another axis', async () => {
    const how = [ints('scan_input_directions', 1), ints('scan_output_directions', 1), ints('scan_output_axes', 1)];
    expect(await sameAsFile(scanned('all', stack, ...how))).not.toContain('Scan');
  });

  test('may take its weights along another axis', async () => {
    const columns = floats('w', [2, 3], [1, 3, 5, 2, 4, 6]);
    expect(await sameAsFile(scanned('last', columns, ints('scan_input_axes', 1)))).not.toContain('Scan');
  });
});

describe('a Loop', () => {
  const looped = (
    ends: readonly Uint8Array[],
    goesOn: string,
    trips: readonly Uint8Array[] = [int64('trips', [], 3)],
  ) =>
    model({
      ...io,
      nodes: [
        node(
          'Loop',
          ['trips', '', 'x'],
          ['y', 'all'],
          [
            graphAttribute(
              'body',
              graph({
                nodes: [node('Gather', ['stack', 'i'], ['w']), node('Mul', ['h', 'w'], ['next']), ...ends],
                inputs: [value('i', [], 7), value('on', [], 9), value('h', [2])],
                outputs: [value(goesOn, [], 9), value('next', [2]), value('w', [2])],
              }),
            ),
          ],
        ),
      ],
      initializers: [floats('stack', [3, 2], [1, 2, 3, 4, 5, 6]), ...trips],
    });

  test('of a stated number of steps is its steps, their weights parts of the stack', async () => {
    const ops = await sameAsFile(looped([node('Identity', ['on'], ['still'])], 'still'));
    expect(ops.filter((op) => op === 'Loop' || op === 'Gather')).toEqual([]);
  });

  test('that something may end before stays a loop', async () => {
    const ends = [node('ReduceMax', ['next'], ['most']), node('Less', ['most', 'limit'], ['still'])];
    const more = [int64('trips', [], 3), floats('limit', [1], [2])];
    const flattened = [...ends, node('Squeeze', ['still'], ['goes'])];
    expect(await sameAsFile(looped(flattened, 'goes', more))).toContain('Loop');
  });

  test('of more steps than a model has layers stays a loop', async () => {
    const ends = [node('Identity', ['on'], ['still'])];
    writeFileSync(file, looped(ends, 'still', [int64('trips', [], 2000)]));
    expect(prepare(readModel(file)).graph.nodes.map(({ op }) => op)).toEqual(['Loop']);
  });
});
