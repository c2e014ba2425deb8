/** Writes a model that was rewritten: the graph as it is run, flat, with the constants that changed. */
import type { FileHandle } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { SinkscopeError } from '../../errors.js';
import { encodeModel } from '../../onnx/encode.js';
import { indexGraph } from '../../onnx/graph.js';
import type { FileRange, Graph, Tensor } from '../../onnx/model.js';
import { inlineBytes } from '../../onnx/parse.js';
import { readTensor } from '../../onnx/tensor.js';
import { beginSaving, endSaving, giveUpSaving, saveWhole, unwritable } from '../../saving.js';
import type { StageRunner } from '../stages/runner.js';
import { weightOf } from './extents.js';

/**
 * Writes the model that a runner runs. Weights are read and written one after another, into a file of its name and
 * `.data` beside it, or into the model's own where all of them take no more than `within` bytes.
 *
 * @param changed constants that are computed from those of the file
 * @throws SinkscopeError `save`, with nothing left behind
 */
export async function saveRewritten(
  runner: StageRunner,
  changed: ReadonlySet<string>,
  save: { readonly file: string },
  within = 0,
): Promise<void> {
  const file = resolve(save.file);
  const { model, summary } = runner.loaded;
  const graph = needed(model.graph, changed);
  const initializers = new Map<string, Tensor>();
  const gather = async (store: (bytes: Uint8Array) => Promise<Tensor['data']>) => {
    for (const [name, tensor] of graph.initializers) {
      const isInline = tensor.data instanceof Uint8Array || tensor.data.length <= inlineBytes;
      initializers.set(name, isInline ? tensor : { ...tensor, data: await store(readTensor(tensor)) });
    }
    for (const name of changed) {
      const { type, dims, data } = await weightOf(runner, name);
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      // What is small is put into the model itself, for which it would be read from a file that has no name yet.
      initializers.set(name, { name, type, dims, data: bytes.length <= inlineBytes ? bytes : await store(bytes) });
    }
  };
  const encoded = () => encodeModel({ ...model, graph: { ...graph, initializers } }, dirname(file));
  if (summary.bytes <= within) {
    await gather(async (bytes) => bytes);
    await saveWhole(file, encoded());
    return;
  }
  const data = `${file}.data`;
  // Both are whole before either takes its name.
  await writing(file, (handle) =>
    writing(data, async (weights) => {
      let offset = 0;
      await gather(async (bytes): Promise<FileRange> => {
        await weights.writeFile(bytes);
        offset += bytes.length;
        return { file: data, offset: offset - bytes.length, length: bytes.length };
      });
      await handle.writeFile(encoded());
    }),
  );
}

/** What the outputs are made of, of a graph in which some values are constants. */
function needed(graph: Graph, constants: ReadonlySet<string>): Graph {
  const { producer, inputsOf } = indexGraph(graph);
  const seen = new Set<string>();
  const open = graph.outputs.map(({ name }) => name);
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (seen.has(value)) continue;
    seen.add(value);
    const node = constants.has(value) ? undefined : producer(value);
    if (node) for (const input of inputsOf(node)) open.push(input);
  }
  return {
    ...graph,
    nodes: graph.nodes.filter(({ outputs }) => outputs.some((output) => seen.has(output) && !constants.has(output))),
    initializers: new Map([...graph.initializers].filter(([name]) => seen.has(name))),
    valueInfo: new Map(),
  };
}

async function writing(file: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  const handle = await beginSaving(file);
  try {
    await write(handle);
  } catch (error) {
    await giveUpSaving(file, handle);
    throw SinkscopeError.is(error) ? error : unwritable(file, error);
  }
  await endSaving(file, handle);
}
