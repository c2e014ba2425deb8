/**
 * Sinkscope for programs: `import { analyze } from 'sinkscope'`. What analyses and experiments give is what the command
 * line prints with `--json` (docs/json.md); what is thrown is a {@link SinkscopeError} with the sentence that people get.
 */
import { emptyAnalysis, fold } from './analysis/analysis.js';
import { type ResultJson, toJson } from './analysis/result.js';
import { defaultThresholds, type Thresholds } from './analysis/thresholds.js';
import type { Device } from './engine/contract/device.js';
import type { RunEvent, RunRequest } from './engine/contract/events.js';
import type { Inspection } from './engine/contract/inspection.js';
import { defaultBudget } from './engine/host/budget.js';
import { Engine } from './engine/host/engine.js';
import { SinkscopeError } from './errors.js';
import { experiments } from './experiments/catalogue.js';
import type { ExperimentStep } from './experiments/experiment.js';
import type { ExperimentFacts } from './experiments/facts.js';
import type { Given } from './experiments/values.js';
import { modelFile } from './models/named.js';

export type { Problem } from './errors.js';
export type { Corpus, Given, NamedText } from './experiments/values.js';
export {
  defaultThresholds,
  Engine,
  type ExperimentFacts,
  type Inspection,
  inspectModel as inspect,
  type ResultJson,
  type RunEvent,
  SinkscopeError,
};

/** What every call takes. */
export interface Options {
  /** Runs it, and keeps what it has loaded for the next call; its owner disposes of it. Undefined: one for this call. */
  readonly engine?: Engine;
  /** Ends the call, which then throws `cancelled`. */
  readonly signal?: AbortSignal;
}

/** What every run takes. */
export interface RunOptions extends Options {
  /** Whether a prefix token is put before texts; undefined: as the model's files say. */
  readonly bos?: boolean;
  /** Which part is run of a text that is too long; undefined: none, it is refused. */
  readonly window?: 'first' | 'last';
  /** Bytes that the engine may hold beside the block it runs; undefined: a quarter of the machine's memory. */
  readonly memory?: number;
  /** What models are computed on (docs/gpu.md); undefined: what the engine has, the CPU by itself. */
  readonly device?: Device;
  /** What counts as massive and as a sink; undefined: the papers' definitions. */
  readonly thresholds?: Thresholds;
}

/**
 * Runs a model on a prompt, with its attention patterns reduced to sinks.
 *
 * @param model path of a `.onnx` file, or the name of a bundled model
 * @param prompt a text, token ids, a picture, or a file with tensors by input name; paths are absolute
 * @param options.onEvent is told what is found as it is found: every layer as soon as it was run
 * @throws SinkscopeError with the problem of a run that fails
 */
export async function analyze(
  model: string,
  prompt: RunRequest['prompt'],
  options: RunOptions & { readonly onEvent?: (event: RunEvent) => void } = {},
): Promise<ResultJson> {
  const { bos, window, memory = defaultBudget(), thresholds = defaultThresholds, signal, onEvent } = options;
  return withEngine(options, async (engine) => {
    const request = { model: await modelFile(model), prompt, bos, window, attention: true, memory, threads: 0 };
    let analysis = emptyAnalysis;
    for await (const event of engine.analyze(request, signal)) {
      analysis = fold(analysis, event);
      onEvent?.(event);
    }
    if (analysis.problem) throw new SinkscopeError(analysis.problem);
    return toJson(analysis, thresholds);
  });
}

/**
 * What a model is: its residual streams, what was recognised in them, its inputs and how each is fed.
 *
 * @param model path of a `.onnx` file, or the name of a bundled model
 * @throws SinkscopeError with the reason why it cannot be read
 */
async function inspectModel(model: string, options: Options = {}): Promise<Inspection> {
  return withEngine(options, async (engine) => engine.inspect(await modelFile(model), options.signal));
}

/** Every experiment and its inputs. */
export const catalogue: readonly ExperimentFacts[] = experiments;

/**
 * Runs an experiment, as in `experiment('perplexity', { model, text: { name: 'a', text } })`.
 *
 * @param id as in {@link catalogue}: the subcommand's name
 * @param given a value for each of its inputs, by name; those left out have their default
 * @param options.onStep is told how far it is, and what there is of the result where that is worth a look
 * @throws SinkscopeError `input` where there is no such experiment or a value does not fit, and what it throws
 */
export async function experiment(
  id: string,
  given: Given,
  options: RunOptions & { readonly onStep?: (step: ExperimentStep) => void } = {},
): Promise<object> {
  const { bos, window: part, memory = defaultBudget(), thresholds = defaultThresholds, signal, onStep } = options;
  const found = experiments.find((one) => one.id === id);
  if (!found) {
    const message = `There is no experiment ${id}; there are ${experiments.map((one) => one.id).join(', ')}.`;
    throw new SinkscopeError({ code: 'input', message });
  }
  return withEngine(options, async (engine) => {
    const setup = { engine, bos, part, memory, thresholds, threads: 0 };
    const steps = found.run(setup, await withFiles(found, given), signal ?? new AbortController().signal);
    let step = await steps.next();
    for (; !step.done; step = await steps.next()) onStep?.(step.value);
    return step.value.json;
  });
}

/** With models that are named by a bundled model's name as their files. */
async function withFiles({ inputs }: ExperimentFacts, given: Given): Promise<Given> {
  const fileOf = (model: unknown) => (typeof model === 'string' ? modelFile(model) : model);
  const values: Record<string, unknown> = { ...given };
  for (const [name, { kind }] of Object.entries(inputs)) {
    const value = given[name];
    if (kind === 'model' && value !== undefined) values[name] = await fileOf(value);
    else if (kind === 'models' && Array.isArray(value)) values[name] = await Promise.all(value.map(fileOf));
  }
  return values;
}

async function withEngine<T>(
  { engine, device }: Options & Pick<RunOptions, 'device'>,
  run: (engine: Engine) => Promise<T>,
): Promise<T> {
  if (engine) {
    if (device !== undefined) engine.device = device;
    return run(engine);
  }
  const own = new Engine();
  if (device !== undefined) own.device = device;
  try {
    return await run(own);
  } finally {
    own.dispose();
  }
}
