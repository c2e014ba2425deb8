/** A model beside the file that was made from it by quantising. */
import { emptyAnalysis } from '../../analysis/analysis.js';
import { formatShare } from '../../analysis/format.js';
import { type MassiveActivation, massiveActivations } from '../../analysis/massive.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { ReducedState } from '../../engine/contract/states.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import { greatest } from '../../statistics/numbers.js';
import type { StateDifference } from '../../statistics/statistics.js';
import type { Budget, Run } from '../experiment.js';
import { outlierMagnitude } from '../shared/costs.js';
import { asIs, Losses, type Perplexity } from '../shared/perplexity.js';
import { follow, progressThrough, type TextWindows, textWindows } from '../shared/text.js';
import type { Windowing } from '../shared/windows.js';

export interface QuantisedRequest extends Windowing, Budget {
  /** The model as it was, and the file made from it. */
  readonly reference: string;
  readonly model: string;
  readonly text: string;
  readonly bos?: boolean;
  readonly thresholds: Thresholds;
}

export interface QuantisedResult {
  readonly reference: string;
  readonly model: string;
  readonly windows: TextWindows;
  readonly thresholds: Thresholds;
  /** ‖h′_k − h_k‖ ÷ ‖h_k‖ on the first window, by k: of all entries, and of those below `soft` × the median. */
  readonly differences: readonly StateDifference[];
  /** On the first window. */
  readonly massive: { readonly reference: readonly MassiveActivation[]; readonly model: readonly MassiveActivation[] };
  readonly perplexity: { readonly reference: Perplexity; readonly model: Perplexity };
}

/**
 * That a file can have been made from a model, as far as can be told without a run.
 *
 * @throws SinkscopeError `input` where blocks, width, prefix token or the text's tokens differ
 */
async function checkTwins(engine: Engine, request: QuantisedRequest, signal: AbortSignal | undefined): Promise<void> {
  const { reference, model, text, bos } = request;
  const [before, after] = [await engine.inspect(reference, signal), await engine.inspect(model, signal)];
  const refused = (difference: string) =>
    new SinkscopeError({
      code: 'input',
      file: model,
      message: `${model} cannot be compared with ${reference}: ${difference}; compare a model with its own quantised file, which has the same tokenizer files.`,
    });
  const { layers, hidden } = before.model;
  const other = after.model;
  if (other.layers !== layers) throw refused(`it has ${other.layers} blocks, and the model ${layers}`);
  // 0: not found, which is no difference.
  if (other.hidden !== hidden && other.hidden * hidden > 0)
    throw refused(`its hidden states have ${other.hidden} dims, and the model’s ${hidden}`);
  const encoded = await engine.encode(reference, text, { signal });
  // A quantised file may lie in a folder of its own, without the tokenizer that it shares with the model.
  const own = await engine.encode(model, text, { signal }).catch((error) => {
    if (SinkscopeError.is(error, 'tokenizer')) return undefined;
    throw error;
  });
  if (own === undefined) return;
  const named = (prefix: number | undefined) => (prefix === undefined ? 'no prefix token' : `prefix token ${prefix}`);
  if (bos !== false && own.prefix !== encoded.prefix)
    throw refused(`its folder names ${named(own.prefix)}, and the model’s ${named(encoded.prefix)}`);
  if (own.ids.length !== encoded.ids.length || own.ids.some((id, i) => id !== encoded.ids[i]))
    throw refused('its tokenizer makes other tokens of this text');
}

/**
 * A model beside its quantised file: how far hidden states move, what becomes of massive entries, and perplexity.
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
    for await (const event of follow(engine.states(asked, signal))) if (event.type === 'states') found = event.states;
    return found;
  };
  const of = 2 * sequences.length;
  const measured = { reference: new Losses(), model: new Losses() };
  for (const [i, [file, losses]] of [
    [reference, measured.reference] as const,
    [model, measured.model] as const,
  ].entries()) {
    const scored = sequences.map((sequence) => ({ ...sequence, variants: [asIs] }));
    const progress = progressThrough('measuring', sequences.length);
    for await (const event of follow(engine.measure({ model: file, sequences: scored, memory, threads }, signal))) {
      if (event.type === 'measured') losses.add(event.losses);
      const { done, ...rest } = progress(event);
      yield { ...rest, done: i * sequences.length + done, of };
    }
  }
  const before = await states(reference);
  const after = await states(model, reference);
  const found = (layers: readonly ReducedState[]) => massiveActivations({ ...emptyAnalysis, layers }, thresholds);
  return {
    reference,
    model,
    windows,
    thresholds,
    differences: after.flatMap(({ difference }) => difference ?? []),
    massive: { reference: found(before), model: found(after) },
    perplexity: { reference: measured.reference.perplexity, model: measured.model.perplexity },
  };
}

/** Changes of perplexity from which on a file is called slightly worse, and worse. */
const noticeable = 0.01;
const costly = 0.05;
/** Of the norm of a state's entries that do not stand out: what quantising moves by less, unless nothing is left. */
const unlike = 0.5;

/** What the comparison says, and which block to look at first. */
export function quantisedConclusion({ perplexity, differences, massive }: QuantisedResult): string {
  const { reference, model } = perplexity;
  const worse = model.perplexity / reference.perplexity - 1;
  const verdict =
    worse < noticeable ? 'does as well' : worse < costly ? 'predicts slightly worse' : 'predicts clearly worse';
  const measured =
    `Perplexity changes by ${(100 * worse).toFixed(2).replace('-', '−')} % (${reference.perplexity.toFixed(2)} to ` +
    `${model.perplexity.toFixed(2)}): the quantised file ${verdict}.`;
  const farthest = differences.reduce((best, { rest }, k) => (rest > (differences[best]?.rest ?? 0) ? k : best), 0);
  const distance = differences[farthest]?.rest ?? 0;
  if (distance > unlike) {
    return `Entries that do not stand out differ by ${formatShare(distance)} of their norm at h_${farthest}: the file was probably not made from this model, or quantising has left little of it. ${measured}`;
  }
  const rises = differences.map(({ rest }, k) => rest - (differences[k - 1]?.rest ?? 0));
  const most = rises.indexOf(greatest(rises));
  if (!((rises[most] ?? 0) > 0)) return `${measured} No hidden state moves.`;
  const appear = massive.reference.some(({ softOnset }) => softOnset === most)
    ? ', where massive activations appear'
    : '';
  const from = formatShare(differences[most - 1]?.rest ?? 0);
  const where = most === 0 ? 'the embedding' : `block ${most}`;
  return `${measured} Entries that do not stand out move most in ${where}${appear}: by ${from} of their norm before it, by ${formatShare(differences[most]?.rest ?? 0)} after it. Look there first.`;
}
