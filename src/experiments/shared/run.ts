/** One run of a prompt, for the experiments that ask about its inside. */
import { type Analysis, emptyAnalysis, fold } from '../../analysis/analysis.js';
import type { RunRequest } from '../../engine/contract/events.js';
import type { AnswerTo, Question } from '../../engine/contract/questions.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import type { Token } from '../../tokens/token.js';
import { type Budget, finish, type Progress } from '../experiment.js';

/** A prompt as `analyze` takes it. */
export interface PromptRequest extends Budget, Pick<RunRequest, 'model' | 'prompt' | 'bos' | 'window'> {}

/** What every figure about one run depends on, beside thresholds. */
export interface RunFacts {
  /** Path of the `.onnx` file, and what it is called. */
  readonly model: string;
  readonly name: string;
  /** Tokens that were run, T, and of how many (undefined: of more, which were not counted); both with the prefix token. */
  readonly tokens: number;
  readonly total: number | undefined;
  readonly sequence: readonly Token[];
  /** Which of the text's own tokens they are: from `start` to before `end`. */
  readonly window: { readonly start: number; readonly end: number };
  /** Whether a prefix token (BOS) stands before the text; undefined where ids or tensors were given as they are. */
  readonly bos: boolean | undefined;
  /** The residual stream that was run, of a file with several; undefined where it has one. */
  readonly stream?: string | undefined;
}

/**
 * Runs a prompt. Questions may be asked until the next run.
 *
 * @throws SinkscopeError with the problem of a run that fails
 */
export async function* runPrompt(
  engine: Engine,
  request: PromptRequest & Pick<RunRequest, 'interventions' | 'save' | 'stream'>,
  signal?: AbortSignal,
): AsyncGenerator<Progress, Analysis, void> {
  const { model, prompt, bos, window, interventions, save, stream, memory, threads } = request;
  let analysis = emptyAnalysis;
  const run = { model, prompt, bos, window, interventions, save, stream, attention: true, memory, threads };
  for await (const event of engine.analyze(run, signal)) {
    analysis = fold(analysis, event);
    const of = analysis.started?.model.layers ?? 1;
    if (event.type === 'layer') yield { phase: 'layer', done: event.layer, of };
  }
  if (analysis.problem) throw new SinkscopeError(analysis.problem);
  return analysis;
}

/** {@link runPrompt} for those who wait for its end. */
export function analyzePrompt(...request: Parameters<typeof runPrompt>): Promise<Analysis> {
  return finish(runPrompt(...request));
}

/** Asks about the last run, unless `signal` is aborted: then the engine is left alone and `cancelled` is thrown. */
export async function ask<Q extends Question>(
  engine: Engine,
  question: Q,
  signal?: AbortSignal,
): Promise<AnswerTo<Q['type']>> {
  if (signal?.aborted) throw new SinkscopeError({ code: 'cancelled', message: 'The experiment was stopped.' });
  return engine.query(question);
}

export function factsOf({ started, tokens }: Analysis): RunFacts {
  if (!started || !tokens) throw new Error('the run has not begun');
  const { file, name, stream, streams } = started.model;
  const { tokens: sequence, window, total } = tokens;
  const facts = { model: file, name, tokens: sequence.length, sequence, window, total, bos: started.settings.bos };
  return streams.length > 1 ? { ...facts, stream } : facts;
}
