/** Which products a model cannot have quantised: ranked by what each gains, the fewest to keep, and what else helps. */
import type { MassiveActivation } from '../../analysis/massive.js';
import type { Simulated } from '../../engine/contract/pair.js';
import type { RestorableProduct } from '../../engine/contract/restore.js';
import type { Engine } from '../../engine/host/engine.js';
import { sum } from '../../statistics/numbers.js';
import { eachAs, type Progress, type Run } from '../experiment.js';
import { type Comparison, compared, type Kld, type Sqnr, type Swap } from '../shared/divergence.js';
import { standingOut } from '../shared/massive.js';
import type { Perplexity } from '../shared/perplexity.js';
import { follow, type TextWindows, textWindows } from '../shared/text.js';
import {
  calibrationOf,
  checkMade,
  checkSmoothing,
  type DoctorRequest,
  extentsOf,
  restored,
  simulatedBy,
} from './asked.js';
import { estimated, rankedOn } from './estimate.js';
import { type Candidate, type ListStep, type Measured, searchList } from './list.js';
import { type Cure, isTried, type Tried, treated, tryRemedies, type Untried } from './remedies.js';

/** A block, or an end of the model, and the mean KLD with all of it as it was. */
export interface RankedBlock {
  /** 0 is the embedding, L + 1 the output head. */
  readonly block: number;
  readonly restored: number;
}

/** A product, and the mean KLD with it alone as it was. */
export interface RankedProduct extends RestorableProduct {
  readonly restored: number;
  /** Whether that was measured; else it is estimated from what its block gains. */
  readonly measured: boolean;
}

/** What is kept as it was, and what that gives. */
export interface Kept {
  /** Products, and bytes of their weights. */
  readonly products: readonly RestorableProduct[];
  readonly bytes: number;
  readonly kld: number;
  readonly perplexity: number;
}

/** What a diagnosis is made of, in this order. */
export const chapters = ['blocks', 'products', 'list', 'remedies'] as const;
export type Chapter = (typeof chapters)[number];

export interface DoctorResult {
  readonly model: string;
  /** SHA-256 of the model: what the list was made for. */
  readonly identity: string;
  readonly by: DoctorRequest['by'];
  readonly layers: number;
  readonly windows: TextWindows;
  /** Scored tokens that parts and products are ranked on; KLD, perplexities and lists are of all. */
  readonly ranked: number;
  /** Undefined where nothing was asked for, and the divergence is no number of which there is a quarter. */
  readonly aim: number | undefined;
  readonly kld: Kld;
  /** Of h_k, by k. */
  readonly sqnr: readonly Sqnr[];
  /** Of the embedding (0), the blocks from 1 on, and the output head. */
  readonly swap: readonly Swap[];
  /** What stands out in the model as it was, on the first window. */
  readonly massive: readonly MassiveActivation[];
  readonly perplexity: { readonly reference: Perplexity; readonly model: Perplexity };
  /** Those that gain most first. */
  readonly blocks: readonly RankedBlock[];
  /** Of the blocks that gain most. */
  readonly products: readonly RankedProduct[];
  /** Products that are quantised and can be told apart; the model has so many `without`. */
  readonly of: number;
  readonly without: number;
  /** Of a scheme, what those are in the words of their operators. */
  readonly kinds: readonly string[];
  /** Products of a scheme whose weight is computed in the file, so that quantisers pass by it unless it is folded. */
  readonly computed: number;
  /** Whether products of bytes saturate on this processor, of which there are some. */
  readonly saturating: boolean;
  /** From nothing kept on, as far as it was tried. */
  readonly curve: readonly Kept[];
  /**
   * The first of the curve that is under the aim, else the best of it, measured once more as a file without it computes: of
   * many lists whose figures vary by their last bits, the one that is chosen for its figure is worse than that.
   */
  readonly chosen: Kept;
  /** Whether the search for the list spent what it may, so that its end is in the order that was known by then. */
  readonly bounded: boolean;
  readonly remedies: readonly Cure[];
  readonly untried: readonly Untried[];
  /** The windows of the calibration text that ranges and factors are of; undefined where they are of the text itself. */
  readonly calibrated: TextWindows | undefined;
  /** What is not done yet, or was not when it was stopped. */
  readonly undone: readonly Chapter[];
}

/** Blocks whose products are looked at one by one. */
const worst = 3;

/**
 * Ranks blocks by what restoring each gains, then the products of the worst of them by what that is estimated to be; keeps
 * one product or block more in float until the mean KLD is under the aim, each chosen by what it gains beside those that
 * are kept, which is measured of those that may be the next; and tries what else helps. Yields what there is of the result
 * as it comes.
 *
 * @throws SinkscopeError where text, models or scheme do not fit, and for a file that is the model itself; `cancelled`
 *   when `signal` is aborted
 */
