/** The rules of `sinkscope check`: pure functions from what was measured to a verdict. */
import { formatNumber, formatRatio, formatShare } from '../analysis/format.js';
import type { QuantisedResult } from '../experiments/compare-quantised/compute.js';
import type { PrecisionResult } from '../experiments/precision/compute.js';
import { headroom, pointName, tightest } from '../experiments/precision/passport.js';
import { least } from '../statistics/numbers.js';
import type { Verdict } from './verdicts.js';

type Compared = Pick<QuantisedResult, 'kld' | 'sameTop' | 'swap' | 'sqnr'>;

/** A token by its index in the text, the prefix token 0, and what it is in quotes. */
export interface PlacedToken {
  readonly token: number;
  readonly text: string;
}

/** Tokens of a comparison that verdicts name. */
export interface Evidence {
  /** By k, the entry of h_k that the file's block k moves most by itself. */
  readonly moved: readonly ((PlacedToken & { readonly dim: number }) | undefined)[];
  /** After which predictions are farthest from the model's. */
  readonly worst: PlacedToken | undefined;
}

/** What is no number keeps no rule. */
const isAbove = (value: number, limit: number) => !(value <= limit);
const isBelow = (value: number, limit: number) => !(value >= limit);

/** How many times the largest activation fits below the largest number of fp16. */
export function headroomVerdict({ points, layers }: PrecisionResult, limit: number): Verdict {
  const tight = tightest(points);
  if (!tight) return nothing('min-fp16-headroom', limit, 'No activation could be looked at.');
  const value = headroom(tight, 'fp16');
  const { block, max, nonFinite } = tight;
  const { token, dim } = placeOf(tight);
  const broken = isBelow(value, limit);
  const at = place(token, dim);
  const what =
    nonFinite > 0
      ? `${pointName(tight, layers)} has ${notFinite(nonFinite)}, the first at ${at}`
      : `|x| = ${formatNumber(max)} in ${pointName(tight, layers)}, ${at}`;
  const message = `fp16 headroom is ${formatRatio(value)}, ${broken ? 'below' : 'at least'} ${formatRatio(limit)}: ${what}.`;
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
  const { block, nonFinite } = most;
  const { token, dim } = placeOf(most);
  const value = ratioOf(most);
  const broken = isAbove(value, limit);
  const message =
    nonFinite > 0
      ? `h_${block} has ${notFinite(nonFinite)}, so that no ratio is at most ${formatRatio(limit)}: the first at ${place(token, dim)}.`
      : `The largest entry of h_${block} is ${formatRatio(value)} the median, ${broken ? 'above' : 'at most'} ${formatRatio(limit)}, ${place(token, dim)}.`;
  return { rule: 'max-massive-ratio', broken, value, limit, layer: block, token, dim, message };
}

/** Mean KL divergence from the model that a file was made from. */
export function kldVerdict(result: Compared, evidence: Evidence, limit: number): Verdict {
  const value = result.kld.mean;
  const broken = isAbove(value, limit);
  const { where, message } = blame(result, evidence);
  const said = Number.isNaN(value)
    ? `KL divergence is no number (NaN), so that it is not at most ${formatNumber(limit)}${message}.`
    : `KL divergence is ${formatNumber(value)} nats, ${broken ? 'above' : 'at most'} ${formatNumber(limit)}${message}.`;
  return { rule: 'max-kld', broken, value, limit, ...where, ...withNote(said, result) };
}

/** Share of tokens after which both have the same most likely one. */
export function sameTopVerdict(result: Compared, evidence: Evidence, limit: number): Verdict {
  const value = result.sameTop;
  const broken = isBelow(value, limit);
  const { where, message } = blame(result, evidence);
  const said = `The most likely next token is the same at ${formatShare(value)} of tokens, ${broken ? 'below' : 'at least'} ${formatShare(limit)}${message}.`;
  return { rule: 'min-same-top', broken, value, limit, ...where, ...withNote(said, result) };
}

/** Where the largest entry is, or the first that is no finite number. */
const placeOf = ({ token, dim, firstNonFinite }: PrecisionResult['points'][number]) => firstNonFinite ?? { token, dim };

const notFinite = (count: number) =>
  count === 1 ? 'one entry that is not finite' : `${formatNumber(count)} entries that are not finite`;

const nothing = (rule: Verdict['rule'], limit: number, message: string): Verdict => {
  return { rule, broken: true, value: Number.NaN, limit, message };
};

const place = (token: number | undefined, dim: number) =>
  token === undefined ? `dim ${dim}` : `token ${token}, dim ${dim}`;

/**
 * The part that is behind the divergence: the one whose exchange brings the file nearest to the model, or where there is
 * none the first that makes no numbers. 0 is the embedding, L + 1 the head.
 */
function worstPart({ swap, kld, sqnr }: Compared): number | undefined {
  const restored = swap.map((one) => one.restored);
  const numbers = restored.filter((nats) => !Number.isNaN(nats));
  const lowest = least(numbers);
  if (numbers.length > 0 && (Number.isNaN(kld.mean) || lowest < kld.mean)) return restored.indexOf(lowest);
  const lost = sqnr.findIndex(({ cumulative }) => Number.isNaN(cumulative));
  return lost < 0 ? undefined : lost;
}

/** Of two that do the same a rule says nothing, which a job that is given one file twice has to be told. */
function withNote(message: string, { kld, sqnr }: Compared): Pick<Verdict, 'message' | 'note'> {
  if (kld.max !== 0 || sqnr.some(({ cumulative }) => cumulative !== Number.POSITIVE_INFINITY)) return { message };
  const note = 'No hidden state differs: it is the model that it is held against itself, or computes the same.';
  return { message: `${message} ${note}`, note };
}

/** Where the divergence comes from and where it shows, for machines and in words. */
function blame(
  result: Compared,
  { moved, worst }: Evidence,
): { where: Pick<Verdict, 'layer' | 'token' | 'dim'>; message: string } {
  const { swap, kld } = result;
  const layer = worstPart(result);
  const part = layer === 0 ? 'the embedding' : layer === swap.length - 1 ? 'the output head' : `block ${layer}`;
  const entry = layer === undefined ? undefined : moved[layer];
  const restored = layer === undefined ? Number.NaN : (swap[layer]?.restored ?? Number.NaN);
  const shows = kld.max > 0 || Number.isNaN(kld.max) ? worst : undefined;
  const parts = [
    ...(Number.isNaN(restored)
      ? []
      : [`with ${part} of the model it was made from KL divergence would be ${formatNumber(restored)} nats`]),
    ...(entry ? [`by itself ${part} moves dim ${entry.dim} of token ${entry.token} (${entry.text}) most`] : []),
    ...(shows
      ? [
          `predictions ${Number.isNaN(kld.max) ? 'are no numbers, the first' : 'are farthest apart'} after token ${shows.token} (${shows.text})`,
        ]
      : []),
  ];
  const where = entry ? { token: entry.token, dim: entry.dim } : { token: shows?.token };
  return { where: { layer, ...where }, message: parts.map((one) => `; ${one}`).join('') };
}
