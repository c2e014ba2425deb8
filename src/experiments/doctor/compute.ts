/** Which products a model cannot have quantised: ranked by what each gains, and the fewest that are to stay as they are. */
import { formatNumber } from '../../analysis/format.js';
import type { MassiveActivation } from '../../analysis/massive.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { PairedEvent, Quantisation } from '../../engine/contract/pair.js';
import type { RestorableProduct } from '../../engine/contract/restore.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import type { Budget, Progress, Run } from '../experiment.js';
import { divergenceOf, type Kld, type Sqnr, type Swap, swappedInWords } from '../shared/divergence.js';
import { standingOut } from '../shared/massive.js';
import { Losses, type Perplexity } from '../shared/perplexity.js';
import { follow, progressThrough, type TextWindows, textWindows } from '../shared/text.js';
import { checkTwins } from '../shared/twins.js';
import type { Windowing } from '../shared/windows.js';

export interface DoctorRequest extends Windowing, Budget {
  readonly model: string;
  readonly by: Quantisation;
  readonly text: string;
  readonly bos?: boolean;
  /** Mean KLD in nats that the list is to bring it under; undefined: a quarter of what it is. */
  readonly aim?: number;
  readonly thresholds: Thresholds;
}

/** A block, or an end of the model, and the mean KLD with all of it as it was. */
export interface RankedBlock {
  /** 0 is the embedding, L + 1 the output head. */
  readonly block: number;
  readonly restored: number;
}

/** A product, and the mean KLD with it alone as it was. */
export interface RankedProduct extends RestorableProduct {
  readonly restored: number;
}

/** What is kept as it was, and what that gives. */
export interface Kept {
  /** Products, and bytes of their weights. */
  readonly products: readonly RestorableProduct[];
  readonly bytes: number;
  readonly kld: number;
  readonly perplexity: number;
}

export interface DoctorResult {
  readonly model: string;
  /** SHA-256 of the model: what the list was made for. */
  readonly identity: string;
  readonly by: Quantisation;
  readonly layers: number;
  readonly windows: TextWindows;
  readonly aim: number;
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
  /** Whether products of bytes saturate on this processor, of which there are some. */
  readonly saturating: boolean;
  /** From nothing kept on, as far as it was tried. */
  readonly curve: readonly Kept[];
  /** The first of the curve that is under the aim, else the best of it. */
  readonly chosen: Kept;
}

/** Blocks whose products are looked at one by one. */
const worst = 3;
/** Lists that are tried together. */
const together = 4;

/**
 * Ranks blocks, then the products of the worst of them, by what restoring each gains, and keeps one product more in
 * float until the mean KLD is under the aim: those that gain most by themselves first, then whole blocks.
 *
 * @throws SinkscopeError where text, models or scheme do not fit, and for a file that is the model itself; `cancelled`
 *   when `signal` is aborted
 */
