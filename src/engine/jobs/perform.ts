/** The jobs of the process that runs models, by type. */
import { basename } from 'node:path';
import { SinkscopeError } from '../../errors.js';
import { modelIdentity, sameWeights } from '../../onnx/identity.js';
import { loadTokenizer } from '../../tokens/tokenizer.js';
import { type AnswerOf, checkRequest, type EventOf, type JobType, type RequestOf } from '../contract/protocol.js';
import type { WeightScalar } from '../contract/request.js';
import { chooseStream, type GivenInputs, streamFor } from '../inputs/choose.js';
import { tensorNames } from '../inputs/file.js';
import { answer } from '../questions/answers.js';
import { pruned } from '../stages/pruned.js';
import { StageRunner } from '../stages/runner.js';
import { withoutScalars } from '../stages/scalars.js';
import { simulate } from '../stages/simulated.js';
import { smoothed } from '../stages/smoothed.js';
import { tellActivation } from './activation.js';
import { limitsOf, runAnalysis } from './analyze.js';
import { tellAttribution } from './attribute.js';
import {
  allowReading,
  allowRunning,
  allowTokenising,
  type Chooser,
  type Current,
  checkAsRead,
  lastRun,
  load,
  tokenizerFile,
  tokenizerPlace,
  use,
} from './current.js';
import { describe, weightStatisticsOf } from './describe.js';
import { encodeText } from './encode.js';
import { tellExtents } from './extents.js';
import { trainAdapters } from './finetune.js';
import { writeTokens } from './generate.js';
import { tellGradients } from './gradients.js';
import { inspect } from './inspect.js';
import { measure } from './measure.js';
import { comparePair } from './pair.js';
import { parquetTexts } from './parquet.js';
import { tellPrecision } from './precision.js';
import { restoreProducts } from './restore.js';
import { tellResult } from './results.js';
import { rollOn } from './rolling.js';
import { answerFromTensors } from './savedTensors.js';
import { findSpikes } from './spikes.js';
import { type Recorded, recordStates, reduceStates } from './states.js';
import { mergeSurveys, readSurveys } from './surveys.js';
import type { Sided } from './tracks.js';
import { factorsOf, schemeOf, treat } from './treat.js';
import { saveRewritten } from './written.js';

const reading = (model: string) => `${basename(model)} and what belongs to it were read`;

/** Why some jobs are the CPU's whatever device is asked for. */
const hereOnly = {
  onward: 'the cache that a text is gone on from lies in its memory',
  derivatives: 'derivatives are taken there alone',
  difference: 'what a file differs from its model by would hold what a card differs by',
  extents: 'what a quantiser is told is measured there alone',
} as const;

/** Records of a survey that are given at once. */
const recordsTogether = 500;

/** Does a job: says events, and resolves with its answer. */
type Perform<T extends JobType> = (
  request: RequestOf<T>,
  emit: (event: EventOf<T>) => Promise<void>,
  overtaken: () => boolean,
) => AnswerOf<T> | Promise<AnswerOf<T>>;

