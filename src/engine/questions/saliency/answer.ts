import { grouped, SinkscopeError } from '../../../errors.js';
import { Backward, tracksFrom } from '../../stages/backward.js';
import { withoutHead } from '../../stages/lacking.js';
import { floats, rowsOf, type Value } from '../../tensors/value.js';
import type { Answerer } from '../inside.js';
import { argmax } from '../predicted.js';

/**
 * @throws SinkscopeError `input` where the model predicts no tokens, there is no such token or id, the run was changed,
 *   or an operator on the way has no rule of differentiation
 */
export const answerSaliency: Answerer<'saliency'> = async (run, { token, next }) => {
  const { loaded, threads } = run;
  const { anatomy, file, predicts } = loaded;
  const refused = (why: string) => new SinkscopeError({ code: 'input', file, message: why });
  const output = anatomy.unembedding?.logits;
  if (!predicts || output === undefined) throw withoutHead(file, 'there is no prediction that could depend on tokens');
  run.checkToken(token);
  if (run.isChanged) throw refused('This run was changed by interventions, which a gradient does not go through.');
  const back = new Backward(loaded, threads, [output], anatomy.layers + 1);
  const tracks = tracksFrom(run.feeds);
  let logits: Value | undefined;
  try {
    for await (const { results } of back.there([tracks], token)) logits = results.get(output) ?? logits;
    if (!logits) throw new Error('the head gave no logits');
    const { tokens: rows, dims: width } = rowsOf(logits);
    const before = anatomy.headRows?.from ?? run.tokens - rows;
    const row = tracks.narrowed ? 0 : token - before;
    if (row < 0 || row >= rows) throw refused(`This model gives no logits after token ${token}.`);
    const own = floats(logits).subarray(row * width, (row + 1) * width);
    const id = next ?? argmax(own);
    if (id >= width) throw refused(`There is no token id ${id}: the model has ${grouped(width)}.`);
    const logit = own[id] ?? Number.NaN;
    const seed = new Float32Array(rows * width);
    seed[row * width + id] = 1;
    tracks.adjoints.set(output, { type: 1, dims: logits.dims, data: seed });
    for (const stage of back.stages.toReversed()) {
      if (stage.first < 1) continue;
      const { why } = await back.back(stage, tracks, false);
      if (why !== undefined) throw refused(`What this prediction depends on cannot be told: ${why}.`);
    }
    const remarks = back.remarks(0).map((words) => `Of this model ${words}.`);
    const [h0, slope] = [tracks.lane.values.get(anatomy.embedding), tracks.adjoints.get(anatomy.embedding)];
    if (!h0) throw new Error('h_0 is not there');
    const saliency = slope ? products(run.rows(h0), run.rows(slope), run.tokens) : new Float32Array(run.tokens);
    return { token, next: { id, text: loaded.tokenizer()?.decode(id) ?? `token ${id}` }, logit, saliency, remarks };
  } finally {
    await back.release();
  }
};

/** Σ over dims of the products of two states [T, D]. */
function products(a: Value, b: Value, tokens: number): Float32Array {
  const { dims } = rowsOf(a);
  const [left, right] = [floats(a), floats(b)];
  return Float32Array.from({ length: tokens }, (_, token) => {
    let sum = 0;
    for (let i = token * dims; i < (token + 1) * dims; i++) sum += (left[i] ?? 0) * (right[i] ?? 0);
    return sum;
  });
}
