/** What massive activations and outlier features cost a model that is quantised. */
import { emptyAnalysis } from '../../analysis/analysis.js';
import { counted, formatNumber, formatShare } from '../../analysis/format.js';
import { type MassiveActivation, massiveActivations } from '../../analysis/massive.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { ProductInput } from '../../engine/contract/precision.js';
import type { Place, ReducedState } from '../../engine/contract/states.js';
import type { Engine } from '../../engine/host/engine.js';
import { greatest } from '../../statistics/numbers.js';
import type { Int8Errors } from '../../statistics/statistics.js';
import type { Budget, Run } from '../experiment.js';
import { outlierMagnitude } from '../shared/costs.js';
import { encode, follow } from '../shared/text.js';

/** LLM.int8() (arXiv:2208.07339): magnitude, share of layers and share of positions of an outlier feature. */
export const outlierCriteria = { magnitude: outlierMagnitude, layers: 0.25, positions: 0.06 } as const;

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
  /** Vectors: dims of what products read, see {@link productOutlierDims}. */
  readonly outlierDims: readonly number[];
  /**
   * The same criterion over residual points, which nothing rounds: dims with some |h_k| ≥ 6 in at least a quarter of
   * the states, and at 6 % of all (state, token) pairs.
   */
  readonly residualDims: readonly number[];
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
export async function* findOutliers(
  engine: Engine,
  request: OutliersRequest,
  signal?: AbortSignal,
): Run<OutliersResult> {
  yield { phase: 'quantising hidden states', done: 0, of: 2 };
  const { model, thresholds, memory, threads } = request;
  const { ids, prefix } = await encode(engine, model, request.text, request, signal);
  const sequence = [...(prefix === undefined ? [] : [prefix]), ...ids].slice(0, request.tokens);
  const costs = { removed: thresholds.soft, outlier: outlierCriteria.magnitude };
  const { blocks } = (await engine.inspect(model, signal, { takes: 'text' })).anatomy;
  const places = [0, ...blocks.map((_, i) => i + 1)].flatMap((block): Place[] => {
    const mid = blocks[block - 1]?.residMid !== undefined;
    return [...(mid ? [{ point: 'resid_mid', block } as const] : []), { point: 'resid_post', block }];
  });
  const run = engine.run('states', { model, sequences: [sequence], places, costs, memory, threads }, signal);
  let all: readonly ReducedState[] = [];
  for await (const event of follow(run)) if (event.type === 'states') all = event.states;
  const states = all.filter(({ point }) => point === 'resid_post');
  yield { phase: 'counting what products read', done: 1, of: 2 };
  const products: ProductInput[] = [];
  const asked = { model, ids: sequence, outlier: outlierCriteria.magnitude, memory, threads };
  for await (const event of follow(engine.run('precision', asked, signal)))
    if (event.type === 'precision') for (const input of event.inputs) products.push(input);
  return {
    model,
    tokens: sequence.length,
    prefix,
    thresholds,
    hidden: states[0]?.dims ?? 0,
    outlierDims: productOutlierDims(products),
    residualDims: residualDims(states),
    massive: massiveActivations({ ...emptyAnalysis, layers: states }, thresholds),
    int8: all.flatMap(({ costs, block, point }) =>
      costs ? [{ ...costs.int8, layer: block, point: point === 'resid_mid' ? point : 'resid_post' }] : [],
    ),
  };
}

/** The inputs that the paper counts: of the projections of attention, and of the first products of the MLP. */
const looked: ReadonlySet<string> = new Set(['attn_in', 'attn_out', 'mlp_in', 'expert_in']);

/**
 * LLM.int8()'s outlier features, counted where the paper counts them: dims in which some entry of what a block's
 * products read reaches the magnitude in at least a quarter of the blocks, and at 6 % of all (input, token) pairs.
 * Inputs that are as wide as most are counted, the last product of the MLP left out.
 */
export function productOutlierDims(products: readonly ProductInput[]): number[] {
  const read = products.filter(({ part }) => looked.has(part));
  const dims = read[0]?.dims ?? 0;
  const alike = read.filter((input) => input.dims === dims);
  const blocks = new Set(alike.map(({ block }) => block));
  const rows = alike.reduce((sum, input) => sum + input.rows, 0);
  return Array.from({ length: dims }, (_, dim) => dim).filter((dim) => {
    const reaching = alike.filter(({ outliers }) => (outliers[dim] ?? 0) > 0);
    const within = new Set(reaching.map(({ block }) => block)).size;
    const total = reaching.reduce((sum, { outliers }) => sum + (outliers[dim] ?? 0), 0);
    return within >= outlierCriteria.layers * blocks.size && total >= outlierCriteria.positions * rows;
  });
}

/** From how many tokens reach the magnitude, by state and dim. */
function residualDims(states: readonly ReducedState[]): number[] {
  const counts = states.flatMap((state) => (state.costs ? [state.costs.outliers] : []));
  const positions = states.reduce((sum, { tokens }) => sum + tokens, 0);
  return Array.from({ length: states[0]?.dims ?? 0 }, (_, dim) => dim).filter((dim) => {
    const layers = counts.filter((count) => (count[dim] ?? 0) > 0).length;
    const total = counts.reduce((sum, count) => sum + (count[dim] ?? 0), 0);
    return layers >= outlierCriteria.layers * counts.length && total >= outlierCriteria.positions * positions;
  });
}

/** What the numbers say, in two sentences. */
export function outliersConclusion({ outlierDims, residualDims, massive, int8, hidden }: OutliersResult): string {
  const scalars = massive.filter(({ kind }) => kind === 'massive').length;
  const found = `Outlier features (vectors): ${counted(outlierDims.length, 'dim')} of what products read; of the residual stream, which nothing rounds, ${formatNumber(residualDims.length)} of ${formatNumber(hidden)} are as large. Massive activations (scalars): ${scalars}, and ${counted(massive.length - scalars, 'large one')}.`;
  const times = int8.map((errors) => errors.with.tensor / errors.without.tensor);
  const worst = times.indexOf(greatest(times));
  const errors = int8[worst];
  if (!errors || (times[worst] ?? 0) < 1.5) {
    return `${found} Taking out what stands out hardly lowers the int8 error of any layer: this model has no massive activations that quantisation would have to mind.`;
  }
  return (
    `${found} They cost most at ${residualName(errors)}: with one scale for the whole state, int8 is off by ${formatShare(errors.with.tensor)} where they are in it ` +
    `and by ${formatShare(errors.without.tensor)} where the ${errors.removed} of them are kept apart; with a scale for each token ${formatShare(errors.with.token)}, for each channel ${formatShare(errors.with.channel)}.`
  );
}