export async function* diagnose(engine: Engine, request: DoctorRequest, signal?: AbortSignal): Run<DoctorResult> {
  const { model, text, memory, threads, saveSmooth } = request;
  if (saveSmooth !== undefined) await checkSmoothing(request.by, saveSmooth);
  const identity = await engine.identity(model, signal);
  if (request.by.what === 'file') await checkMade(engine, request, request.by.model, identity, signal);
  const windows = await textWindows(engine, model, text, request, signal);
  const { sequences } = windows;
  const { some, rest, cut } = rankedOn(sequences);
  const calibrationWindows = await calibrationOf(engine, request, windows, signal);
  const calibration = calibrationWindows.sequences.map(({ ids }) => ids);
  const seen = request.by.what === 'scheme' ? yield* extentsOf(engine, request, calibration, true, signal) : undefined;
  const by = simulatedBy(request.by, seen?.extents);
  const asked = { reference: model, by, sequences, memory, threads };

  const massive = await standingOut(engine, request, sequences, signal);
  const { layers } = (await engine.inspect(model, signal, { takes: 'text' })).model;
  const all: RestorableProduct[] = [];
  let told: Pick<DoctorResult, 'without' | 'kinds' | 'computed' | 'saturating'> | undefined;
  for await (const event of follow(engine.run('restore', { ...asked, variants: [] }, signal)))
    if (event.type === 'products') {
      for (const product of event.products) all.push(product);
      const { without, kinds, computed, saturating } = event;
      told = { without, kinds, computed, saturating };
    }
  if (!told) throw new Error('no products were told');
  const known = told;
  const kept = (list: readonly number[], { kld, perplexity }: Measured): Kept => {
    const products = list.flatMap((index) => all[index] ?? []);
    return { products, bytes: bytesOfAll(products), kld, perplexity };
  };
  const begun = ({ divergence, perplexity }: Comparison): DoctorResult => {
    const { kld, sqnr, swap } = divergence;
    const nothing = kept([], { kld: kld.mean, perplexity: perplexity.model.perplexity });
    return {
      model,
      identity,
      by: request.by,
      layers,
      windows,
      ranked: sum(some.map(({ ids, from }) => ids.length - from)),
      aim: request.aim ?? (Number.isFinite(kld.mean) ? kld.mean / 4 : undefined),
      kld,
      sqnr,
      swap,
      massive,
      perplexity,
      blocks: rank(swap.map(({ restored }, block) => ({ block, restored }))),
      products: [],
      of: all.length,
      ...known,
      curve: [nothing],
      chosen: nothing,
      bounded: false,
      remedies: [],
      untried: [],
      calibrated: request.calibrationText === undefined ? undefined : calibrationWindows,
      undone: chapters,
    };
  };
  const comparison = yield* eachAs(
    compared(engine, { ...asked, sequences: some }, signal, { sequences: rest, alone: cut }),
    ({ partial, ...progress }) => {
      return { ...progress, ...(partial && { partial: begun(partial) }) };
    },
  );
  let result: DoctorResult = { ...begun(comparison), undone: ['products', 'list', 'remedies'] };
  const { kld, swap, perplexity, aim, blocks, chosen: nothing } = result;

  const indices = (block: number) => all.flatMap((product, i) => (product.block === block ? [i] : []));
  const looked = blocks.filter(({ block }) => indices(block).length > 0).slice(0, worst);
  const single = looked.flatMap(({ block }) => indices(block));
  const partOf = (index: number) => {
    const { block = 0 } = all[index] ?? {};
    return { block, isOne: indices(block).length === 1, restored: swap[block]?.restored ?? Number.NaN };
  };
  // A part of one product has been measured, and products of the head are what the head is until they are.
  const several = single.filter((index) => partOf(index).block <= layers && !partOf(index).isOne);
  const around = several.map((index) => ({ restored: partOf(index).restored, kld: kld.mean }));
  const inBlocks = { ...asked, sequences: some, variants: several.map((index) => [index]) };
  const estimates = yield* showing(estimated(engine, inBlocks, around, signal), result);
  /** What is known of products alone, by index. */
  const alone = new Map<number, Measured>();
  const restoredBy = (index: number) =>
    alone.get(index)?.kld ?? estimates[several.indexOf(index)] ?? partOf(index).restored;
  const products = () =>
    rank(
      single.flatMap((index): RankedProduct[] => {
        const product = all[index];
        const measured = alone.has(index) || partOf(index).isOne;
        return product ? [{ ...product, restored: restoredBy(index), measured }] : [];
      }),
    );
  result = { ...result, products: products(), undone: ['list', 'remedies'] };

  async function* measure(variants: readonly (readonly number[])[]) {
    const found = yield* restored(engine, { ...asked, variants }, 'trying lists', signal);
    for (const [i, one] of found.entries()) {
      const [index, ...others] = variants[i] ?? [];
      if (index !== undefined && others.length === 0) alone.set(index, one);
    }
    return found;
  }
  const choices: Candidate[] = [
    ...single.map((index) => ({ indices: [index], restored: restoredBy(index) })),
    ...blocks
      .filter(({ block }) => !looked.some((one) => one.block === block) && indices(block).length > 0)
      .map(({ block, restored }) => ({ indices: indices(block), restored })),
  ];
  const search = {
    choices,
    kld: kld.mean,
    // Without an aim any number will do.
    aim: aim ?? Number.MAX_VALUE,
    most: single.length,
    measure,
  };
  const withSteps = (steps: readonly ListStep[]): DoctorResult => {
    const curve = [nothing, ...steps.map(({ list, ...found }) => kept(list, found))];
    const least = curve.reduce((best, one) => (lost(one.kld) < lost(best.kld) ? one : best));
    return { ...result, products: products(), curve, chosen: curve.find(({ kld }) => kld <= search.aim) ?? least };
  };
  const { steps, bounded } = yield* growing(
    searchList(search),
    ({ steps }) => steps,
    ({ steps }) => withSteps(steps),
  );
  result = { ...withSteps(steps), bounded, undone: ['remedies'] };
  const { chosen } = result;
  const list = steps.find(({ kld }) => kld === chosen.kld)?.list ?? [];
  const { what } = by;
  const listed = what === 'scheme' && list.length > 0 ? yield* asFile(list, by) : chosen;
  result = { ...result, chosen: { ...chosen, kld: listed.kld, perplexity: listed.perplexity } };
  const excluded: Cure = {
    name: 'exclude',
    how: `${chosen.products.length} of ${all.length} products`,
    kld: listed.kld,
    perplexity: listed.perplexity,
    bytes: chosen.bytes,
    tokens: 0,
  };
  const withTried = (tried: readonly Tried[]): DoctorResult => ({
    ...result,
    remedies: [excluded, ...tried.filter(isTried)],
    untried: tried.filter((one): one is Untried => !isTried(one)),
  });
  if (what === 'file' || !seen) {
    const why = 'a file that was made has its scales, and nothing else can be tried on it: give a scheme';
    const names = ['tokens', 'prefix', 'smooth', 'per-token'] as const;
    return { ...withTried(names.map((name) => ({ name, why }))), undone: [] };
  }
  const other = request.calibrationText === undefined ? undefined : sequences.map(({ ids }) => ids);
  const outliers = other ? yield* showing(extentsOf(engine, request, other, false, signal), withTried([])) : seen;
  const { context } = (await engine.inspect(model, signal)).model;
  const remedies = tryRemedies(
    engine,
    {
      model,
      by,
      sequences,
      calibration,
      extents: seen.extents,
      outliers: outliers.blocks,
      calibrationOutliers: seen.blocks,
      prefix: windows.prefix,
      context,
      perplexity: perplexity.model.perplexity,
      saveSmooth: request.saveSmooth,
      memory,
      threads,
    },
    signal,
  );
  const tried = yield* growing(
    remedies,
    ({ tried }) => tried,
    ({ tried }) => withTried(tried),
  );
  return { ...withTried(tried), undone: [] };

  /** What a file without the list gives: a value that several products read is rounded there as long as one of them is. */
  async function* asFile(exclude: readonly number[], by: Simulated) {
    const run = treated(engine, request, sequences, [{ by, exclude: [...exclude] }], 'excluding', signal);
    const [found] = yield* showing(run, result);
    return found ?? chosen;
  }
}

