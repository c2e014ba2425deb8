/** What a model loses without each of its heads, and without each of its MLPs. */
import type { Intervention, Setting } from '../../engine/contract/interventions.js';
import type { Variant } from '../../engine/contract/measure.js';
import type { MeanEvent } from '../../engine/contract/states.js';
import type { Engine } from '../../engine/host/engine.js';
import { mean } from '../../statistics/numbers.js';
import type { Progress, Run, Setup } from '../experiment.js';
import { type Answers, answersOf } from '../shared/answers.js';
import { headSlices } from '../shared/heads.js';
import { asIs } from '../shared/perplexity.js';
import { type PromptTokens, promptOf } from '../shared/prompt.js';
import { follow, progressThrough, textWindows } from '../shared/text.js';

export interface AblateRequest extends Omit<Setup, 'engine' | 'thresholds'> {
  readonly model: string;
  readonly text: string;
  readonly set: 'zero' | 'mean';
  /** Where means are from; needed by `mean` alone. */
  readonly calibrationText?: string;
  readonly answers?: readonly [string, string];
}

/** What a run comes to. */
export interface Scores {
  /** Mean of −ln p over all tokens but the first. */
  readonly loss: number;
  /** Logit of the first answer − that of the second after the last token; undefined where there are no answers. */
  readonly difference: number | undefined;
}

export interface AblateResult extends PromptTokens {
  readonly model: string;
  readonly set: AblateRequest['set'];
  /** Windows of the calibration text that means are over; 0 where there are none. */
  readonly calibrated: number;
  readonly answers: Answers | undefined;
  readonly asIs: Scores;
  /** Without one head each; blocks are 1-based. */
  readonly heads: readonly (Scores & { readonly block: number; readonly head: number })[];
  /** Without what the MLP of one block adds, whatever it is made of. */
  readonly mlps: readonly (Scores & { readonly block: number })[];
}

/**
 * Runs a text without each head and each MLP in turn.
 *
 * @throws SinkscopeError `input` where the model has no heads that can be told apart, means have nothing to be taken
 *   from, or an answer is several tokens; as the measurement else
 */
export async function* ablateEach(engine: Engine, request: AblateRequest, signal?: AbortSignal): Run<AblateResult> {
  const { model, memory, threads, set, calibrationText = '' } = request;
  const prompt = await promptOf(engine, model, request.text, request, signal);
  const answers = request.answers && (await answersOf(engine, model, request.answers, signal));
  const heads = await headSlices(engine, model, signal);
  const { blocks } = (await engine.inspect(model, signal, { takes: 'text' })).anatomy;
  const mlps = blocks.flatMap(({ mlpOutput }, index) => (mlpOutput === undefined ? [] : [{ block: index + 1 }]));
  // In the order in which the model computes them.
  const places = blocks.flatMap((_, index) => {
    const block = index + 1;
    const hasHeads = heads.some((head) => head.block === block);
    const hasMlp = mlps.some((mlp) => mlp.block === block);
    return [
      ...(hasHeads ? [{ point: 'z', block } as const] : []),
      ...(hasMlp ? [{ point: 'mlp_out', block } as const] : []),
    ];
  });
  const means = set === 'mean' ? yield* meansOf(engine, request, calibrationText, prompt, places, signal) : undefined;
  const without = (point: 'z' | 'mlp_out', block: number, dims: 'all' | readonly number[]): Variant => ({
    name: '',
    interventions: means
      ? toMeans(point, block, dims, prompt.ids.length, means.rows.get(`${point} ${block}`))
      : [{ point, block, tokens: 'all', dims, set: { to: 'zero' } }],
  });
  const variants = [
    asIs,
    ...heads.map(({ block, dims }) => without('z', block, dims)),
    ...mlps.map(({ block }) => without('mlp_out', block, 'all')),
  ];
  const ids = answers && ([answers[0].id, answers[1].id] as const);
  const sequences = [{ ids: prompt.ids, from: 1, variants, answers: ids }];
  const scores: Scores[] = [];
  for await (const event of follow(engine.run('measure', { model, sequences, memory, threads }, signal))) {
    if (event.type !== 'measured') continue;
    scores.push({ loss: mean(Array.from(event.losses)), difference: event.difference });
    yield { phase: 'ablating', done: scores.length, of: variants.length };
  }
  const [whole, ...others] = scores;
  if (!whole) throw new Error('nothing was measured');
  const at = (i: number) => others[i] ?? { loss: Number.NaN, difference: undefined };
  return {
    ...prompt,
    model,
    set,
    calibrated: means?.windows ?? 0,
    answers,
    asIs: whole,
    heads: heads.map(({ block, head }, i) => ({ block, head, ...at(i) })),
    mlps: mlps.map(({ block }, i) => ({ block, ...at(heads.length + i) })),
  };
}

