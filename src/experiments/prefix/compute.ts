/** Which tokens, put before every text and kept in the cache, take its massive activations (PrefixQuant, arXiv:2410.05265). */
import { emptyAnalysis } from '../../analysis/analysis.js';
import { formatFixed, formatNumber, formatShare } from '../../analysis/format.js';
import { quotedText } from '../../analysis/label.js';
import { massiveActivations } from '../../analysis/massive.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import { outlierRatio } from '../../engine/contract/extents.js';
import type { Variant } from '../../engine/contract/measure.js';
import type { Place, ReducedState } from '../../engine/contract/states.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import { greatest, mean } from '../../statistics/numbers.js';
import type { Budget, Progress, Run } from '../experiment.js';
import { outlierMagnitude } from '../shared/costs.js';
import { asIs, Losses } from '../shared/perplexity.js';
import { prefixOf } from '../shared/prefix.js';
import { encode, follow, progressThrough } from '../shared/text.js';
import type { Row } from '../shared/variants.js';
import { windowsOf } from '../shared/windows.js';

export interface PrefixRequest extends Budget {
  readonly model: string;
  readonly text: string;
  /** Tokens of a piece of the text, without any prefix. */
  readonly window: number;
  /** Only the first so many tokens of the text. */
  readonly tokens?: number;
  /** False: without the model's prefix token, which is then none of those that are recommended. */
  readonly bos?: boolean;
  readonly thresholds: Thresholds;
}

/** A token that stands out somewhere behind the first of a piece. */
export interface OutlierToken {
  readonly id: number;
  readonly text: string;
  /** How often, over all blocks and pieces. */
  readonly count: number;
}

/** The text after a prefix. What is said of states is of the text alone. */
export interface PrefixRow extends Row {
  readonly prefix: readonly number[];
  /** Of its tokens. */
  readonly texts: readonly string[];
  /** Pieces with a massive activation in the text, and massive activations in all of them. */
  readonly pieces: number;
  readonly massive: number;
  /** The largest ratio of a token's largest magnitude to the median token's, at what last MLP products read. */
  readonly ratio: number;
  /** By block, error of int8 with one scale for all that its last MLP product reads; null where it has none. */
  readonly int8: readonly (number | null)[];
}

export interface PrefixResult {
  readonly model: string;
  readonly window: number;
  /** As of {@link Windows}. */
  readonly asked: number | undefined;
  /** Pieces of the text, and tokens at its end that fill none. */
  readonly pieces: number;
  readonly left: number;
  readonly lost: number;
  readonly thresholds: Thresholds;
  /** By block, outlier tokens of a piece on average; null where its last MLP product was not found. */
  readonly outliers: readonly (number | null)[];
  /** Most frequent first. */
  readonly tokens: readonly OutlierToken[];
  /** Pieces whose first token stands out. */
  readonly first: number;
  /** Recommended, in their order; empty: none is needed. */
  readonly prefix: readonly { readonly id: number; readonly text: string }[];
  /** `no prefix`, where it is another one `the model's own`, and `recommended` where there is one. */
  readonly rows: readonly PrefixRow[];
}

const noPrefix = 'no prefix';
const ownPrefix = "the model's own";
const recommended = 'recommended';

/**
 * Finds the tokens on the text as it is, without a prefix, and runs it with them before it.
 *
 * @throws SinkscopeError `input` where no last MLP product is found, or the text fills no piece
 */
export async function* findPrefix(engine: Engine, request: PrefixRequest, signal?: AbortSignal): Run<PrefixResult> {
  const { model, thresholds } = request;
  const { ids, prefix, lost } = await encode(engine, model, request.text, { ...request, most: request.tokens }, signal);
  const { sequences, window, asked, left } = windowsOf(ids, undefined, request);
  const pieces = sequences.map((sequence) => sequence.ids);
  const { anatomy, model: summary } = await engine.inspect(model, signal, { takes: 'text' });
  const blocks = anatomy.blocks.flatMap((block, i) => (block.mlpIntermediate === undefined ? [] : [i + 1]));
  if (blocks.length === 0) {
    throw new SinkscopeError({
      code: 'input',
      file: model,
      message: `What the last MLP products of ${summary.name} read was not found, and it is there that outlier tokens are told; choose another model.`,
    });
  }
  const run = { engine, request, pieces, blocks, layers: anatomy.blocks.length, signal };
  const plain = yield* runAfter(run, noPrefix, []);
  const outliers = plain.states.map((ratios) => ratios.map(outliersOf));
  const { means, frequent: all, first, chosen } = prefixOf({ pieces, outliers, prefix });
  const byBlock = new Map(blocks.map((block, at) => [block, means[at] ?? null]));
  const others = [
    ...(prefix === undefined || sameIds([prefix], chosen) ? [] : [{ name: ownPrefix, ids: [prefix] }]),
    ...(chosen.length === 0 ? [] : [{ name: recommended, ids: chosen }]),
  ];
  const after = [plain.row];
  for (const { name, ids: before } of others) after.push((yield* runAfter(run, name, before)).row);
  const frequent = all.slice(0, mostListed);
  const named = [...frequent.map(({ id }) => id), ...others.flatMap(({ ids }) => ids)];
  const texts = await engine.decode(model, named, signal);
  const textOf = (id: number) => texts[named.indexOf(id)] ?? '';
  return {
    model,
    window,
    asked,
    pieces: pieces.length,
    left,
    lost,
    thresholds,
    outliers: anatomy.blocks.map((_, i) => byBlock.get(i + 1) ?? null),
    tokens: frequent.map((token) => ({ ...token, text: textOf(token.id) })),
    first,
    prefix: chosen.map((id) => ({ id, text: textOf(id) })),
    rows: after.map((row) => ({ ...row, texts: row.prefix.map(textOf) })),
  };
}

