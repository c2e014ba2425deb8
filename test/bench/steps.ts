/**
 * What writing is measured against: one plain session with default options that is fed its own cache, and all its
 * outputs. Started with a model, a number of tokens of a text, a number of steps and threads, it answers every message
 * with the seconds that the steps after the text took; the first one creates the session.
 */
import '../../src/engine/stages/telemetry.js';

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { cacheNames, gpt2Shape } from './models.js';

const [model = '', tokens = '', steps = '', threads = '0'] = process.argv.slice(2);
const options = Number(threads) > 0 ? { intraOpNumThreads: Number(threads) } : {};
const [pasts, presents] = [cacheNames('past'), cacheNames('present')];
const { heads, width } = gpt2Shape;
let session: InferenceSession | undefined;

/** The most likely token after `ids`, and the cache that is to be fed next. */
async function step(ids: readonly bigint[], cache: readonly Tensor[]) {
  if (!session) throw new Error('there is no session');
  const past = Object.fromEntries(pasts.map((name, i) => [name, cache[i]]));
  const fed = { ...past, input_ids: new Tensor('int64', BigInt64Array.from(ids), [1, ids.length]) };
  const results = await session.run(fed as InferenceSession.FeedsType);
  const logits = results.logits?.data as Float32Array;
  const last = logits.subarray(-50257);
  let best = 0;
  for (let id = 0; id < last.length; id++) if ((last[id] ?? 0) > (last[best] ?? 0)) best = id;
  return { next: BigInt(best), cache: presents.map((name) => results[name] as Tensor) };
}

process.on('message', async () => {
  session ??= await InferenceSession.create(model, options);
  const empty = pasts.map(() => new Tensor('float32', new Float32Array(), [1, heads, 0, width]));
  let { next, cache } = await step(
    Array.from({ length: Number(tokens) }, (_, i) => BigInt((i * 7919) % 30000)),
    empty,
  );
  const start = performance.now();
  for (let i = 0; i < Number(steps); i++) ({ next, cache } = await step([next], cache));
  process.send?.((performance.now() - start) / 1000);
});
