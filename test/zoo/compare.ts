/** A fixture run through the engine as a user's model would be, and held against its golden. */
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { RunEvent } from '../../src/engine/contract/events.js';
import type { Engine } from '../../src/engine/host/engine.js';
import { openSafetensors } from '../../src/statistics/safetensors.js';
import { isProcessors, tappedHere } from './here.js';
import { expertQuantities, fixture, promptOf, type Quantity, quantities } from './known.js';

/** Largest error of a quantity over layers, relative to the golden's largest magnitude; or why there is none. */
export type Result = { readonly error: number } | { readonly gap: string };

/**
 * Runs `model` on the golden feeds in `folder` and compares all that the golden has.
 *
 * @param into a folder for what the run saves, which is removed again; the same for all runs of an engine, whose process
 *   may write to one alone and is started anew for another
 */
export async function compare(
  engine: Engine,
  folder: string,
  into: string,
  model = join(folder, 'model.onnx'),
): Promise<{ results: ReadonlyMap<Quantity, Result>; events: readonly RunEvent[] }> {
  const known = await fixture(folder);
  const golden = join(folder, 'golden.safetensors');
  const file = join(into, `${basename(folder)}.safetensors`);
  try {
    const events: RunEvent[] = [];
    const run = engine.analyze({
      model,
      stream: known.stream,
      prompt: promptOf(folder, known),
      attention: true,
      memory: 2 ** 30,
      threads: 1,
      save: { file, attention: true, mlp: true, logits: true },
    });
    for await (const event of run) events.push(event);
    const last = events.at(-1);
    if (last?.type !== 'finished')
      throw new Error(last?.type === 'failed' ? `${last.problem.message} ${last.problem.detail ?? ''}` : 'no end');
    const here = isProcessors(known) ? await tappedHere(folder, known) : new Map();
    return { results: await differences(golden, here, file, known.head), events };
  } finally {
    await rm(file, { force: true });
  }
}

/** @param here tensors that may stand in for the golden's: the error counts to the nearer of the two */
async function differences(
  golden: string,
  here: ReadonlyMap<string, Float32Array>,
  saved: string,
  head: string,
): Promise<Map<Quantity, Result>> {
  const [want, got] = [await openSafetensors(golden), await openSafetensors(saved)];
  const results = new Map<Quantity, Result>();
  for (const quantity of [...quantities, ...expertQuantities]) {
    const names = want.names.filter((name) =>
      quantity === 'head' ? name === head : new RegExp(`^${quantity}\\.\\d+$`).test(name),
    );
    if (names.length === 0) continue;
    let error = 0;
    let gap: string | undefined;
    for (const name of names) {
      const source = quantity === 'head' && !got.names.includes(name) ? 'logits' : name;
      if (!got.names.includes(source)) {
        gap ??= `${source} is missing`;
        continue;
      }
      const [a, b] = [await tensor(want, name), await tensor(got, source)];
      if (a.shape.join() !== b.shape.join()) gap ??= `${source} is [${b.shape}], not [${a.shape}]`;
      else {
        const others = [a.values, here.get(name) ?? a.values];
        error = Math.max(error, Math.min(...others.map((values) => relativeError(values, b.values))));
      }
    }
    results.set(quantity, gap === undefined ? { error } : { gap });
  }
  return results;
}

async function tensor(file: Awaited<ReturnType<typeof openSafetensors>>, name: string) {
  const { shape, bytes } = await file.tensor(name);
  return { shape, values: new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)) };
}

function relativeError(want: Float32Array, got: Float32Array): number {
  let largest = 0;
  let difference = 0;
  for (let i = 0; i < want.length; i++) {
    const [a, b] = [want[i] as number, got[i] as number];
    largest = Math.max(largest, Math.abs(a));
    // A NaN on one side is a difference that no tolerance covers.
    difference = Number.isNaN(a - b) ? Number.POSITIVE_INFINITY : Math.max(difference, Math.abs(a - b));
  }
  return difference / (largest || 1);
}
