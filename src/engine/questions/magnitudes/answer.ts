import { pooled } from '../../../statistics/pooled.js';
import { floats, rowsOf, sliceRows, type Value } from '../../tensors/value.js';
import type { Answerer, Inside } from '../inside.js';

/** @throws SinkscopeError `input` for a layer or token that is not there */
export const answerMagnitudes: Answerer<'magnitudes'> = async (run, { over, at, most }) => {
  if (over === 'layers') {
    run.checkToken(at);
    const rows = await layersOf(run, at);
    const dims = rows[0]?.length ?? 0;
    const all = new Float32Array(rows.length * dims);
    for (const [layer, row] of rows.entries()) all.set(row, layer * dims);
    return pooled(all, rows.length, dims, most);
  }
  const state = sliceRows(await run.state(at), 0, run.tokens);
  return pooled(floats(state), run.tokens, rowsOf(state).dims, most);
};

/** The token's rows of h_0 … h_L. Where they are not all at hand the blocks run once more, through all of them in one go. */
async function layersOf(run: Inside, token: number): Promise<Float32Array[]> {
  const { layers } = run.loaded.anatomy;
  const rows: Float32Array[] = [];
  const take = (layer: number, state: Value) => {
    rows[layer] = floats(sliceRows(run.rows(state), token, token + 1)).slice();
  };
  const at = (layer: number) => run.values.get(run.residual(layer));
  const known = Array.from({ length: layers + 1 }, (_, layer) => at(layer));
  if (known.every((state) => state !== undefined)) {
    for (const [layer, state] of known.entries()) take(layer, state);
    return rows;
  }
  const body = run.plan.stages.filter(({ first }) => first <= layers);
  const embedded = at(0);
  if (embedded) take(0, embedded);
  for await (const { stage, results } of run.run(body, false)) {
    for (let layer = stage.first; layer <= stage.last; layer++) {
      take(layer, results.get(run.residual(layer)) ?? run.value(run.residual(layer)));
    }
  }
  return rows;
}
