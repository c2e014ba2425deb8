/**
 * The paper's validation of its first finding (arXiv:2405.17799): blocks pruned in proportion to their sparsity against
 * all of them alike, at the same total.
 */
import { formatNumber, formatShare } from '../../analysis/format.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import { greatest, sum } from '../../statistics/numbers.js';
import type { Budget, Progress } from '../experiment.js';
import { asIs, Losses, type Perplexity } from '../shared/perplexity.js';
import { follow } from '../shared/text.js';

/** Which share of a block's parameters is below the threshold. */
export interface Sparsity {
  readonly layer: number;
  readonly parameters: number;
  readonly sparsity: number;
}

export interface Pruning {
  /** Of all parameters. */
  readonly share: number;
  /** By block, in proportion to its sparsity. */
  readonly shares: readonly number[];
  /** Of the sequences that levels are of. */
  readonly asIs: Perplexity;
  readonly uniform: Perplexity;
  readonly bySparsity: Perplexity;
}

interface Asked extends Budget {
  readonly model: string;
  readonly share: number;
  readonly sequences: readonly (readonly number[])[];
}

/** @throws SinkscopeError `input` where blocks have no sparsity, or one would be left without any parameter */
export function sharesOf(blocks: readonly Sparsity[], share: number): readonly number[] {
  const all = sum(blocks.map(({ parameters }) => parameters));
  const sparse = sum(blocks.map(({ parameters, sparsity }) => parameters * sparsity));
  if (!(sparse > 0)) {
    throw new SinkscopeError({
      code: 'input',
      message: 'Every parameter is above 1e-5, so no block is sparser than another; there is nothing to prune by.',
    });
  }
  const shares = blocks.map(({ sparsity }) => (share * all * sparsity) / sparse);
  const largest = greatest(shares);
  if (largest <= 1) return shares;
  const layer = blocks[shares.indexOf(largest)]?.layer;
  throw new SinkscopeError({
    code: 'input',
    message: `In proportion to its sparsity block ${layer} would lose all of its parameters and more; prune at most ${(Math.floor((100 * share) / largest) / 100).toFixed(2)}.`,
  });
}

/** @throws SinkscopeError as {@link sharesOf}, and where the model's products cannot be pruned */
export async function* pruneBlocks(
  engine: Engine,
  { model, share, sequences, memory, threads }: Asked,
  blocks: readonly Sparsity[],
  signal?: AbortSignal,
): AsyncGenerator<Progress, Pruning, void> {
  const shares = sharesOf(blocks, share);
  const scored = sequences
    .filter(({ length }) => length > 1)
    .map((ids) => ({ ids: [...ids], from: 1, variants: [asIs] }));
  const ways = [undefined, blocks.map(() => share), [...shares]];
  const found: Perplexity[] = [];
  for (const prune of ways) {
    const losses = new Losses();
    yield { phase: 'pruning', done: found.length, of: ways.length };
    const request = { model, sequences: scored, ...(prune && { prune }), memory, threads };
    for await (const event of follow(engine.run('measure', request, signal)))
      if (event.type === 'measured') losses.add(event.losses);
    found.push(losses.perplexity);
  }
  const [whole, uniform, bySparsity] = found;
  if (!whole || !uniform || !bySparsity) throw new Error('nothing was measured');
  return { share, shares, asIs: whole, uniform, bySparsity };
}

export function pruningInWords({ share, asIs: whole, uniform, bySparsity }: Pruning): string {
  const figures = `${formatNumber(bySparsity.perplexity)} by sparsity, ${formatNumber(uniform.perplexity)} uniformly, ${formatNumber(whole.perplexity)} as it is`;
  const pruned = `with ${formatShare(share)} of the parameters pruned`;
  return bySparsity.perplexity < uniform.perplexity
    ? `Pruning sparse blocks more costs less than pruning all alike, as in the paper: perplexity ${pruned} is ${figures}.`
    : `That pruning sparse blocks more costs less than pruning all alike does not appear: perplexity ${pruned} is ${figures}.`;
}
