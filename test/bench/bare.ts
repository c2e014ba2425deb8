/**
 * What everything is measured against: one plain session with default options and all its outputs.
 * Started with a model and a number of tokens it answers every message with a run; the first one creates the session.
 */
import '../../src/engine/stages/telemetry.js';

import { InferenceSession, Tensor } from 'onnxruntime-node';

const [model = '', count = '', threads = '0'] = process.argv.slice(2);
const options = Number(threads) > 0 ? { intraOpNumThreads: Number(threads) } : {};
let session: InferenceSession | undefined;

process.on('message', async () => {
  session ??= await InferenceSession.create(model, options);
  const ids = BigInt64Array.from({ length: Number(count) }, (_, i) => BigInt((i * 7919) % 30000));
  await session.run({ input_ids: new Tensor('int64', ids, [1, Number(count)]) });
  process.send?.('done');
});