/** Outlier tokens that are listed. */
const mostListed = 10;

const sameIds = (one: readonly number[], other: readonly number[]) => `${one}` === `${other}`;

/** By piece, of each block the ratios of its tokens. */
type Ratios = readonly (readonly number[])[];

const outliersOf = (ratios: readonly number[]) =>
  ratios.flatMap((ratio, token) => (ratio > outlierRatio ? [token] : []));

interface Runs {
  readonly engine: Engine;
  readonly request: PrefixRequest;
  readonly pieces: readonly (readonly number[])[];
  readonly blocks: readonly number[];
  readonly layers: number;
  readonly signal: AbortSignal | undefined;
}

/** All pieces after a prefix. */
async function* runAfter(
  { engine, request, pieces, blocks, layers, signal }: Runs,
  name: string,
  prefix: readonly number[],
): AsyncGenerator<Progress, { readonly row: Omit<PrefixRow, 'texts'>; readonly states: readonly Ratios[] }, void> {
  const { model, memory, threads, thresholds } = request;
  const sequences = pieces.map((ids) => [...prefix, ...ids]);
  const skip = prefix.length;
  const places = [
    ...Array.from({ length: layers + 1 }, (_, block): Place => ({ point: 'resid_post', block })),
    ...blocks.map((block): Place => ({ point: 'mlp', block })),
  ].sort((a, b) => a.block - b.block || (a.point === 'mlp' ? -1 : 1));
  const costs = { removed: thresholds.soft, outlier: outlierMagnitude };
  const states: Ratios[] = [];
  const errors: number[][] = blocks.map(() => []);
  let [massive, withMassive] = [0, 0];
  const looking = progressThrough(`looking, ${name}`, sequences.length);
  const asked = { model, sequences, places, costs, skip, memory, threads };
  for await (const event of follow(engine.run('states', asked, signal))) {
    if (event.type === 'mean') continue;
    yield looking(event);
    if (event.type !== 'states') continue;
    const layersOf = event.states.filter(({ point }) => point === 'resid_post');
    const found = massiveActivations({ ...emptyAnalysis, layers: layersOf }, thresholds);
    const count = found.filter(({ kind }) => kind === 'massive').length;
    massive += count;
    if (count > 0) withMassive++;
    const read = event.states.filter(({ point }) => point === 'mlp');
    states[event.sequence] = read.map(ratiosOf);
    for (const [at, { costs: found }] of read.entries()) errors[at]?.push(found?.int8.with.tensor ?? Number.NaN);
  }
  const losses = new Losses();
  const variants: readonly Variant[] = [asIs];
  const scored = sequences.map((ids) => ({ ids, from: skip + 1, variants }));
  const measuring = progressThrough(`measuring, ${name}`, sequences.length);
  for await (const event of follow(engine.run('measure', { model, sequences: scored, memory, threads }, signal))) {
    if (event.type === 'measured') losses.add(event.losses);
    yield measuring(event);
  }
  const byBlock = new Map(blocks.map((block, at) => [block, mean(errors[at] ?? [])]));
  const row = {
    name,
    prefix,
    ...losses.perplexity,
    pieces: withMassive,
    massive,
    ratio: greatest(states.flat(2)),
    int8: Array.from({ length: layers }, (_, i) => byBlock.get(i + 1) ?? null),
  };
  return { row, states };
}

/** Of each token, its largest magnitude over that of the median token (the lower of two). */
function ratiosOf({ tokenMax }: ReducedState): number[] {
  const sortedMax = Float32Array.from(tokenMax).sort();
  const median = sortedMax[(sortedMax.length - 1) >> 1] ?? Number.NaN;
  return Array.from(tokenMax, (value) => value / median);
}

/** The mean over blocks of what int8 costs. */
export const meanError = ({ int8 }: PrefixRow): number => mean(int8.flatMap((error) => error ?? []));

/** What the rows say, in a sentence. */
export function prefixConclusion({ prefix, rows, pieces }: PrefixResult): string {
  const plain = rows.find(({ name }) => name === noPrefix);
  const after = rows.find(({ name }) => name === recommended);
  if (!plain || !after) {
    const at = formatNumber(rows[0]?.ratio ?? Number.NaN);
    return `No token stands out where the last MLP products read (at most ${at} × the median token, and ${outlierRatio} × counts): this model needs no prefix.`;
  }
  const words = prefix.map(({ text, id }) => quotedText(text, id)).join(' ');
  const massive = `massive activations in the text go from ${plain.massive} (in ${plain.pieces} of ${pieces} pieces) to ${after.massive} (in ${after.pieces})`;
  const cost = `perplexity of the text from ${formatFixed(plain.perplexity)} to ${formatFixed(after.perplexity)}, the int8 error of what last MLP products read from ${formatShare(meanError(plain))} to ${formatShare(meanError(after))}`;
  const verdict = after.massive === 0 ? 'it takes all of them' : 'it does not take all of them';
  return plain.massive === 0
    ? `Recommended before every text: ${words}. Nothing is massive in the text either way; ${cost}.`
    : `Recommended before every text: ${words}; ${massive}, ${cost}: ${verdict}.`;
}
