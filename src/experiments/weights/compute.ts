/** Massive weights (arXiv:2410.01866): the few MLP rows that make the massive activations. */
import type { Thresholds } from '../../analysis/thresholds.js';
import type { Intervention } from '../../engine/contract/interventions.js';
import type { Variant } from '../../engine/contract/measure.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import { uniform } from '../../statistics/random.js';
import type { Run } from '../experiment.js';
import { type CalibratedRequest, type Calibration, calibrate, calibrationWindows } from '../shared/calibrate.js';
import { type Circumstances, calibrationWarnings, caveat, effectAbsent, leavesOutPrefix } from '../shared/caveats.js';
import { follow, type TextWindows, textWindows } from '../shared/text.js';
import { checkScores, type Row, score } from '../shared/variants.js';
import { findSuperWeights, type SuperWeights, superConclusion } from './super.js';

export interface WeightsRequest extends Omit<CalibratedRequest, 'largest'> {
  /** How many intermediate dims are taken. */
  readonly k: number;
}

export interface WeightsResult extends Omit<Circumstances, 'largest'> {
  readonly model: string;
  readonly windows: TextWindows;
  readonly calibration: Calibration;
  /** The block, 1-based, that leaves the massive activations. */
  readonly block: number;
  /** The token at which its MLP intermediate state was read. */
  readonly token: number;
  /** The k dims of largest |mean| there, largest first: rows of W_up and W_gate, columns of W_down. */
  readonly dims: readonly number[];
  /** Their means over the calibration sequences. */
  readonly values: readonly number[];
  readonly randomDims: readonly number[];
  readonly thresholds: Thresholds;
  readonly seed: number;
  /** `as is`, `zero massive`, `keep only massive`, `zero random`, `keep only random`. */
  readonly rows: readonly Row[];
  readonly superWeights: SuperWeights;
  readonly warnings: readonly string[];
}

/**
 * The k largest entries of the MLP intermediate state at the massive token of the block that makes it massive, and
 * perplexity with these dims (for every token) zeroed or alone kept, against as many random dims. Without a bias this
 * is what zeroing the same rows of W_up does.
 *
 * @throws SinkscopeError where texts, model or k do not fit; `cancelled` when `signal` is aborted
 */
export async function* findWeights(engine: Engine, request: WeightsRequest, signal?: AbortSignal): Run<WeightsResult> {
  const { model, k, thresholds, seed } = request;
  const { blocks, missing } = (await engine.inspect(model, signal, { takes: 'text' })).anatomy;
  if (blocks.every(({ mlpIntermediate }) => mlpIntermediate === undefined)) {
    const why = missing.find(({ part }) => part.startsWith('MLP intermediate'))?.why ?? 'no block shows its MLP’s';
    throw noRows(model, `its MLPs have no intermediate state that can be read: ${why}`);
  }
  const windows = await textWindows(engine, model, request.text, request, signal);
  await checkScores(engine, request, windows, signal);
  const prefixLeftOut = await leavesOutPrefix(engine, request, signal);
  const calibration = yield* calibrate(engine, request, signal);
  const block = calibration.layer;
  if (block === 0) throw noRows(model, 'its massive activations are there in the embedding, before any MLP');
  if (blocks[block - 1]?.mlpIntermediate === undefined)
    throw noRows(model, `its massive activations begin in block ${block}, which shows no MLP intermediate state`);
  const token = calibration.points.map((point) => point.token).find((position) => typeof position === 'number');
  if (token === undefined) {
    throw new SinkscopeError({
      code: 'input',
      file: model,
      message:
        'The massive activations of this model are at no fixed token, so its massive weights cannot be read off one.',
    });
  }
  const state = await intermediate(engine, request, block, token, signal);
  if (2 * k > state.length) {
    throw new SinkscopeError({
      code: 'input',
      message: `The MLP of block ${block} has ${state.length} intermediate dims; choose a k of at most ${Math.floor(state.length / 2)}.`,
    });
  }
  const order = [...state.keys()].sort((a, b) => Math.abs(state[b] ?? 0) - Math.abs(state[a] ?? 0));
  const dims = order.slice(0, k);
  const values = dims.map((dim) => state[dim] ?? 0);
  const randomDims = draw(order.slice(k), k, seed);
  const variants = [
    { name: 'as is', interventions: [] },
    ...pair('massive', dims, block),
    ...pair('random', randomDims, block),
  ];
  const rows = yield* score(engine, request, windows, () => variants, [], signal);
  const [first] = (await calibrationWindows(engine, request, signal)).sequences;
  const search = { ids: first?.ids ?? [], windows, layers: blocks.length };
  const superWeights = yield* findSuperWeights(engine, request, search, signal);
  const warnings = [...calibrationWarnings(calibration, request), ...superWarnings(superWeights)];
  const found = { block, token, dims, values, randomDims };
  return { model, windows, calibration, prefixLeftOut, ...found, thresholds, seed, rows, superWeights, warnings };
}

