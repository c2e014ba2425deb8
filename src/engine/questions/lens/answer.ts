import { SinkscopeError } from '../../../errors.js';
import type { Prediction } from '../../contract/events.js';
import { predictionsOf } from '../../stages/head.js';
import { withoutHead } from '../../stages/lacking.js';
import { type Answerer, type Inside, valueNamed } from '../inside.js';

/** @throws SinkscopeError `input` where the model predicts no tokens, or there is no such layer or point */
export const answerLens: Answerer<'lens'> = async (run, { layer, point, top }) => {
  const { loaded, head, tokens } = run;
  const { anatomy } = loaded;
  run.checkLayer(layer);
  if (!loaded.predicts || !head) throw withoutHead(loaded.file, 'there is no logit lens');
  const state = point === 'resid_mid' ? await midState(run, layer) : await run.whole(layer);
  // A head that needs more than the residual finds it with the last one.
  await run.state(anatomy.layers);
  const values = new Map([...run.values, [run.residual(anatomy.layers), state]]);
  const rows: Prediction[][] = [];
  const tokenizer = loaded.tokenizer();
  for await (const { from, to, logits } of head.parts(values, 0, tokens, run.keep)) {
    const width = logits.length / (to - from);
    for (let row = 0; row < to - from; row++) {
      rows.push(predictionsOf(logits.subarray(row * width, (row + 1) * width), tokenizer, { count: top }));
    }
  }
  return { rows };
};

async function midState(run: Inside, layer: number) {
  const mid = run.loaded.anatomy.blocks[layer - 1]?.residMid;
  if (mid === undefined || run.loaded.anatomy.copies) {
    throw new SinkscopeError({ code: 'input', message: `Block ${layer} has no resid_mid; choose resid_post.` });
  }
  return valueNamed(await run.inside(layer, [mid]), mid);
}
