/**
 * Attribution patching: what patching would give back, to first order, for all activations at once. A first look at
 * what is computed exactly then.
 */
import type { Point } from '../../engine/contract/interventions.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import { mean } from '../../statistics/numbers.js';
import type { Budget } from '../experiment.js';
import { follow } from '../shared/text.js';

/** Attributions of the cells of a grid. */
export interface Attribution {
  /** As `recovered`; NaN where there is none. */
  readonly values: readonly (readonly number[])[];
  /** Pearson's, with what is recovered, over the cells that have both; undefined where there is none. */
  readonly correlation: number | undefined;
  /** Why there are none of some blocks, or of all, in a sentence; undefined where there is every one. */
  readonly why: string | undefined;
  readonly remarks: readonly string[];
}

/** A cell of the grid. */
export interface PatchedCell {
  readonly row: number;
  readonly column: number;
  readonly block: number;
  /** Of a head, its dims; undefined for the token of the column. */
  readonly dims: readonly number[] | undefined;
}

interface Asked extends Budget {
  readonly model: string;
  readonly clean: readonly number[];
  readonly corrupt: readonly number[];
  readonly answers: readonly [number, number];
  readonly point: Point;
}

/**
 * @param empty the grid without values
 * @returns also the logit differences of the two runs, where they could be run
 * @throws SinkscopeError `cancelled`; what keeps the gradient from being taken is said in the result
 */
export async function attributed(
  engine: Engine,
  { clean, corrupt, answers, ...asked }: Asked,
  cells: readonly PatchedCell[],
  empty: readonly (readonly number[])[],
  signal?: AbortSignal,
): Promise<Attribution & { readonly differences: readonly [clean: number, corrupt: number] | undefined }> {
  const values = empty.map((row) => [...row]);
  const remarks: string[] = [];
  let differences: readonly [number, number] | undefined;
  let whole = Number.NaN;
  let why: string | undefined;
  const request = {
    ...asked,
    clean: [...clean],
    corrupt: [...corrupt],
    answers,
    blocks: [...new Set(cells.map(({ block }) => block))],
  };
  try {
    for await (const event of follow(engine.run('attribute', request, signal))) {
      if (event.type === 'differences') {
        differences = [event.clean, event.corrupt];
        whole = event.clean - event.corrupt;
      } else if (event.type === 'blocked')
        why = `There is no attribution of block ${event.layer} and those before it: ${event.why}.`;
      else if (event.type === 'remark') remarks.push(event.text);
      else
        for (const { row, column, block, dims } of cells) {
          const line = values[row];
          if (block !== event.block || !line) continue;
          const product = dims
            ? dims.reduce((sum, dim) => sum + (event.dims[dim] ?? Number.NaN), 0)
            : (event.tokens[column] ?? Number.NaN);
          line[column] = product / whole;
        }
    }
  } catch (error) {
    if (SinkscopeError.is(error, 'cancelled') || !SinkscopeError.is(error)) throw error;
    why = error.message;
  }
  return { values, correlation: undefined, why, remarks, differences };
}

/** Pearson's correlation over the cells where both are numbers; undefined where one of them is the same everywhere. */
export function correlationOf(
  one: readonly (readonly number[])[],
  other: readonly (readonly number[])[],
  cells: readonly PatchedCell[],
): number | undefined {
  const both = cells
    .map(({ row, column }) => [one[row]?.[column] ?? Number.NaN, other[row]?.[column] ?? Number.NaN] as const)
    .filter((pair) => pair.every(Number.isFinite));
  const [x, y] = [mean(both.map(([a]) => a)), mean(both.map(([, b]) => b))];
  let [xx, yy, xy] = [0, 0, 0];
  for (const [a, b] of both) {
    xx += (a - x) ** 2;
    yy += (b - y) ** 2;
    xy += (a - x) * (b - y);
  }
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : undefined;
}
