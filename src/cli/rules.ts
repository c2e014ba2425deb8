/** The rules of `sinkscope check`: pure functions from what was measured to a verdict. */
import { formatNumber, formatRatio, formatShare } from '../analysis/format.js';
import type { QuantisedResult } from '../experiments/compare-quantised/compute.js';
import type { PrecisionResult } from '../experiments/precision/compute.js';
import { headroom, pointName, tightest } from '../experiments/precision/passport.js';
import { least } from '../statistics/numbers.js';
import type { Verdict } from './verdicts.js';

type Compared = Pick<QuantisedResult, 'kld' | 'sameTop' | 'swap'>;

/** What is no number keeps no rule. */
const isAbove = (value: number, limit: number) => !(value <= limit);
const isBelow = (value: number, limit: number) => !(value >= limit);

/** How many times the largest activation fits below the largest number of fp16. */
export function headroomVerdict({ points, layers }: PrecisionResult, limit: number): Verdict {
  const tight = tightest(points);
  if (!tight) return nothing('min-fp16-headroom', limit, 'No activation could be looked at.');
  const value = headroom(tight, 'fp16');
  const { block, token, dim, max, nonFinite } = tight;
  const broken = isBelow(value, limit);
  const what = nonFinite > 0 ? `${formatNumber(nonFinite)} entries that are not finite` : `|x| = ${formatNumber(max)}`;
  const message = `fp16 headroom is ${formatRatio(value)}, ${broken ? 'below' : 'at least'} ${formatRatio(limit)}: ${what} in ${pointName(tight, layers)}${place(token, dim)}.`;
  return { rule: 'min-fp16-headroom', broken, value, limit, layer: block, token, dim, message };
}

/** The largest entry of a hidden state over its median. */
export function ratioVerdict({ points }: PrecisionResult, limit: number): Verdict {
  const states = points.filter(({ point }) => point === 'resid_post');
  const ratioOf = ({ max, median, nonFinite }: (typeof states)[number]) =>
    nonFinite > 0 ? Number.POSITIVE_INFINITY : max / median;
  const most = states.reduce<(typeof states)[number] | undefined>(
    (largest, state) => (largest && ratioOf(largest) >= ratioOf(state) ? largest : state),
    undefined,
  );
  if (!most) return nothing('max-massive-ratio', limit, 'No hidden state could be looked at.');
  const { block, token, dim } = most;
  const value = ratioOf(most);
  const broken = isAbove(value, limit);
  const message = `The largest entry of h_${block} is ${formatRatio(value)} the median, ${broken ? 'above' : 'at most'} ${formatRatio(limit)}${place(token, dim)}.`;
  return { rule: 'max-massive-ratio', broken, value, limit, layer: block, token, dim, message };
}

/** Mean KL divergence from the model that a file was made from. */
export function kldVerdict(result: Compared, limit: number): Verdict {
  const value = result.kld.mean;
  const broken = isAbove(value, limit);
  const layer = worstBlock(result);
  const message = `KL divergence is ${formatNumber(value)} nats, ${broken ? 'above' : 'at most'} ${formatNumber(limit)}${blame(result, layer)}.`;
  return { rule: 'max-kld', broken, value, limit, layer, message };
}

/** Share of tokens after which both have the same most likely one. */
export function sameTopVerdict(result: Compared, limit: number): Verdict {
  const value = result.sameTop;
  const broken = isBelow(value, limit);
  const layer = worstBlock(result);
  const message = `The most likely next token is the same at ${formatShare(value)} of tokens, ${broken ? 'below' : 'at least'} ${formatShare(limit)}${blame(result, layer)}.`;
  return { rule: 'min-same-top', broken, value, limit, layer, message };
}

const nothing = (rule: string, limit: number, message: string): Verdict => {
  return { rule, broken: true, value: Number.NaN, limit, message };
};

const place = (token: number | undefined, dim: number) =>
  token === undefined ? `, dim ${dim}` : `, token ${token}, dim ${dim}`;

/** The part whose exchange brings the file nearest to the model: 0 is the embedding, L + 1 the head. */
function worstBlock({ swap, kld }: Compared): number | undefined {
  const restored = swap.map((one) => one.restored);
  const lowest = least(restored);
  return lowest < kld.mean ? restored.indexOf(lowest) : undefined;
}

function blame({ swap }: Compared, block: number | undefined): string {
  if (block === undefined) return '';
  const part = block === 0 ? 'the embedding' : block === swap.length - 1 ? 'the output head' : `block ${block}`;
  return `; with ${part} of the model it was made from it would be ${formatNumber(swap[block]?.restored ?? Number.NaN)} nats`;
}
