/** A model beside the file that was made from it by quantising. */
import { emptyAnalysis } from '../../analysis/analysis.js';
import { formatFixed, formatNumber, formatShare } from '../../analysis/format.js';
import { type MassiveActivation, massiveActivations } from '../../analysis/massive.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { ReducedState } from '../../engine/contract/states.js';
import type { Engine } from '../../engine/host/engine.js';
import { greatest } from '../../statistics/numbers.js';
import type { StateDifference } from '../../statistics/statistics.js';
import { type Budget, eachAs, type Run } from '../experiment.js';
import { outlierMagnitude } from '../shared/costs.js';
import { type Comparison, compared, type Divergence, swappedInWords } from '../shared/divergence.js';
import type { Perplexity } from '../shared/perplexity.js';
import { follow, type TextWindows, textWindows } from '../shared/text.js';
import { checkTwins } from '../shared/twins.js';
import type { Windowing } from '../shared/windows.js';

export interface QuantisedRequest extends Windowing, Budget {
  /** The model as it was, and the file made from it. */
  readonly reference: string;
  readonly model: string;
  readonly text: string;
  readonly bos?: boolean;
  readonly thresholds: Thresholds;
}

export interface QuantisedResult extends Divergence {
  readonly reference: string;
  readonly model: string;
  readonly layers: number;
  readonly windows: TextWindows;
  readonly thresholds: Thresholds;
  /** ‖h′_k − h_k‖ ÷ ‖h_k‖ on the first window, by k: of all entries, and of those below `soft` × the median. */
  readonly differences: readonly StateDifference[];
  /** On the first window. */
  readonly massive: { readonly reference: readonly MassiveActivation[]; readonly model: readonly MassiveActivation[] };
  readonly perplexity: { readonly reference: Perplexity; readonly model: Perplexity };
}

/**
 * A model beside its quantised file: how far predictions and hidden states move, which blocks move them, what becomes
 * of massive entries, and perplexity. Yields what is known of it as it goes on.
 *
 * @throws SinkscopeError where text or models do not fit; `cancelled` when `signal` is aborted
 */
export async function* compareQuantised(
  engine: Engine,
  request: QuantisedRequest,
  signal?: AbortSignal,
): Run<QuantisedResult> {
  const { reference, model, thresholds, memory, threads } = request;
  await checkTwins(engine, request, signal);
  const windows = await textWindows(engine, reference, request.text, request, signal);
  const { sequences } = windows;
  const states = async (file: string, against?: string) => {
    const costs = { removed: thresholds.soft, outlier: outlierMagnitude };
    const first = sequences.slice(0, 1).map(({ ids }) => ids);
    const asked = { model: file, reference: against, sequences: first, costs, memory, threads };
    let found: readonly ReducedState[] = [];
    for await (const event of follow(engine.run('states', asked, signal)))
      if (event.type === 'states') found = event.states;
    return found;
  };
  const before = await states(reference);
  const after = await states(model, reference);
  const found = (layers: readonly ReducedState[]) => massiveActivations({ ...emptyAnalysis, layers }, thresholds);
  const known = {
    reference,
    model,
    layers: before.length - 1,
    windows,
    thresholds,
    differences: after.flatMap(({ difference }) => difference ?? []),
    massive: { reference: found(before), model: found(after) },
  };
  const resultOf = ({ divergence, perplexity }: Comparison): QuantisedResult => ({
    ...known,
    ...divergence,
    perplexity,
  });
  const asked = { reference, by: { what: 'file', model }, sequences, alone: true, memory, threads } as const;
  const run = eachAs(compared(engine, asked, signal), ({ partial, ...progress }) => {
    return { ...progress, ...(partial && { partial: resultOf(partial) }) };
  });
  return resultOf(yield* run);
}

/** Changes of perplexity from which on a file is called slightly worse, and worse. */
const noticeable = 0.01;
const costly = 0.05;
/** Of the norm of a state's entries that do not stand out: what quantising moves by less, unless nothing is left. */
const unlike = 0.5;

/** What the comparison says, and which block to look at first. */
export function quantisedConclusion(result: QuantisedResult): string {
  const { perplexity, differences, massive, kld, sqnr, layers } = result;
  if (perplexity.reference.tokens === 0)
    return `Hidden states are compared up to h_${sqnr.length - 1} of ${layers}; what that costs in predictions is not known yet.`;
  if (Number.isNaN(kld.mean)) {
    const lost = sqnr.findIndex(({ cumulative }) => !(cumulative > Number.NEGATIVE_INFINITY));
    return lost < 0
      ? 'The quantised file predicts no numbers (NaN): its output head overflows in its format.'
      : `The quantised file’s hidden states are no numbers from h_${lost} on (NaN or infinity): what overflows in its format is in ${swappedInWords(lost, layers)}.`;
  }
  const { reference, model } = perplexity;
  const worse = model.perplexity / reference.perplexity - 1;
  const verdict =
    worse <= -noticeable
      ? 'predicts this text better, but not as the model does'
      : worse < noticeable
        ? 'does as well'
        : worse < costly
          ? 'predicts slightly worse'
          : 'predicts clearly worse';
  const measured =
    `Perplexity changes by ${(100 * worse).toFixed(2).replace('-', '−')} % (${formatFixed(reference.perplexity)} to ` +
    `${formatFixed(model.perplexity)}): the quantised file ${verdict}. ${predicted(result)}`;
  const farthest = differences.reduce((best, { rest }, k) => (rest > (differences[best]?.rest ?? 0) ? k : best), 0);
  const distance = differences[farthest]?.rest ?? 0;
  if (distance > unlike) {
    return `Entries that do not stand out differ by ${formatShare(distance)} of their norm at h_${farthest}: the file was probably not made from this model, or quantising has left little of it. ${measured}`;
  }
  const rises = differences.map(({ rest }, k) => rest - (differences[k - 1]?.rest ?? 0));
  const most = rises.indexOf(greatest(rises));
  if (!((rises[most] ?? 0) > 0)) {
    const alike = kld.max === 0 ? ': it is the model itself, or computes the same' : '';
    return `${measured} No hidden state moves${alike}.`;
  }
  const appear = massive.reference.some(({ softOnset }) => softOnset === most)
    ? ', where massive activations appear'
    : '';
  const from = formatShare(differences[most - 1]?.rest ?? 0);
  const where = most === 0 ? 'the embedding' : `block ${most}`;
  const moved = `Entries that do not stand out move most in ${where}${appear}: by ${from} of their norm before it, by ${formatShare(differences[most]?.rest ?? 0)} after it.`;
  return worse < noticeable ? `${measured} ${moved}` : `${measured} ${moved} Look there first.`;
}

/** Where restoring a part takes away so much of the KLD, the part is named. */
const decisive = 0.5;

/** How far predictions move, and the part that is behind most of it. */
function predicted({ kld, sameTop, swap, layers }: QuantisedResult): string {
  const moved = `Its predictions are ${formatNumber(kld.mean)} nats from the model’s (mean KL divergence), and the most likely token is the same at ${formatShare(sameTop)}.`;
  const best = swap.reduce((least, { restored }, i) => (restored < (swap[least]?.restored ?? 0) ? i : least), 0);
  const restored = swap[best]?.restored ?? 0;
  if (!(restored < decisive * kld.mean)) return moved;
  return `${moved} With ${swappedInWords(best, layers)} of the model in it they are ${formatNumber(restored)} nats away.`;
}
