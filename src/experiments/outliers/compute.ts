/** What massive activations and outlier features cost a model that is quantised. */
import { emptyAnalysis } from '../../analysis/analysis.js';
import { formatShare } from '../../analysis/format.js';
import { type MassiveActivation, massiveActivations } from '../../analysis/massive.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { Place, ReducedState } from '../../engine/contract/states.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import type { Int8Errors, StateDifference } from '../../statistics/statistics.js';
import type { Budget } from '../before/experiment.js';
import { Losses, type Perplexity } from '../shared/perplexity.js';
import { encoded, going, type TextWindows, textWindows } from '../shared/text.js';
import type { Step } from '../shared/variants.js';
import type { Windowing } from '../shared/windows.js';

/** LLM.int8() (arXiv:2208.07339): magnitude, share of layers and share of positions of an outlier feature. */
export const outlierCriteria = { magnitude: 6, layers: 0.25, positions: 0.06 } as const;

export interface OutliersRequest extends Budget {
  readonly model: string;
  readonly text: string;
  /** How many of the text's first tokens are run, prefix counted. */
  readonly tokens: number;
  readonly bos?: boolean;
  readonly thresholds: Thresholds;
}

export interface OutliersResult {
  readonly model: string;
  readonly tokens: number;
  readonly prefix: number | undefined;
  readonly thresholds: Thresholds;
  readonly hidden: number;
  /** Vectors: dims with some |h_k| ≥ 6 in at least a quarter of the states, and at 6 % of all (state, token) pairs. */
  readonly outlierDims: readonly number[];
  /** Scalars. */
  readonly massive: readonly MassiveActivation[];
  /** Of every residual point, in the order of the model; entries of at least `soft` × the median are those removed. */
  readonly int8: readonly (Int8Errors & ResidualPoint)[];
}

/** h_k (`resid_post`), or what block k has between attention and MLP (`resid_mid`). */
export interface ResidualPoint {
  readonly layer: number;
  readonly point: 'resid_post' | 'resid_mid';
}

/** As people say it: `h_4`, `mid_4`. */
export const residualName = ({ layer, point }: ResidualPoint) => `${point === 'resid_post' ? 'h' : 'mid'}_${layer}`;

/**
 * Outlier features beside massive activations, and the int8 error of every residual point with and without the latter.
 *
 * @throws SinkscopeError `input` for a text without tokens
 */
export async function outliers(
  engine: Engine,
  request: OutliersRequest,
  signal?: AbortSignal,
): Promise<OutliersResult> {
  const { model, thresholds, memory, threads } = request;
  const { ids, prefix } = await encoded(engine, model, request.text, request, signal);
  const sequence = [...(prefix === undefined ? [] : [prefix]), ...ids].slice(0, request.tokens);
  const costs = { removed: thresholds.soft, outlier: outlierCriteria.magnitude };
  const { blocks } = (await engine.inspect(model, signal)).anatomy;
  const places = [0, ...blocks.map((_, i) => i + 1)].flatMap((block): Place[] => {
    const mid = blocks[block - 1]?.residMid !== undefined;
    return [...(mid ? [{ point: 'resid_mid', block } as const] : []), { point: 'resid_post', block }];
  });
  const run = engine.states({ model, sequences: [sequence], places, costs, memory, threads }, signal);
  let all: readonly ReducedState[] = [];
  for await (const event of going(run)) if (event.type === 'states') all = event.states;
  const states = all.filter(({ point }) => point === 'resid_post');
  return {
    model,
    tokens: sequence.length,
    prefix,
    thresholds,
    hidden: states[0]?.dims ?? 0,
    outlierDims: outlierDims(states),
    massive: massiveActivations({ ...emptyAnalysis, layers: states }, thresholds),
    int8: all.flatMap(({ costs, block, point }) =>
      costs ? [{ ...costs.int8, layer: block, point: point === 'resid_mid' ? point : 'resid_post' }] : [],
    ),
  };
}