export async function* diagnose(engine: Engine, request: DoctorRequest, signal?: AbortSignal): Run<DoctorResult> {
  const { model, by, text, bos, memory, threads } = request;
  const identity = await engine.identity(model, signal);
  if (by.what === 'file') {
    await checkTwins(engine, { reference: model, model: by.model, text, bos }, signal);
    if ((await engine.identity(by.model, signal)) === identity)
      throw new SinkscopeError({
        code: 'input',
        file: by.model,
        message: `${by.model} is the model itself, or a copy of it: nothing was quantised; give the file that was made from it.`,
      });
  }
  const windows = await textWindows(engine, model, text, request, signal);
  const { sequences } = windows;
  const asked = { reference: model, by, sequences, memory, threads };

  const measured = { reference: new Losses(), model: new Losses() };
  const paired: PairedEvent[] = [];
  const progress = progressThrough('comparing', sequences.length);
  for await (const event of follow(engine.pair(asked, signal))) {
    if (event.type === 'paired') {
      paired.push(event);
      measured.reference.add(event.losses.reference);
      measured.model.add(event.losses.model);
    }
    yield progress(event);
  }
  const { kld, sqnr, swap } = divergenceOf(paired);
  const massive = await standingOut(engine, request, sequences, signal);
  const layers = swap.length - 2;
  const perplexity = { reference: measured.reference.perplexity, model: measured.model.perplexity };
  const rank = <T extends { readonly restored: number }>(all: readonly T[]) =>
    all.toSorted((a, b) => lost(a.restored) - lost(b.restored));
  const blocks = rank(swap.map(({ restored }, block) => ({ block, restored })));

  const all: RestorableProduct[] = [];
  let [without, saturating] = [0, false];
  for await (const event of follow(engine.restore({ ...asked, variants: [] }, signal)))
    if (event.type === 'products') {
      for (const product of event.products) all.push(product);
      ({ without, saturating } = event);
    }
  const restore = (variants: readonly (readonly number[])[], phase: string) =>
    restored(engine, { ...asked, variants }, phase, signal);
  const indices = (block: number) => all.flatMap((product, i) => (product.block === block ? [i] : []));

  const looked = blocks.filter(({ block }) => indices(block).length > 0).slice(0, worst);
  const single = looked.flatMap(({ block }) => indices(block));
  const klds = yield* restore(
    single.map((index) => [index]),
    'restoring products',
  );
  const ranked = rank(single.map((index, i) => ({ index, restored: klds[i]?.kld ?? Number.NaN })));
  const products = ranked.flatMap(({ index, restored }) => (all[index] ? [{ ...all[index], restored }] : []));

  const aim = request.aim ?? kld.mean / 4;
  const kept = (list: readonly number[], { kld, perplexity }: Omit<Kept, 'products' | 'bytes'>): Kept => {
    const products = list.flatMap((index) => all[index] ?? []);
    return { products, bytes: products.reduce((sum, { bytes }) => sum + bytes, 0), kld, perplexity };
  };
  const curve = [kept([], { kld: kld.mean, perplexity: perplexity.model.perplexity })];
  const isReached = () => curve.some(({ kld }) => kld <= aim);
  // One product more each time, then one block.
  const lists: number[][] = ranked.map((_, i) => ranked.slice(0, i + 1).map(({ index }) => index));
  for (const { block } of blocks) {
    const more = indices(block).filter((index) => !single.includes(index));
    if (more.length > 0) lists.push([...(lists.at(-1) ?? []), ...more]);
  }
  for (let from = 0; from < lists.length && !isReached(); from += together) {
    const tried = lists.slice(from, from + together);
    const found = yield* restore(tried, 'trying lists');
    for (const [i, list] of tried.entries()) if (found[i] && !isReached()) curve.push(kept(list, found[i]));
  }
  const least = curve.reduce((best, one) => (lost(one.kld) < lost(best.kld) ? one : best));
  const chosen = curve.find(({ kld }) => kld <= aim) ?? least;
  return {
    model,
    identity,
    by,
    layers,
    windows,
    aim,
    kld,
    sqnr,
    swap,
    massive,
    perplexity,
    blocks,
    products,
    of: all.length,
    without,
    saturating,
    curve,
    chosen,
  };
}

/** No number is worse than any. */
const lost = (kld: number) => (Number.isNaN(kld) ? Number.POSITIVE_INFINITY : kld);

type Restored = { readonly kld: number; readonly perplexity: number };

async function* restored(
  engine: Engine,
  request: Parameters<Engine['restore']>[0],
  phase: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Progress, readonly Restored[], void> {
  const sums = request.variants.map(() => ({ kld: 0, losses: 0 }));
  let tokens = 0;
  if (sums.length === 0) return [];
  const progress = progressThrough(phase, request.sequences.length);
  for await (const event of follow(engine.restore(request, signal))) {
    if (event.type === 'products') continue;
    if (event.type === 'restored') {
      tokens += event.tokens;
      for (const [i, sum] of sums.entries()) {
        sum.kld += event.kld[i] ?? Number.NaN;
        sum.losses += event.losses[i] ?? Number.NaN;
      }
    }
    yield progress(event);
  }
  return sums.map(({ kld, losses }) => ({ kld: kld / tokens, perplexity: Math.exp(losses / tokens) }));
}

/** What is wrong, where, and what to keep. */
export function doctorConclusion(result: DoctorResult): string {
  const { kld, aim, chosen, blocks, products, of, layers } = result;
  const [first] = blocks;
  const now = `Quantised, the model’s predictions are ${formatNumber(kld.mean)} nats from what they were`;
  if (kld.mean <= aim) return `${now}, within the aim of ${formatNumber(aim)}: nothing has to be excluded.`;
  if (of === 0) return `${now}, and none of its products could be told apart: nothing can be excluded by name.`;
  const where = first
    ? ` Most is lost in ${swappedInWords(first.block, layers)} (${formatNumber(first.restored)} with it as it was).`
    : '';
  const [best] = products;
  const counted = chosen.products.length === 1 ? 'one product' : `${chosen.products.length} products`;
  const named =
    chosen.products.length === 1 && best
      ? ` (${best.node === '' ? `${best.part} of block ${best.block}` : best.node})`
      : '';
  const after = `brings ${Number.isNaN(kld.mean) ? 'them' : 'that'} to ${formatNumber(chosen.kld)}`;
  if (chosen.kld <= aim) return `${now}.${where} Excluding ${counted} of ${of}${named} ${after}.`;
  return `${now}.${where} The aim of ${formatNumber(aim)} cannot be reached by excluding products: the best that was found, ${counted} of ${of}, ${after}.`;
}
