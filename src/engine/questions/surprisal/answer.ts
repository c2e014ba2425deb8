import { SinkscopeError } from '../../../errors.js';
import { withoutHead } from '../../stages/lacking.js';
import { createLossSession } from '../../stages/losses.js';
import type { Answerer, Inside } from '../inside.js';

/** Of runs that were asked before: an editor and a panel want the same. */
const known = new WeakMap<Inside, Promise<Float32Array>>();

/** @throws SinkscopeError `input` where the model does not predict the next token, or its tokens have no ids */
export const answerSurprisal: Answerer<'surprisal'> = async (run) => {
  const asked = known.get(run) ?? surprisalOf(run);
  known.set(run, asked);
  return { nats: await asked };
};

async function surprisalOf(run: Inside): Promise<Float32Array> {
  const { loaded, head, ids, tokens } = run;
  const { file } = loaded;
  const refused = (why: string) => new SinkscopeError({ code: 'input', file, message: `${file} ${why}` });
  if (!loaded.predicts || !head) throw withoutHead(file, 'no token has a surprisal');
  if (ids?.length !== tokens) throw refused('was not run on token ids alone, so no token has a surprisal.');
  if (!(await run.isCausal()))
    throw refused(
      'lets every token see those after it, so it does not predict the next one; no token has a surprisal.',
    );
  await run.state(loaded.anatomy.layers);
  const nats = new Float32Array(tokens).fill(Number.NaN);
  const softmax = await createLossSession(run.threads);
  try {
    // The token at i is predicted at position i - 1.
    for await (const { from, to, logits } of head.parts(run.values, 0, tokens - 1, run.keep))
      nats.set(await softmax.losses(logits, ids.slice(from + 1, to + 1)), from + 1);
  } finally {
    await softmax.release();
  }
  return nats;
}