function superWarnings({ unseen, cut }: SuperWeights): string[] {
  const blocks = unseen === 1 ? 'One block has' : `${unseen} blocks have`;
  return [
    ...(unseen === 0
      ? []
      : [`${blocks} an MLP that does not end in one plain product: no super weight was looked for there.`]),
    ...(cut ? ['No more than six super weights are looked for: there may be others.'] : []),
  ];
}

const noRows = (file: string, why: string) =>
  new SinkscopeError({
    code: 'input',
    file,
    message: `${file} has no massive weights to look for: ${why}; choose another model.`,
  });

/** Row `token` of the MLP intermediate state of a block, averaged over the calibration windows: [D_mlp]. */
async function intermediate(
  engine: Engine,
  request: WeightsRequest,
  block: number,
  token: number,
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  const { model, memory, threads } = request;
  const { sequences } = await calibrationWindows(engine, request, signal);
  const states = engine.run(
    'states',
    {
      model,
      sequences: sequences.map(({ ids }) => ids),
      places: [{ point: 'mlp', block }],
      mean: { rows: [token] },
      memory,
      threads,
    },
    signal,
  );
  let row: Float32Array | undefined;
  for await (const event of follow(states)) if (event.type === 'mean') [row] = event.rows;
  if (!row) throw new Error('there is no mean');
  return row;
}

function pair(kind: string, dims: readonly number[], block: number): Variant[] {
  const zero = (chosen: Intervention['dims']): Intervention[] => [
    { point: 'mlp', block, tokens: 'all', dims: chosen, set: { to: 'zero' } },
  ];
  return [
    { name: `zero ${kind}`, interventions: zero(dims) },
    { name: `keep only ${kind}`, interventions: zero({ except: dims }) },
  ];
}

/** `count` of `dims`, ascending. */
function draw(dims: readonly number[], count: number, seed: number): number[] {
  const random = uniform(seed);
  const left = [...dims].sort((a, b) => a - b);
  const chosen = Array.from({ length: count }, () => left.splice(Math.floor(random() * left.length), 1));
  return chosen.flat().sort((a, b) => a - b);
}

/** From which factor of perplexity on rows count as needed, and up to which a model counts as being near itself. */
const needed = 1.1;
const near = 2;

/**
 * What the rows say, in a sentence. The effect is that few rows carry an MLP: without them the model is worse, and
 * with them alone it stays near itself, where as many random ones leave it much worse (twice the loss at least).
 */
export function weightsConclusion(result: WeightsResult): string {
  const single = superConclusion(result.superWeights, result.rows[0]?.perplexity ?? Number.NaN);
  return single === '' ? rowsConclusion(result) : `${rowsConclusion(result)} ${single}`;
}

function rowsConclusion(result: WeightsResult): string {
  const { rows, dims, block } = result;
  const times = (name: string) =>
    (rows.find((row) => row.name === name)?.perplexity ?? Number.NaN) / (rows[0]?.perplexity ?? Number.NaN);
  const said = (name: string) => `× ${times(name).toPrecision(3)}`;
  const figures =
    `${caveat({ ...result, largest: undefined })}Zeroing ${dims.length} intermediate dims of block ${block} changes perplexity ${said('zero massive')}, ` +
    `keeping only them ${said('keep only massive')}; as many random ones ${said('zero random')} and ${said('keep only random')}`;
  const [zeroed, kept, random] = [times('zero massive'), times('keep only massive'), times('keep only random')];
  if (!(zeroed > needed)) return `${figures}: the model hardly needs them; ${effectAbsent(result)}.`;
  if (kept < near && Math.log(kept) < Math.log(random) / 2)
    return `${figures}: what this MLP is needed for is mostly in these few rows.`;
  return `${figures}: the model needs these rows, but not them alone; ${effectAbsent(result)}.`;
}
