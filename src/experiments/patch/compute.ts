/**
 * Activation patching: the corrupt prompt is run with one activation taken from the run of the clean one, everywhere in
 * turn, and what that gives back of the clean run's decision is measured.
 */
import { formatFixed } from '../../analysis/format.js';
import { textLabel } from '../../analysis/label.js';
import type { Point } from '../../engine/contract/interventions.js';
import type { Variant } from '../../engine/contract/measure.js';
import type { Engine } from '../../engine/host/engine.js';
import { grouped, SinkscopeError } from '../../errors.js';
import { greatest } from '../../statistics/numbers.js';
import type { Budget, Run } from '../experiment.js';
import { type Answers, answersOf, contrast, labelled, type Named } from '../shared/answers.js';
import { headSlices } from '../shared/heads.js';
import { asIs } from '../shared/perplexity.js';
import { promptOf } from '../shared/prompt.js';
import { follow } from '../shared/text.js';
import { type Attribution, attributed, correlationOf, type PatchedCell } from './attribution.js';

/** Where activations are patched: residual points, what is added to them, or heads one by one at all tokens. */
export const patchedAt = ['resid_post', 'resid_mid', 'attn_out', 'mlp_out', 'head'] as const;

export interface PatchRequest extends Budget {
  readonly model: string;
  readonly clean: string;
  readonly corrupt: string;
  readonly answers: readonly [string, string];
  readonly at: (typeof patchedAt)[number];
  readonly bos?: boolean;
}

export interface PatchResult {
  readonly model: string;
  readonly at: PatchRequest['at'];
  /** Tokens of the two prompts, with the prefix. */
  readonly clean: readonly Named[];
  readonly corrupt: readonly Named[];
  readonly bos: boolean;
  readonly answers: Answers;
  /** Logit differences after the last token, in the two runs as they are. */
  readonly cleanDifference: number;
  readonly corruptDifference: number;
  /** By row of `recovered`: k of the residual point or of the block, 1-based there. */
  readonly layers: readonly number[];
  /**
   * (patched − corrupt) ÷ (clean − corrupt), by row and token, or by row and head: NaN where a block has no such head.
   * Tokens before the first that differs have the same activations in both runs, hence 0.
   */
  readonly recovered: readonly (readonly number[])[];
  /** The first look: nothing is recovered yet where this is all that there is. */
  readonly attribution: Attribution;
}

/**
 * @throws SinkscopeError `input` where the prompts have not as many tokens, are the same or decide alike, an answer is
 *   several tokens, or the model has no such point; as {@link promptOf} and the measurement else
 */
export async function* patchEverywhere(engine: Engine, request: PatchRequest, signal?: AbortSignal): Run<PatchResult> {
  const { model, memory, threads, at, bos } = request;
  const prompts = {
    clean: await promptOf(engine, model, request.clean, { bos, called: 'The clean prompt' }, signal),
    corrupt: await promptOf(engine, model, request.corrupt, { bos, called: 'The corrupt prompt' }, signal),
  };
  const answers = await answersOf(engine, model, request.answers, signal);
  const [clean, corrupt] = [prompts.clean.tokens, prompts.corrupt.tokens];
  const from = firstDifferent(clean, corrupt);
  const cells = await cellsOf(engine, request, from, clean.length, signal);
  const width = at === 'head' ? 1 + greatest(cells.map(({ column }) => column)) : clean.length;
  const layers = [...new Set(cells.map(({ block }) => block))];
  const empty = (value: number) => layers.map(() => new Array<number>(width).fill(value));
  const grid = () => empty(at === 'head' ? Number.NaN : 0);
  const point: Point = at === 'head' ? 'z' : at;
  const ids = { clean: clean.map(({ id }) => id), corrupt: corrupt.map(({ id }) => id) };
  const compared = [answers[0].id, answers[1].id] as const;
  const facts = { model, at, clean, corrupt, bos: prompts.clean.bos, answers, layers };
  const of = 3 + cells.length;

  yield { phase: 'attribution', done: 0, of };
  const asked = { model, ...ids, answers: compared, point, memory, threads };
  const { differences: seen, ...attribution } = await attributed(engine, asked, cells, grid(), signal);
  if (seen) {
    checkApart(seen, answers);
    const [cleanDifference, corruptDifference] = seen;
    const partial = { ...facts, cleanDifference, corruptDifference, recovered: empty(Number.NaN), attribution };
    yield { phase: 'attribution', done: 1, of, partial };
  }

  const rest = Array.from({ length: clean.length - from }, (_, i) => from + i);
  const variants = cells.map(({ block, column, dims }): Variant => {
    const patch = { point, block, tokens: dims ? rest : [column], dims: dims ? [...dims] : ('all' as const) };
    return { name: '', interventions: [], patches: [patch] };
  });
  const sequences = [
    { ids: ids.clean, from: clean.length, answers: compared, variants: [asIs] },
    { ids: ids.corrupt, from: clean.length, answers: compared, other: ids.clean, variants: [asIs, ...variants] },
  ];
  const differences: number[] = [];
  for await (const event of follow(engine.run('measure', { model, sequences, memory, threads }, signal))) {
    if (event.type !== 'measured') continue;
    differences.push(event.difference ?? Number.NaN);
    const [one, other] = differences;
    if (differences.length === 2 && one !== undefined && other !== undefined) checkApart([one, other], answers);
    yield { phase: 'patching', done: 1 + differences.length, of };
  }
  const [cleanDifference = Number.NaN, corruptDifference = Number.NaN, ...patched] = differences;
  const recovered = grid();
  for (const [i, { row, column }] of cells.entries()) {
    const line = recovered[row];
    if (line) line[column] = ((patched[i] ?? Number.NaN) - corruptDifference) / (cleanDifference - corruptDifference);
  }
  const correlation = correlationOf(attribution.values, recovered, cells);
  return { ...facts, cleanDifference, corruptDifference, recovered, attribution: { ...attribution, correlation } };
}