interface Means {
  /** By point and block: the mean [D] of the first token, and that of all others. */
  readonly rows: ReadonlyMap<string, { readonly first: Float32Array; readonly rest: Float32Array }>;
  readonly windows: number;
}

/** More hardly move a mean over all of their tokens, and windows of a short prompt are many. */
const mostWindows = 64;

/** Means over the first windows of a text as long as the prompt: the first token, which others attend to as to no other, has its own. */
async function* meansOf(
  engine: Engine,
  { model, memory, threads }: AblateRequest,
  text: string,
  { ids, bos }: PromptTokens,
  places: readonly { readonly point: 'z' | 'mlp_out'; readonly block: number }[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Progress, Means, void> {
  const tokens = mostWindows * (ids.length - (bos ? 1 : 0));
  const windowing = { window: ids.length, tokens, bos, called: 'The calibration text', exact: true } as const;
  const windows = await textWindows(engine, model, text, windowing, signal);
  const sequences = windows.sequences.map((sequence) => sequence.ids);
  const request = { model, sequences, places, mean: { rows: ids.map((_, t) => t) }, memory, threads };
  const progress = progressThrough('calibrating', sequences.length);
  const rows = new Map<string, { first: Float32Array; rest: Float32Array }>();
  for await (const event of follow(engine.run('states', request, signal))) {
    if (event.type === 'mean') rows.set(`${event.point} ${event.block}`, splitRows(event));
    else yield progress(event);
  }
  return { rows, windows: sequences.length };
}

function splitRows({ rows: [first = new Float32Array(0), ...others] }: Pick<MeanEvent, 'rows'>) {
  const sums = new Float64Array(first.length);
  for (const row of others) for (const [dim, value] of row.entries()) sums[dim] = (sums[dim] ?? 0) + value;
  return { first, rest: Float32Array.from(sums, (sum) => sum / others.length) };
}

function toMeans(
  point: 'z' | 'mlp_out',
  block: number,
  dims: 'all' | readonly number[],
  length: number,
  means: { readonly first: Float32Array; readonly rest: Float32Array } | undefined,
): Intervention[] {
  if (!means) throw new Error(`there is no mean of ${point} of block ${block}`);
  const change = (tokens: Intervention['tokens'], set: Setting): Intervention => ({ point, block, tokens, dims, set });
  const of = (row: Float32Array) =>
    ({ to: 'value', value: dims === 'all' ? row : Float32Array.from(dims, (dim) => row[dim] ?? Number.NaN) }) as const;
  const rest = Array.from({ length: length - 1 }, (_, i) => i + 1);
  return [change([0], of(means.first)), change(rest, of(means.rest))];
}

/** The one whose absence changes most. */
export function strongest<T extends Scores>(
  parts: readonly T[],
  whole: Scores,
  of: 'loss' | 'difference',
): T | undefined {
  const change = (part: T) => Math.abs((part[of] ?? Number.NaN) - (whole[of] ?? Number.NaN));
  return parts.reduce<T | undefined>(
    (best, part) => (best === undefined || change(part) > change(best) ? part : best),
    undefined,
  );
}

/** Which head and which MLP the text needs most, in a sentence. */
export function ablateConclusion(result: AblateResult): string {
  const { asIs: whole, heads, mlps, answers } = result;
  const of = answers ? 'difference' : 'loss';
  const figure = (scores: Scores) => `${(scores[of] ?? Number.NaN).toFixed(3)}`.replace('-', '−');
  const head = strongest(heads, whole, of);
  const mlp = strongest(mlps, whole, of);
  const parts = [
    ...(head
      ? [`without head ${head.head} of block ${head.block} it is ${figure(head)}, the most that a head changes`]
      : []),
    ...(mlp ? [`without the MLP of block ${mlp.block} ${figure(mlp)}`] : []),
  ];
  const called = answers ? 'logit difference' : 'loss';
  const least = 0.01 * Math.abs(whole[of] ?? 0);
  const idle = heads.filter((one) => Math.abs((one[of] ?? Number.NaN) - (whole[of] ?? Number.NaN)) < least).length;
  return `The ${called} is ${figure(whole)}; ${parts.join(', ')}. ${idle} of ${heads.length} heads change it by less than 1 %.`;
}
