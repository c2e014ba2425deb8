/** Massive weights (arXiv:2410.01866): the few MLP rows that make the massive activations. */
import { formatAligned, formatNumber } from '../../analysis/format.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { Engine } from '../../engine/host/engine.js';
import { uniform } from '../../statistics/random.js';
import type { Run } from '../experiment.js';
import { type CalibratedRequest, calibrationWindows } from '../shared/calibrate.js';
import { type Circumstances, calibrationWarnings, caveat, effectAbsent, leavesOutPrefix } from '../shared/caveats.js';
import { checkIntermediates, type MassiveRows, massiveRows, withoutAndAlone } from '../shared/massive-rows.js';
import { type TextWindows, textWindows } from '../shared/text.js';
import { checkScores, type Row, score } from '../shared/variants.js';
import { findSuperWeights, type SuperWeights, superConclusion } from './super.js';

export interface WeightsRequest extends Omit<CalibratedRequest, 'largest'> {
  /** How many intermediate dims are taken. */
  readonly k: number;
}

export interface WeightsResult extends Omit<Circumstances, 'largest' | 'calibration'>, Omit<MassiveRows, 'others'> {
  readonly model: string;
  readonly windows: TextWindows;
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
  await checkIntermediates(engine, model, signal);
  const windows = await textWindows(engine, model, request.text, request, signal);
  await checkScores(engine, request, windows, signal);
  const prefixLeftOut = await leavesOutPrefix(engine, request, signal);
  const { others, ...massive } = yield* massiveRows(engine, request, signal);
  const { calibration, block, dims } = massive;
  const randomDims = draw(others, k, seed);
  const variants = [
    { name: 'as is', interventions: [] },
    ...withoutAndAlone('massive', dims, block),
    ...withoutAndAlone('random', randomDims, block),
  ];
  const rows = yield* score(engine, request, windows, () => variants, [], signal);
  const [first] = (await calibrationWindows(engine, request, signal)).sequences;
  const search = { ids: first?.ids ?? [], windows, layers: calibration.layers };
  const superWeights = yield* findSuperWeights(engine, request, search, signal);
  const warnings = [...calibrationWarnings(calibration, request), ...superWarnings(superWeights)];
  return { model, windows, ...massive, randomDims, prefixLeftOut, thresholds, seed, rows, superWeights, warnings };
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
  const said = (name: string) => formatAligned(times(name));
  const figures =
    `${caveat({ ...result, largest: undefined })}Zeroing ${formatNumber(dims.length)} intermediate dims of block ${block} multiplies perplexity by ${said('zero massive')}, ` +
    `keeping only them by ${said('keep only massive')}; as many random ones by ${said('zero random')} and ${said('keep only random')}`;
  const [zeroed, kept, random] = [times('zero massive'), times('keep only massive'), times('keep only random')];
  if (!(zeroed > needed)) return `${figures}: the model hardly needs them; ${effectAbsent(result)}.`;
  if (kept < near && Math.log(kept) < Math.log(random) / 2)
    return `${figures}: what this MLP is needed for is mostly in these few rows.`;
  return `${figures}: the model needs these rows, but not them alone; ${effectAbsent(result)}.`;
}