/** @throws SinkscopeError `input` where what the two runs decide by is the same */
function checkApart([clean, corrupt]: readonly [number, number], answers: Answers): void {
  if (!(Math.abs(clean - corrupt) < 1e-5 * Math.max(Math.abs(clean), Math.abs(corrupt), 1))) return;
  throw new SinkscopeError({
    code: 'input',
    message: `Both prompts decide alike: the ${contrast(answers)} is ${clean.toPrecision(4)} after either, so there is nothing to recover; choose prompts or answers that differ.`,
  });
}

/** @throws SinkscopeError `input` for prompts of which not each token has its counterpart, or that are the same */
function firstDifferent(clean: readonly Named[], corrupt: readonly Named[]): number {
  const differs = (a: Named | undefined, b: Named | undefined) => a?.id !== b?.id;
  const from = clean.findIndex((token, i) => differs(token, corrupt[i]));
  if (clean.length === corrupt.length) {
    if (from >= 0) return from;
    throw new SinkscopeError({
      code: 'input',
      message:
        'The clean and the corrupt prompt are the same tokens, so there is nothing to patch; give two that differ.',
    });
  }
  const start = from < 0 ? clean.length : from;
  let end = 0;
  const shorter = Math.min(clean.length, corrupt.length);
  while (end < shorter - start && !differs(clean.at(-1 - end), corrupt.at(-1 - end))) end++;
  const part = (tokens: readonly Named[]) => {
    const own = tokens.slice(start, tokens.length - end);
    return own.length === 0 ? 'nothing' : labelled(own);
  };
  throw new SinkscopeError({
    code: 'input',
    message: `The clean prompt has ${grouped(clean.length)} tokens and the corrupt one ${grouped(corrupt.length)}, and each needs its counterpart: from token ${start} on the clean one has ${part(clean)} where the corrupt one has ${part(corrupt)}; word them alike.`,
  });
}

/** Every activation that is patched in turn: of tokens before the first that differs there is nothing to patch. */
async function cellsOf(
  engine: Engine,
  { model, at }: PatchRequest,
  from: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<readonly PatchedCell[]> {
  if (at === 'head') {
    const slices = await headSlices(engine, model, signal);
    const blocks = [...new Set(slices.map(({ block }) => block))];
    return slices.map(({ block, head, dims }) => ({ row: blocks.indexOf(block), column: head, block, dims }));
  }
  const { layers } = (await engine.inspect(model, signal, { takes: 'text' })).anatomy;
  const first = at === 'resid_post' ? 0 : 1;
  return Array.from({ length: layers + 1 - first }, (_, row) =>
    Array.from({ length: length - from }, (_, i) => ({ row, column: from + i, block: row + first, dims: undefined })),
  ).flat();
}

/** The cell that recovers most, and what is recovered by all that is large, in a sentence. */
export function patchConclusion(result: PatchResult): string {
  const { recovered, layers, at, corrupt, answers, cleanDifference, corruptDifference } = result;
  const cells = recovered.flatMap((row, i) => row.map((value, column) => ({ value, column, layer: layers[i] ?? 0 })));
  const best = cells.reduce((best, cell) => (cell.value > best.value ? cell : best), {
    value: Number.NEGATIVE_INFINITY,
    column: 0,
    layer: 0,
  });
  const runs = `The ${contrast(answers)} is ${formatFixed(cleanDifference)} after the clean prompt and ${formatFixed(corruptDifference)} after the corrupt one`;
  if (!Number.isFinite(best.value)) return `${runs}; what is recovered is not known yet, this is its first look.`;
  if (!(best.value > 0.05)) return `${runs}; no single ${at === 'head' ? 'head' : at} gives any of that back.`;
  const percent = `${(100 * best.value).toFixed(0)} %`;
  if (at === 'head') {
    const strong = cells.filter(({ value }) => value >= 0.1).length;
    return `${runs}; head ${best.column} of block ${best.layer} alone gives ${percent} of that back, and ${strong} of ${cells.length} heads give at least a tenth.${firstLook(result)}`;
  }
  const token = corrupt[best.column];
  const reach = layers.filter((_, i) => (recovered[i]?.[best.column] ?? 0) >= 0.5);
  const until = reach.length > 0 ? `, at least half of it up to ${at} ${reach.at(-1)}` : '';
  return `${runs}; ${at} ${best.layer} of token ${best.column} (${textLabel(token?.text ?? '', token?.id)}) gives most of that back, ${percent}${until}.${firstLook(result)}`;
}

/** How far the first look was right. */
function firstLook({ attribution: { correlation } }: PatchResult): string {
  return correlation === undefined ? '' : ` Attribution patching correlates with this by ${formatFixed(correlation)}.`;
}
