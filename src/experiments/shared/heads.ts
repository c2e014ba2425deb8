/** The heads of a model, as slices of what its output projections read. */
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';

export interface HeadSlice {
  /** 1-based. */
  readonly block: number;
  readonly head: number;
  /** Of the point `z`, [T, heads · head_dim]. */
  readonly dims: readonly number[];
}

/**
 * Every head of every block that attends.
 *
 * @throws SinkscopeError `input` where there are none, or the file does not tell how many a block has
 */
export async function headSlices(engine: Engine, model: string, signal?: AbortSignal): Promise<readonly HeadSlice[]> {
  const { blocks } = (await engine.inspect(model, signal, { takes: 'text' })).anatomy;
  const slices = blocks.flatMap(({ attention }, index) => {
    if (!attention) return [];
    const { heads, headDim } = attention;
    if (heads === undefined || headDim === undefined) {
      throw new SinkscopeError({
        code: 'input',
        file: model,
        message: `${model} does not tell how many heads block ${index + 1} has, so they cannot be changed one by one.`,
      });
    }
    return Array.from({ length: heads }, (_, head) => ({
      block: index + 1,
      head,
      dims: Array.from({ length: headDim }, (_, d) => head * headDim + d),
    }));
  });
  if (slices.length > 0) return slices;
  throw new SinkscopeError({
    code: 'input',
    file: model,
    message: `${model} has no attention that was found, hence no heads to change.`,
  });
}