/** From how many tokens reach the magnitude, by state and dim. */
function outlierDims(states: readonly ReducedState[]): number[] {
  const counts = states.flatMap((state) => (state.costs ? [state.costs.outliers] : []));
  const positions = states.reduce((sum, { tokens }) => sum + tokens, 0);
  return Array.from({ length: states[0]?.dims ?? 0 }, (_, dim) => dim).filter((dim) => {
    const layers = counts.filter((count) => count[dim] > 0).length;
    const total = counts.reduce((sum, count) => sum + count[dim], 0);
    return layers >= outlierCriteria.layers * counts.length && total >= outlierCriteria.positions * positions;
  });
}

/** What the numbers say, in two sentences. */
export function outliersConclusion({ outlierDims, massive, int8, hidden }: OutliersResult): string {
  const scalars = massive.filter(({ kind }) => kind === 'massive').length;
  const found = `Outlier features (vectors): ${outlierDims.length} of ${hidden} dims. Massive activations (scalars): ${scalars}, and ${massive.length - scalars} large ones.`;
  const times = int8.map((errors) => errors.with.tensor / errors.without.tensor);
  const worst = times.indexOf(Math.max(...times));
  const errors = int8[worst];
  if (!errors || times[worst] < 1.5) {
    return `${found} Taking out what stands out hardly lowers the int8 error of any layer: this model has no massive activations that quantisation would have to mind.`;
  }
  return (
    `${found} They cost most at ${residualName(errors)}: with one scale for the whole state, int8 is off by ${formatShare(errors.with.tensor)} where they are in it ` +
    `and by ${formatShare(errors.without.tensor)} where the ${errors.removed} of them are kept apart; with a scale for each token ${formatShare(errors.with.token)}, for each channel ${formatShare(errors.with.channel)}.`
  );
}

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
): AsyncGenerator<Step<QuantisedResult>, void, void> {
  const { reference, model, thresholds, memory, threads } = request;
  await checkTwins(engine, request, signal);
  const windows = await textWindows(engine, reference, request.text, request, signal);
  const { sequences } = windows;
  const states = async (file: string, against?: string) => {
    const costs = { removed: thresholds.soft, outlier: outlierCriteria.magnitude };
    const asked = { model: file, reference: against, sequences: [sequences[0].ids], costs, memory, threads };
    let found: readonly ReducedState[] = [];
    for await (const event of going(engine.states(asked, signal))) if (event.type === 'states') found = event.states;
    return found;
  };
  const of = 2 * sequences.length;
  const measured: Perplexity[] = [];
  for (const [i, file] of [reference, model].entries()) {
    const losses = new Losses();
    const variants = [{ name: 'as is', interventions: [] }];
    for await (const event of going(engine.measure({ model: file, sequences, variants, memory, threads }, signal))) {
      losses.add(event.losses);
      yield { phase: 'measuring', done: i * sequences.length + event.sequence + 1, of };
    }
    measured.push(losses.perplexity);
  }
  const before = await states(reference);
  const after = await states(model, reference);
  const found = (layers: readonly ReducedState[]) => massiveActivations({ ...emptyAnalysis, layers }, thresholds);
  const result = {
    reference,
    model,
    windows,
    thresholds,
    differences: after.flatMap(({ difference }) => difference ?? []),
    massive: { reference: found(before), model: found(after) },
    perplexity: { reference: measured[0], model: measured[1] },
  };
  yield { phase: 'measuring', done: of, of, result };
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
  const farthest = differences.reduce((best, { rest }, k) => (rest > differences[best].rest ? k : best), 0);
  const distance = differences[farthest]?.rest ?? 0;
  if (distance > unlike) {
    return `Entries that do not stand out differ by ${formatShare(distance)} of their norm at h_${farthest}: the file was probably not made from this model, or quantising has left little of it. ${measured}`;
  }
  const rises = differences.map(({ rest }, k) => rest - (differences[k - 1]?.rest ?? 0));
  const most = rises.indexOf(Math.max(...rises));
  if (!(rises[most] > 0)) return `${measured} No hidden state moves.`;
  const appear = massive.reference.some(({ softOnset }) => softOnset === most)
    ? ', where massive activations appear'
    : '';
  const from = formatShare(differences[most - 1]?.rest ?? 0);
  const where = most === 0 ? 'the embedding' : `block ${most}`;
  return `${measured} Entries that do not stand out move most in ${where}${appear}: by ${from} of their norm before it, by ${formatShare(differences[most].rest)} after it. Look there first.`;
}