const performers: { readonly [T in JobType]: Perform<T> } = {
  async analyze(request, emit, overtaken) {
    const elapsed = stopwatch();
    const used = await use(request, await givenBy(request), request.live ? hereOnly.onward : undefined);
    let firstLayerSeconds = 0;
    const report = async (event: EventOf<'analyze'>) => {
      // The prompt is there: what follows are runs of the model.
      if (event.type === 'started') allowRunning();
      await emit(event);
      if (event.type === 'layer' && event.layer <= 1) firstLayerSeconds = elapsed();
      if (request.live && overtaken()) throw overtook;
    };
    const { inside, reused } = await runAnalysis(used, request, report, allowTokenising);
    checkAsRead(used.loaded);
    used.run = inside;
    used.runs++;
    const saved = request.save?.file;
    return { type: 'finished', seconds: elapsed(), firstLayerSeconds, saved, ...(reused && { reused }) };
  },

  async measure(request, emit) {
    const elapsed = stopwatch();
    const used = await use(request);
    allowRunning();
    await changed(used, request, (runner) => measure(runner, request, emit));
    checkAsRead(used.loaded);
    return { type: 'done', seconds: elapsed() };
  },

  async states(request, emit) {
    const elapsed = stopwatch();
    const { reference } = request;
    const before = reference === undefined ? undefined : await recorded(request, reference);
    const used = await use(request, 'text', reference === undefined ? undefined : hereOnly.difference);
    allowRunning();
    await reduceStates(used.runner, request, before, emit);
    checkAsRead(used.loaded);
    return { type: 'done', seconds: elapsed() };
  },

  async pair(request, emit) {
    const elapsed = stopwatch();
    await beside(request, (runners) => comparePair(runners, request, emit));
    return { type: 'done', seconds: elapsed() };
  },

  async restore(request, emit) {
    const elapsed = stopwatch();
    await beside(request, (runners) => restoreProducts(runners, request, emit));
    return { type: 'done', seconds: elapsed() };
  },

  async extents(request, emit) {
    const elapsed = stopwatch();
    const used = await use(request, 'text', hereOnly.extents);
    allowRunning();
    const { smooth = [] } = request;
    const runner =
      smooth.length === 0
        ? used.runner
        : new StageRunner(smoothed(used.loaded, factorsOf(smooth)).loaded, used.threads);
    try {
      await tellExtents(runner, request, emit);
    } finally {
      if (runner !== used.runner) await runner.release();
    }
    checkAsRead(used.loaded);
    return { type: 'done', seconds: elapsed() };
  },

  async smooth(request) {
    const elapsed = stopwatch();
    const used = await use(request, 'text', hereOnly.extents);
    allowRunning();
    const made = smoothed(used.loaded, factorsOf(request.smooth));
    await saveRewritten(new StageRunner(made.loaded, used.threads), made.changed, request.save);
    checkAsRead(used.loaded);
    return { type: 'done', seconds: elapsed() };
  },

  async treat(request, emit) {
    const elapsed = stopwatch();
    const used = await use({ ...request, model: request.reference }, 'text', hereOnly.difference);
    allowRunning();
    await treat(used.runner, request, emit);
    checkAsRead(used.loaded);
    return { type: 'done', seconds: elapsed() };
  },

  async precision(request, emit) {
    const elapsed = stopwatch();
    const used = await use(request, 'text', hereOnly.extents);
    allowRunning();
    await tellPrecision(used.runner, request, emit);
    checkAsRead(used.loaded);
    return { type: 'done', seconds: elapsed() };
  },

  async gradients(request, emit) {
    const elapsed = stopwatch();
    const used = await use(request, await givenBy(request), hereOnly.derivatives);
    const report = async (event: EventOf<'gradients'>) => {
      // The prompt is there: what follows are runs of the model.
      if (event.type === 'started') allowRunning();
      await emit(event);
    };
    await tellGradients(used, request, report, allowTokenising);
    checkAsRead(used.loaded);
    return { type: 'done', seconds: elapsed() };
  },

  async activation(request, emit) {
    const elapsed = stopwatch();
    const used = await use(request, 'text', hereOnly.derivatives);
    allowRunning();
    await tellActivation(used.runner, request, emit);
    checkAsRead(used.loaded);
    return { type: 'done', seconds: elapsed() };
  },

  async finetune(request, emit) {
    const elapsed = stopwatch();
    const used = await use(request, 'text', hereOnly.derivatives);
    allowRunning();
    const model = await trainAdapters(used.runner, request, emit);
    checkAsRead(used.loaded);
    return { type: 'finetuned', seconds: elapsed(), model };
  },

  async attribute(request, emit) {
    const elapsed = stopwatch();
    const used = await use(request, 'text', hereOnly.derivatives);
    allowRunning();
    await tellAttribution(used.runner, request, emit);
    checkAsRead(used.loaded);
    return { type: 'done', seconds: elapsed() };
  },

  async spikes(request, emit) {
    const elapsed = stopwatch();
    const used = await use(request);
    allowRunning();
    await changed(used, request, (runner) => findSpikes(runner, request, emit));
    checkAsRead(used.loaded);
    return { type: 'done', seconds: elapsed() };
  },

  async rolling(request, emit) {
    const elapsed = stopwatch();
    const used = await use(request, 'text', hereOnly.onward);
    allowRunning();
    await rollOn(used.runner, request, emit);
    checkAsRead(used.loaded);
    return { type: 'done', seconds: elapsed() };
  },

  async generate(request, emit) {
    const elapsed = stopwatch();
    const used = await use(request, 'text', hereOnly.onward);
    const limits = { ...limitsOf(used.loaded, request), onPart: allowTokenising };
    const written = await writeTokens(used.runner, request, limits, allowRunning, emit);
    checkAsRead(used.loaded);
    return { type: 'generated', seconds: elapsed(), ...written };
  },

  async merge({ parts, shard }, emit) {
    const elapsed = stopwatch();
    allowReading('the parts of a survey were read');
    const { records, ...merged } = mergeSurveys(await readSurveys(parts), shard);
    await emit({ type: 'merged', ...merged });
    for (let start = 0; start < records.length; start += recordsTogether)
      await emit({ type: 'records', records: records.slice(start, start + recordsTogether) });
    return { type: 'done', seconds: elapsed() };
  },

  result({ file }, emit) {
    allowReading(`${basename(file)} was read`);
    return tellResult(file, emit);
  },

  saved({ file, question }) {
    allowReading(`${basename(file)} and the tensors beside it were read`);
    return answerFromTensors(file, question);
  },

  records({ file, column, from }) {
    allowReading(`${basename(file)} was read`);
    return parquetTexts(file, column, from);
  },

  async encode(request) {
    const { model, stream } = request;
    return encodeText(await load(model, chooser(model, stream, 'text')), request);
  },

  decode({ model, ids }) {
    const tokenizer = loadTokenizer(tokenizerPlace(model));
    return ids.map((id) => tokenizer?.decode(id) ?? `token ${id}`);
  },

  inspect: async ({ model, stream, takes }) => inspect(await load(model, chooser(model, stream, takes))),

  describe: ({ model, stream }) => describe(model, tokenizerFile, () => load(model, chooser(model, stream, undefined))),

  weight: ({ model, name }) => weightStatisticsOf(model, name),

  identity: ({ model }) => modelIdentity(model),

  sameWeights({ model, other }) {
    // Both are read to their ends, which takes what it takes.
    allowRunning();
    return sameWeights(model, other);
  },

  query(question) {
    const run = lastRun();
    if (!run) {
      throw new SinkscopeError({
        code: 'input',
        message: 'There is no finished run to ask about; run the analysis again.',
      });
    }
    return answer(run, question.type, question);
  },
};

