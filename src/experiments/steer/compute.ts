/** A prompt as it is, and with a direction added to its states or projected out of them. */
import type { Analysis } from '../../analysis/analysis.js';
import { formatNumber, formatShare } from '../../analysis/format.js';
import { type MassiveActivation, massiveActivations } from '../../analysis/massive.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { Intervention } from '../../engine/contract/interventions.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import { mean } from '../../statistics/numbers.js';
import type { Run, Setup } from '../experiment.js';
import { asIs } from '../shared/perplexity.js';
import { type PromptTokens, promptOf } from '../shared/prompt.js';
import { runPrompt } from '../shared/run.js';
import { follow } from '../shared/text.js';
import { contrastOf, type Direction, type PromptSets, readDirection, writeDirection } from './direction.js';

export interface SteerRequest extends Omit<Setup, 'engine'> {
  readonly model: string;
  readonly text: string;
  readonly from: PromptSets | { readonly file: string; readonly layer: number | undefined };
  /** What the direction is multiplied by before it is added; undefined: it is projected out. */
  readonly strength: number | undefined;
  /** Where the direction is written. */
  readonly save: string | undefined;
}

/** What a run comes to. */
export interface Steered {
  /** Mean of −ln p over all tokens but the first. */
  readonly loss: number;
  /** The likeliest next tokens. */
  readonly top: NonNullable<Analysis['predictions']>['top'];
  /** By layer k of h_k: the largest |h|. */
  readonly largest: readonly number[];
  readonly massive: readonly MassiveActivation[];
}

export interface SteerResult extends PromptTokens {
  readonly model: string;
  readonly direction: Direction;
  /** Its L2 norm. */
  readonly norm: number;
  /** Prompts that it is from; undefined where it is of a file. */
  readonly prompts: { readonly positive: number; readonly negative: number } | undefined;
  readonly strength: number | undefined;
  readonly thresholds: Thresholds;
  readonly before: Steered;
  readonly after: Steered;
}

/**
 * Makes or reads a direction, and runs a prompt with it at all tokens of one layer.
 *
 * @throws SinkscopeError as {@link contrastOf} and {@link readDirection}; `input` where the prompt is one token, the
 *   model predicts none, has no such layer or a state of another width; `save` where the direction cannot be written
 */
export async function* steerPrompt(engine: Engine, request: SteerRequest, signal?: AbortSignal): Run<SteerResult> {
  const { model, bos, memory, threads, from, strength, thresholds } = request;
  const prompt = await promptOf(engine, model, request.text, request, signal);
  if (prompt.ids.length < 2) {
    throw new SinkscopeError({
      code: 'input',
      message: 'The text is one token, and none comes before it that could predict it; give a longer text.',
    });
  }
  const contrast =
    'file' in from ? undefined : yield* contrastOf(engine, from, { model, bos, memory, threads }, signal);
  const direction = 'file' in from ? await readDirection(from.file, from.layer) : contrast;
  if (!direction) throw new Error('there is no direction');
  const intervention: Intervention = {
    point: 'resid_post',
    block: direction.layer,
    tokens: 'all',
    dims: 'all',
    set:
      strength === undefined
        ? { to: 'project-out', direction: direction.values }
        : { to: 'add', direction: direction.values.map((value) => strength * value) },
  };
  if (request.save !== undefined) await writeDirection(request.save, direction);
  const variants = [asIs, { name: '', interventions: [intervention] }];
  const sequences = [{ ids: [...prompt.ids], from: 1, variants }];
  const losses: number[] = [];
  for await (const event of follow(engine.run('measure', { model, sequences, memory, threads }, signal))) {
    if (event.type !== 'measured') continue;
    losses.push(mean(Array.from(event.losses)));
    yield { phase: 'measuring', done: losses.length, of: variants.length };
  }
  const [asItIs = Number.NaN, changed = Number.NaN] = losses;
  const run = { model, prompt: { ids: prompt.ids }, memory, threads };
  const before = yield* runPrompt(engine, run, signal);
  const after = yield* runPrompt(engine, { ...run, interventions: [intervention] }, signal);
  const { layer, values } = direction;
  return {
    ...prompt,
    model,
    direction: { layer, values },
    norm: Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0)),
    prompts: contrast && { positive: contrast.positive, negative: contrast.negative },
    strength,
    thresholds,
    before: steeredOf(before, asItIs, thresholds),
    after: steeredOf(after, changed, thresholds),
  };
}

function steeredOf(analysis: Analysis, loss: number, thresholds: Thresholds): Steered {
  return {
    loss,
    top: analysis.predictions?.top ?? [],
    largest: analysis.layers.map(({ top }) => Math.abs(top[0]?.value ?? Number.NaN)),
    massive: massiveActivations(analysis, thresholds).filter(({ kind }) => kind === 'massive'),
  };
}

/** What is done to the states, in words. */
export const changeInWords = ({ strength, direction }: Pick<SteerResult, 'strength' | 'direction'>) =>
  strength === undefined
    ? `the direction projected out of h_${direction.layer}`
    : `${formatNumber(strength)} × the direction added to h_${direction.layer}`;

/** What becomes of perplexity, prediction and massive activations, in a sentence. */
export function steerConclusion(result: SteerResult): string {
  const { before, after } = result;
  const perplexity = (of: Steered) => formatNumber(Math.exp(of.loss));
  const [one, other] = [before.top[0], after.top[0]];
  const next =
    one && other
      ? one.id === other.id
        ? `the prediction stays ${JSON.stringify(one.text)} (${formatShare(one.probability)} before, ${formatShare(other.probability)} after)`
        : `the prediction changes from ${JSON.stringify(one.text)} (${formatShare(one.probability)}) to ${JSON.stringify(other.text)} (${formatShare(other.probability)})`
      : 'no next token is predicted';
  return `With ${changeInWords(result)} the perplexity of the text goes from ${perplexity(before)} to ${perplexity(after)}, and ${next}; ${massiveInWords(result)}.`;
}

function massiveInWords({ before, after }: SteerResult): string {
  if (before.massive.length === 0 && after.massive.length === 0) return 'nothing is massive before or after';
  const place = ({ token, dim }: MassiveActivation) => `${token} ${dim}`;
  const now = new Set(after.massive.map(place));
  const kept = before.massive.filter((one) => now.has(place(one))).length;
  const fresh = after.massive.length - kept;
  const added = fresh === 0 ? '' : `, and there are ${fresh} new ones`;
  if (before.massive.length === 0) return `nothing was massive before, and ${fresh} activations are after`;
  if (kept === before.massive.length) return `all massive activations (${kept}) stay${added}`;
  return `of ${before.massive.length} massive activations ${kept} stay${added}`;
}
