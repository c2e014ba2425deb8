/** Super weights (arXiv:2411.07191): single scalars of an MLP's last weight that make a massive activation alone. */
import { formatAligned, formatNumber, formatRatio, formatShare } from '../../analysis/format.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { WeightScalar } from '../../engine/contract/request.js';
import type { SpikesEvent } from '../../engine/contract/spikes.js';
import type { Engine } from '../../engine/host/engine.js';
import type { Budget, Progress } from '../experiment.js';
import { asIs, type Perplexity } from '../shared/perplexity.js';
import { follow, type TextWindows } from '../shared/text.js';
import { score } from '../shared/variants.js';

/** [row, column] of the [out, in] matrix that a block's MLP ends in. */
export interface SuperWeight extends WeightScalar {
  readonly value: number;
  /** Of the product's largest entry, what this scalar makes: W[row, column] · x[column] ÷ y[row]. */
  readonly share: number;
  /** That entry's magnitude ÷ the lower median of the product's. */
  readonly ratio: number;
  readonly token: number;
  /** The product's node and its weight, as in the file. */
  readonly node: string;
  readonly stored: string;
  /** Of the text, without this one scalar. */
  readonly without: Perplexity;
}

export interface SuperWeights {
  /** In the order in which they were found: each is the largest of a run without those before. */
  readonly found: readonly SuperWeight[];
  /** Without all of them; undefined where there are fewer than two. */
  readonly together: Perplexity | undefined;
  /** Blocks whose MLP does not end in one plain product. */
  readonly unseen: number;
  /** Whether another might have been found: as many as are looked for were. */
  readonly cut: boolean;
}

/** The paper finds up to six in a model. */
const most = 6;
/** Of an entry that a scalar is said to make. */
const leastShare = 0.5;

/**
 * Finds super weights by one run each, and measures perplexity without them.
 *
 * @param ids what they are looked for on, prefix included
 * @param layers of the model
 */
export async function* findSuperWeights(
  engine: Engine,
  request: Budget & { readonly model: string; readonly thresholds: Pick<Thresholds, 'soft'> },
  { ids, windows, layers }: { readonly ids: readonly number[]; readonly windows: TextWindows; readonly layers: number },
  signal?: AbortSignal,
): AsyncGenerator<Progress, SuperWeights, void> {
  const { model, thresholds, memory, threads } = request;
  const found: Omit<SuperWeight, 'without'>[] = [];
  let seen = 0;
  while (found.length < most) {
    yield { phase: 'looking for super weights', done: found.length, of: most };
    const without = found.map(scalarOf);
    const spikes: SpikesEvent[] = [];
    for await (const event of follow(engine.run('spikes', { model, ids: [...ids], without, memory, threads }, signal)))
      if (event.type === 'spikes') spikes.push(event);
    seen = spikes.length;
    const next = spikes
      .flatMap((spike) => superWeightOf(spike, thresholds.soft))
      .reduce<(typeof found)[number] | undefined>(
        (best, one) => (best && best.ratio >= one.ratio ? best : one),
        undefined,
      );
    if (!next) break;
    found.push(next);
  }
  const measured = async function* (without: readonly WeightScalar[]) {
    const [row] = yield* score(engine, { ...request, without }, windows, () => [asIs], [], signal);
    if (!row) throw new Error('nothing was scored');
    const { name: _, ...perplexity } = row;
    return perplexity;
  };
  const each: SuperWeight[] = [];
  for (const one of found) each.push({ ...one, without: yield* measured([scalarOf(one)]) });
  const together = found.length > 1 ? yield* measured(found.map(scalarOf)) : undefined;
  return { found: each, together, unseen: layers - seen, cut: found.length === most };
}

const scalarOf = ({ block, row, column }: WeightScalar): WeightScalar => ({ block, row, column });

/** What a spike of a block's last product comes from, where it is one scalar. */
function superWeightOf({ block, node, stored, input, output, weight }: SpikesEvent, soft: number) {
  const share = (weight * input.value) / output.value;
  const ratio = Math.abs(output.value) / output.median;
  const stands = ratio >= soft && Math.abs(input.value) >= soft * input.median;
  if (input.token !== output.token || !stands || !(share >= leastShare)) return [];
  const { token } = output;
  return [{ block, row: output.dim, column: input.dim, value: weight, share, ratio, token, node, stored }];
}

/** What the first of them does, in a sentence; empty where there is none. */
export function superConclusion({ found }: Pick<SuperWeights, 'found'>, plain: number): string {
  const [first] = found;
  if (!first) return '';
  const { block, row, column, value, share, ratio, without } = first;
  const others = found.length === 1 ? '' : ` (and ${found.length - 1} more)`;
  return (
    `One scalar${others}, [${row}, ${column}] of the last weight of block ${block} (${value.toPrecision(3).replace('-', '−')}), makes ${formatShare(share)} of an entry of ${formatRatio(ratio)} the median; ` +
    `without it perplexity is ${formatNumber(without.perplexity)}, ${formatAligned(without.perplexity / plain)} × what it was.`
  );
}