const overtook = new SinkscopeError({ code: 'cancelled', message: 'The text has been edited since.' });

/**
 * @param overtaken whether an analysis that follows an edit has a later one behind it
 * @throws SinkscopeError `input` for a request that is none, and what the job throws
 */
export async function perform<T extends JobType>(
  type: T,
  request: unknown,
  emit: (event: EventOf<T>) => Promise<void>,
  overtaken: () => boolean = () => false,
): Promise<AnswerOf<T>> {
  const performer: Perform<T> = performers[type];
  const checked = checkRequest(type, request);
  if ('model' in checked) allowReading(reading(checked.model));
  return performer(checked, emit, overtaken);
}

/** Runs what is to be run on the model at hand, or on it with some of its weights as 0. */
async function changed(
  { loaded, runner, threads }: Current,
  { without = [], prune }: { readonly without?: readonly WeightScalar[]; readonly prune?: readonly number[] },
  run: (runner: StageRunner) => Promise<void>,
): Promise<void> {
  if (without.length === 0 && !prune) return run(runner);
  const less = withoutScalars(loaded, without);
  const other = new StageRunner(prune ? pruned(less, prune) : less, threads, undefined, runner.placement);
  try {
    await run(other);
  } finally {
    await other.release();
  }
}

async function recorded(request: RequestOf<'states'>, reference: string): Promise<Recorded> {
  const used = await use({ ...request, model: reference }, 'text', hereOnly.difference);
  allowRunning();
  return recordStates(used.runner, request);
}

/** What an analysis is given, as streams are chosen by it. */
async function givenBy({ prompt }: Pick<RequestOf<'analyze'>, 'prompt'>): Promise<GivenInputs> {
  if ('feeds' in prompt) return tensorNames(prompt.feeds);
  if ('beside' in prompt && prompt.beside !== undefined) return { beside: await tensorNames(prompt.beside) };
  return 'image' in prompt ? 'image' : 'text';
}

/** The stream that was named, or that something is enough for; the first where that is none, which says so when it is run. */
const chooser =
  (model: string, stream: string | undefined, given: GivenInputs | undefined): Chooser =>
  (streams) =>
    chooseStream(streams, stream ?? (given && streamFor(streams, given)?.name), undefined, model);

/** Does something with a model and what it is held against, and frees the sessions of the latter. */
async function beside(
  request: RequestOf<'pair' | 'restore'>,
  run: (runners: Sided<StageRunner>) => Promise<void>,
): Promise<void> {
  const { reference, by, threads } = request;
  // The larger of the two is the one at hand, whose bounds hold for both.
  const used = await use({ ...request, model: reference }, 'text', hereOnly.difference);
  const model = by.what === 'file' ? await load(by.model) : simulate(used.loaded, schemeOf(by));
  const other = new StageRunner(model, threads);
  allowRunning();
  try {
    await run({ reference: used.runner, model: other });
  } finally {
    await other.release();
  }
  for (const { loaded } of [used, other]) checkAsRead(loaded);
}

/** Seconds since now. */
function stopwatch(): () => number {
  const start = performance.now();
  return () => (performance.now() - start) / 1000;
}
