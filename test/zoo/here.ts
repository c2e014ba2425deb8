/**
 * What ONNX Runtime makes of a whole file on this machine. Products of 8-bit integers are not the same everywhere:
 * without VNNI instructions their 16-bit sums saturate, so that the goldens of such files, which ONNX Runtime made in
 * Python, hold for processors that have them. Elsewhere this is what a file's user gets.
 */
import { join } from 'node:path';
import { recognise } from '../../src/anatomy/recognise.js';
import { makeFeeds } from '../../src/engine/inputs/feeds.js';
import { createSession } from '../../src/engine/stages/session.js';
import { floats, storedValue, type Value } from '../../src/engine/tensors/value.js';
import { encodeModel } from '../../src/onnx/encode.js';
import { DataType } from '../../src/onnx/model.js';
import { prepare } from '../../src/onnx/prepare.js';
import { readModel } from '../../src/onnx/read.js';
import { openSafetensors } from '../../src/statistics/safetensors.js';
import type { Fixture } from './known.js';

/** Whether a fixture's golden depends on the processor that made it. */
export const isProcessors = ({ dtype, golden }: Fixture) => dtype === 'int8' && golden === 'onnx-tapped';

/** By name of the golden's tensors: the same of this machine, from one session of the file with its taps as outputs. */
export async function tappedHere(folder: string, { taps }: Fixture): Promise<ReadonlyMap<string, Float32Array>> {
  const model = readModel(join(folder, 'model.onnx'));
  const { graph } = model;
  const tensors = Object.entries(taps).map(([name, { tensor }]) => [name, tensor] as const);
  const outputs = [...new Set(tensors.map(([, tensor]) => tensor))].map((name) => ({
    name,
    type: DataType.float,
    shape: undefined,
  }));
  const bytes = encodeModel({ ...model, graph: { ...graph, outputs } }, folder);
  const session = await createSession(bytes, folder, { prepack: true, threads: 1 });
  try {
    const { inputs } = recognise(prepare(model));
    const golden = await openSafetensors(join(folder, 'golden.safetensors'));
    const given = new Map<string, Value>();
    for (const { name } of inputs)
      if (golden.names.includes(name)) given.set(name, storedValue(await golden.tensor(name)));
    const results = await session.run(makeFeeds(inputs, given).values);
    return new Map(
      tensors.map(([name, tensor]) => {
        const value = results.get(tensor);
        if (!value) throw new Error(`${tensor} was not computed`);
        return [name, floats(value)];
      }),
    );
  } finally {
    await session.release();
  }
}
