/** One prompt as it is and with activations changed, side by side. */
import type { Analysis } from '../../analysis/analysis.js';
import { formatShare } from '../../analysis/format.js';
import { type Sinks, sinks } from '../../analysis/sinks.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { Intervention } from '../../engine/contract/interventions.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import type { Run } from '../experiment.js';
import { overlap } from '../shared/caveats.js';
import { type PromptRequest, runPrompt } from '../shared/run.js';
import { type Change, changeProblem } from './change.js';
import { resolve, withMeans } from './selectors.js';

export interface InterveneRequest extends PromptRequest {
  readonly change: Change;
  /** Where means are taken from; needed by `mean` alone. */
  readonly calibrationText?: string;
  readonly thresholds: Thresholds;
}

export interface InterveneResult {
  /** As they were described. */
  readonly changes: readonly Change[];
  readonly before: Analysis;
  readonly after: Analysis;
  /** What the changes meant for this prompt. */
  readonly interventions: readonly Intervention[];
  /** Windows of the calibration text that means are over; 0 where there is no mean. */
  readonly calibrated: number;
  readonly thresholds: Thresholds;
  readonly sinks: { readonly before: Sinks; readonly after: Sinks };
  /** In words, what the two runs have to be read with. */
  readonly warnings: readonly string[];
}

/**
 * Runs a prompt, then runs it again with the change made.
 *
 * @throws SinkscopeError where the prompt cannot be run, or the change means nothing for it
 */
export async function* runBeside(
  engine: Engine,
  request: InterveneRequest,
  signal?: AbortSignal,
): Run<InterveneResult> {
  const { model, memory, threads, change, calibrationText = '', thresholds } = request;
  const problem = changeProblem(change);
  if (problem !== undefined)
    throw new SinkscopeError({ code: 'input', message: `Value, factor or deviation: ${problem}.` });
  const before = yield* runPrompt(engine, request, signal);
  const resolved = resolve(change, before, thresholds);
  const means = {
    model,
    memory,
    threads,
    calibrationText,
    length: before.layers[0]?.tokens ?? 0,
    bos: before.started?.settings.bos ?? false,
  };
  const warnings = change.set.to === 'mean' ? meansOfSame(request.prompt, calibrationText) : [];
  const { interventions, sequences: calibrated } = await withMeans(engine, resolved, means, signal);
  const after = yield* runPrompt(engine, { ...request, interventions }, signal);
  return sideBySide(before, after, { changes: [change], interventions, calibrated, thresholds, warnings });
}

/** Two runs, with what was changed between them. */
export function sideBySide(
  before: Analysis,
  after: Analysis,
  change: Pick<InterveneResult, 'changes' | 'interventions' | 'calibrated' | 'thresholds' | 'warnings'>,
): InterveneResult {
  const rates = { before: sinks(before, change.thresholds), after: sinks(after, change.thresholds) };
  return { ...change, before, after, sinks: rates };
}

/** That means are taken from the very text they are put into, in words; empty where they are not. */
export function meansOfSame(prompt: PromptRequest['prompt'], calibrationText: string): string[] {
  if (!('text' in prompt) || !overlap(prompt.text, calibrationText)) return [];
  return [
    'The calibration text is the text itself, or part of it: the means are not held out, so they fit it too well.',
  ];
}

/** What the two runs say, in a sentence. */
export function interveneConclusion({ before, after, sinks: rates }: InterveneResult): string {
  const [one, other] = [before.predictions?.top[0], after.predictions?.top[0]];
  const predicted =
    one && other
      ? one.id === other.id
        ? `The prediction stays ${JSON.stringify(one.text)} (${formatShare(one.probability)} before, ${formatShare(other.probability)} after)`
        : `The prediction changes from ${JSON.stringify(one.text)} (${formatShare(one.probability)}) to ${JSON.stringify(other.text)} (${formatShare(other.probability)})`
      : 'The model predicts no tokens';
  const [rate, now] = [rates.before.rate, rates.after.rate];
  if (rate === undefined || now === undefined) return `${predicted}; there are no attention patterns to compare.`;
  const drawn = `the first token is a sink in ${formatShare(rate)} of the heads before and ${formatShare(now)} after`;
  if (rate > 0 && now < rate / 2) return `${predicted}; ${drawn}: the sinks rest on what was changed.`;
  if (now > rate + 0.05)
    return `${predicted}; ${drawn}: more heads are drawn to it, so the sinks do not need what was changed.`;
  if (now > rate - 0.05) return `${predicted}; ${drawn}: the sinks do not rest on what was changed.`;
  return `${predicted}; ${drawn}: the sinks rest in part on what was changed.`;
}
