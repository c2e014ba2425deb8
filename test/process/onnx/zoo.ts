/** Feeds and reference tensors of fixtures, and ONNX Runtime on encoded models. */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect } from 'vitest';
import { extract } from '../../../src/onnx/extract.js';
import { indexGraph } from '../../../src/onnx/graph.js';
import type { Graph, Model, ValueInfo } from '../../../src/onnx/model.js';
import { prepare } from '../../../src/onnx/prepare.js';
import { readModel } from '../../../src/onnx/read.js';
import { float16ToFloat32 } from '../../../src/statistics/half.js';
import { openSafetensors } from '../../../src/statistics/safetensors.js';
import { fixture } from '../../support/files.js';

interface Declared {
  readonly tolerance: number;
  readonly dtype: string;
  readonly inputs: readonly {
    readonly name: string;
    readonly dtype: keyof Tensor.DataTypeMap;
    readonly fed_shape: number[];
  }[];
}

export type Tensors = Record<string, Tensor>;

/** The fixture's feeds by graph input, its reference tensors (float32) by name, and how close to them to come. */
export async function loadFixture(
  name: string,
): Promise<{ feeds: Tensors; golden: Map<string, Float32Array>; tolerance: number }> {
  const { model, golden: file } = fixture(name);
  const declared: Declared = JSON.parse(readFileSync(join(dirname(model), 'fixture.json'), 'utf8'));
  const stored = await openSafetensors(file);
  const feeds: Tensors = {};
  for (const { name: input, dtype, fed_shape } of declared.inputs) {
    const bytes = fed_shape.includes(0) ? new Uint8Array(0) : (await stored.tensor(input)).bytes;
    feeds[input] = tensor(dtype, bytes, fed_shape);
  }
  const golden = new Map<string, Float32Array>();
  for (const tensorName of stored.names) {
    const { dtype, bytes } = await stored.tensor(tensorName);
    if (dtype === 'F32' && !(tensorName in feeds)) golden.set(tensorName, new Float32Array(bytes.buffer));
  }
  const quantised = /^int/.test(declared.dtype) || /qdq|int4|int8|q4/.test(name);
  const floor = quantised ? 2e-2 : declared.dtype === 'float16' ? 1e-2 : 1e-5;
  return { feeds, golden, tolerance: Math.max(floor, 4 * declared.tolerance) };
}

function tensor(dtype: keyof Tensor.DataTypeMap, { buffer }: Uint8Array<ArrayBuffer>, dims: number[]): Tensor {
  switch (dtype) {
    case 'int64':
      return new Tensor('int64', new BigInt64Array(buffer), dims);
    case 'int32':
      return new Tensor('int32', new Int32Array(buffer), dims);
    case 'float16':
      return new Tensor('float16', new Uint16Array(buffer), dims);
    case 'float32':
      return new Tensor('float32', new Float32Array(buffer), dims);
    case 'bool':
      return new Tensor('bool', new Uint8Array(buffer), dims);
    default:
      throw new Error(`no feed of type ${dtype}`);
  }
}

/** Runs an encoded model (or the file itself) on those of `feeds` that it takes. */
export async function run(
  model: { bytes: Uint8Array; folder: string } | string,
  feeds: Tensors,
  graphOptimizationLevel: 'all' | 'disabled' = 'all',
): Promise<Tensors> {
  const session =
    typeof model === 'string'
      ? await InferenceSession.create(model, { graphOptimizationLevel })
      : await InferenceSession.create(model.bytes, {
          graphOptimizationLevel,
          extra: { session: { model_external_initializers_file_folder_path: model.folder } },
        });
  const taken = Object.fromEntries(Object.entries(feeds).filter(([name]) => session.inputNames.includes(name)));
  const results = await session.run(taken);
  await session.release();
  return results;
}

/** The model of `bytes` prepared, whose y is that of ONNX Runtime on the file as it is, which is written to `file`. */
export async function preparedAsFile(file: string, bytes: Uint8Array, feeds: Tensors): Promise<Model> {
  writeFileSync(file, bytes);
  const flat = prepare(readModel(file));
  const expected = await run(file, feeds);
  const actual = await run(extract(flat, { inputs: flat.graph.inputs, outputs: ['y'] }), feeds);
  expect(actual.y?.data).toEqual(expected.y?.data);
  expect(actual.y?.dims).toEqual(expected.y?.dims);
  return flat;
}

/** The graph inputs that `output` is computed from where `given` is fed. */
export function requiredInputs(graph: Graph, output: string, given: string): readonly ValueInfo[] {
  const { producer, inputsOf } = indexGraph(graph);
  const needed = new Set([output]);
  for (const name of needed) {
    const node = name === given ? undefined : producer(name);
    for (const input of node ? inputsOf(node) : []) needed.add(input);
  }
  return graph.inputs.filter(({ name }) => needed.has(name));
}

/** A result as float32 numbers; throws for one that is no float. */
export function floats(result: Tensor | undefined): Float32Array {
  if (result?.data instanceof Float32Array) return result.data;
  if (result?.data instanceof Uint16Array) return float16ToFloat32(result.data);
  throw new Error(`expected float32, got ${result?.type}`);
}

/** Largest difference, relative to the largest magnitude of the reference. */
export function difference(actual: ArrayLike<number>, reference: ArrayLike<number>): number {
  if (actual.length !== reference.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  let scale = 0;
  for (let i = 0; i < reference.length; i++) {
    const expected = reference[i] ?? 0;
    const error = Math.abs((actual[i] ?? Number.NaN) - expected);
    worst = error > worst || Number.isNaN(error) ? error : worst;
    scale = Math.max(scale, Math.abs(expected));
  }
  return worst / scale;
}