/** Bytes of products' weights; several may share one, of which the file has one. */
export function bytesOfAll(products: readonly Pick<RestorableProduct, 'weights' | 'bytes'>[]): number {
  return sum([...new Map(products.map(({ weights, bytes }) => [weights.join('\n'), bytes])).values()]);
}

/** How far it is, at first with what there is of the result. */
async function* showing<R>(
  run: AsyncGenerator<Progress, R, void>,
  partial: DoctorResult,
): AsyncGenerator<Progress & { readonly partial?: DoctorResult }, R, void> {
  let step = await run.next();
  for (let first = true; !step.done; step = await run.next(), first = false)
    yield { ...step.value, ...(first && { partial }) };
  return step.value;
}

/** How far it is, with what there is of the result where a run has added something to it. */
async function* growing<S extends Progress, R>(
  run: AsyncGenerator<S, R, void>,
  known: (step: S) => { readonly length: number },
  partial: (step: S) => DoctorResult,
): AsyncGenerator<Progress & { readonly partial?: DoctorResult }, R, void> {
  let before = -1;
  let step = await run.next();
  for (; !step.done; step = await run.next()) {
    const { value } = step;
    const { phase, done, of, underWay, note } = value;
    const { length } = known(value);
    yield { phase, done, of, underWay, note, ...(length > before && { partial: partial(value) }) };
    before = length;
  }
  return step.value;
}

/** No number is worse than any. */
const lost = (kld: number) => (Number.isNaN(kld) ? Number.POSITIVE_INFINITY : kld);

const rank = <T extends { readonly restored: number }>(all: readonly T[]) =>
  all.toSorted((a, b) => lost(a.restored) - lost(b.restored));
