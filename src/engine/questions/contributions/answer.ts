import { SinkscopeError } from '../../../errors.js';
import type { AnswerTo } from '../../contract/questions.js';
import { lastColumn } from '../../stages/column.js';
import { floats, rowsOf, sliceRows } from '../../tensors/value.js';
import { type Answerer, checkIndex, type Inside, valueNamed } from '../inside.js';

type Part = AnswerTo<'contributions'>['parts'][number];

/** Weights that are named of each part. */
const most = 8;

/**
 * @throws SinkscopeError `input` where there is no such token or dim, or the stream is kept in copies
 */
export const answerContributions: Answerer<'contributions'> = async (run, { token, dim }) => {
  const { anatomy, file } = run.loaded;
  run.checkToken(token);
  if (anatomy.copies) {
    throw new SinkscopeError({
      code: 'input',
      file,
      message: `${file} keeps several copies of its residual stream, of which one alone is shown, so what is added to it cannot be told by parts.`,
    });
  }
  const entryOf = async (layer: number) => {
    const state = await run.state(layer);
    checkIndex('dim', dim, 0, rowsOf(state).dims - 1);
    return floats(sliceRows(state, token, token + 1))[dim] ?? Number.NaN;
  };
  const hidden = [await entryOf(0)];
  const parts: Part[] = [];
  for (const [i, { attention, mlpIntermediate, residMid, additive }] of anatomy.blocks.entries()) {
    const block = i + 1;
    const before = hidden.at(-1) ?? Number.NaN;
    const after = await entryOf(block);
    hidden.push(after);
    const hasMlp = mlpIntermediate !== undefined || residMid !== undefined;
    const add = async (part: Part['part'], added: number, by?: 'attn_out' | 'mlp_out') => {
      const made = by && (await madeOf(run, block, by, { token, dim, added }));
      parts.push({ part, block, added, ...(made && { made }) });
    };
    if (attention?.output !== undefined && hasMlp && additive) {
      const value = valueNamed(await run.inside(block, [attention.output]), attention.output);
      const own = floats(sliceRows(value, token, token + 1))[dim] ?? Number.NaN;
      await add('attention', own, 'attn_out');
      await add('mlp', after - before - own, 'mlp_out');
    } else if (attention && (hasMlp || !additive)) await add('block', after - before);
    else await add(attention ? 'attention' : 'mlp', after - before, attention ? 'attn_out' : 'mlp_out');
  }
  return { hidden: Float32Array.from(hidden), parts };
};

/** What a part's last product makes of each entry that it reads. */
async function madeOf(
  run: Inside,
  block: number,
  part: 'attn_out' | 'mlp_out',
  { token, dim, added }: { readonly token: number; readonly dim: number; readonly added: number },
): Promise<Part['made']> {
  const found = await lastColumn(run.loaded, run.threads, block, part, dim);
  if (!found) return undefined;
  const { tensor, weight, column } = found;
  const value = valueNamed(await run.inside(block, [tensor]), tensor);
  const read = floats(sliceRows(value, token, token + 1));
  if (column.length !== read.length) return undefined;
  const products = Array.from(read, (one, i) => one * (column[i] ?? Number.NaN));
  const largest = [...products.keys()].toSorted((a, b) => Math.abs(products[b] ?? 0) - Math.abs(products[a] ?? 0));
  return {
    weight,
    entries: largest.slice(0, most).map((at) => ({ column: at, read: read[at] ?? 0, value: column[at] ?? 0 })),
    rest: added - products.reduce((sum, one) => sum + one, 0),
  };
}
