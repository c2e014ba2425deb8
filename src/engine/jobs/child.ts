/** The process that runs models. It does one thing at a time, says everything through messages, and may be killed. */
import { SinkscopeError, toProblem } from '../../errors.js';
import { modelIdentity } from '../../onnx/identity.js';
import { checkFit, checkIds, loadTokenizer } from '../../tokens/tokenizer.js';
import type { RunRequest } from '../contract/events.js';
import {
  type AnswerOf,
  checkRequest,
  checkToChild,
  type EventOf,
  type FromChild,
  idOf,
  type JobType,
  type RequestOf,
} from '../contract/protocol.js';
import { startGuard } from '../guard/guard.js';
import type { Bounds } from '../guard/note.js';
import { answer } from '../questions/answers.js';
import type { Inside } from '../questions/inside.js';
import { type LoadedModel, loadModel, versionOf } from '../stages/loaded.js';
import { StageRunner } from '../stages/runner.js';
import { analyze } from './analyze.js';
import { idleBounds, readingBounds, runningBounds } from './bounds.js';
import { inspect } from './inspect.js';
import { measure } from './measure.js';
import { recordStates, reduceStates } from './states.js';

/** The model that was run last, its sessions, and the run that questions are about. */
interface Current {
  readonly loaded: LoadedModel;
  readonly threads: number;
  /** Budget of the last run, in bytes. */
  memory: number;
  readonly runner: StageRunner;
  runs: number;
  run: Inside | undefined;
}

const guard = startGuard();
let current: Current | undefined;
/** The structure that was read last, which may be another model's than the current one's. */
let loaded: LoadedModel | undefined;
let queue = Promise.resolve();

process.on('message', (message: unknown) => {
  queue = queue.then(() => handle(message));
});
// The editor is gone: nobody is left to work for.
process.on('disconnect', () => process.exit());

async function handle(message: unknown): Promise<void> {
  const id = idOf(message);
  try {
    const { type, request } = checkToChild(message);
    await send({
      id,
      type: 'answer',
      answer: await perform(type, request, (event) => send({ id, type: 'event', event })),
    });
  } catch (error) {
    await send({ id, type: 'problem', problem: toProblem(error) });
  }
  guard.allow(bounds());
}

/** While nothing is read: the model that was run last may keep what it has. */
function bounds(): Bounds {
  return current ? runningBounds(current.loaded, current.memory) : idleBounds;
}

/** Does a job: says events, and resolves with its answer. */
type Perform<T extends JobType> = (
  request: RequestOf<T>,
  emit: (event: EventOf<T>) => Promise<void>,
) => AnswerOf<T> | Promise<AnswerOf<T>>;

const performers: { readonly [T in JobType]: Perform<T> } = {
  async analyze(request, emit) {
    const elapsed = stopwatch();
    const used = await use(request);
    let firstLayerSeconds = 0;
    const run = await analyze(used.loaded, used.runner, request, used.runs > 0, async (event) => {
      // The prompt is there: what follows are runs of the model.
      if (event.type === 'started') guard.allow(bounds());
      await emit(event);
      if (event.type === 'layer' && event.layer <= 1) firstLayerSeconds = elapsed();
    });
    checkAsRead(used.loaded);
    used.run = run;
    used.runs++;
    return { type: 'finished', seconds: elapsed(), firstLayerSeconds, saved: request.save?.file };
  },

  async measure(request, emit) {
    const elapsed = stopwatch();
    const used = await use(request);
    guard.allow(bounds());
    await measure(used.loaded, used.runner, request, emit);
    checkAsRead(used.loaded);
    return { type: 'done', seconds: elapsed() };
  },

  async states(request, emit) {
    const elapsed = stopwatch();
    const { reference } = request;
    const before = reference === undefined ? undefined : await use({ ...request, model: reference });
    guard.allow(bounds());
    const recorded = before && (await recordStates(before.loaded, before.runner, request));
    const used = await use(request);
    guard.allow(bounds());
    await reduceStates(used.loaded, used.runner, request, recorded, emit);
    checkAsRead(used.loaded);
    return { type: 'done', seconds: elapsed() };
  },

  async encode({ model, text, bos }) {
    const tokenizer = loadTokenizer(model);
    if (!tokenizer) {
      throw new SinkscopeError({
        code: 'tokenizer',
        file: model,
        message: `${model} has no tokenizer.json beside it: put the model's own there.`,
      });
    }
    const { vocabulary } = load(model).summary;
    if (vocabulary !== undefined) checkFit(tokenizer, vocabulary);
    const { tokens, suffix, lost, bos: isPrefixed } = await tokenizer.encode(text, { bos });
    // Put there, or written in the text: either way it is the prefix of what is run.
    const prefix = isPrefixed ? (tokenizer.bos?.ids ?? []) : [];
    const ids = tokens.slice(prefix.length, tokens.length - suffix).map((token) => token.id);
    checkIds(ids, vocabulary);
    return { ids: Int32Array.from(ids), prefix: prefix[0], lost };
  },

  decode({ model, ids }) {
    const tokenizer = loadTokenizer(model);
    return ids.map((id) => tokenizer?.decode(id) ?? `token ${id}`);
  },

  inspect: ({ model }) => inspect(load(model)),

  identity: ({ model }) => modelIdentity(model),

  query(question) {
    if (!current?.run) {
      throw new SinkscopeError({
        code: 'input',
        message: 'There is no finished run to ask about; run the analysis again.',
      });
    }
    return answer(current.run, question.type, question);
  },
};

/** @throws SinkscopeError `input` for a request that is none, and what the job throws */
async function perform<T extends JobType>(
  type: T,
  request: unknown,
  emit: (event: EventOf<T>) => Promise<void>,
): Promise<AnswerOf<T>> {
  const performer: Perform<T> = performers[type];
  const checked = checkRequest(type, request);
  if ('model' in checked) guard.allow(readingBounds(checked.model, bounds()));
  return performer(checked, emit);
}

/** Seconds since now. */
function stopwatch(): () => number {
  const start = performance.now();
  return () => (performance.now() - start) / 1000;
}

/** The model's structure: as it was read, unless the file is another one or has changed on disk. */
function load(model: string): LoadedModel {
  const known = [current?.loaded, loaded].find((one) => one?.file === model && isAsRead(one));
  if (known) return known;
  loaded = loadModel(model);
  return loaded;
}

const isAsRead = ({ file, weights, version }: LoadedModel) => versionOf(file, weights) === version;

/**
 * @throws SinkscopeError `file` where the files of a model that has just been run are not those it was read from: nobody
 *   can tell which of its numbers are whose
 */
function checkAsRead(model: LoadedModel): void {
  if (isAsRead(model)) return;
  throw new SinkscopeError({
    code: 'file',
    file: model.file,
    message: `${model.file}, or its weights, tokenizer or configuration, changed while the model was run; run it again.`,
  });
}

/**
 * The model of the request: the one at hand, unless it is another, has changed on disk, or needs other threads. Its
 * last run can no longer be asked about.
 */
async function use({ model, threads, memory }: Pick<RunRequest, 'model' | 'threads' | 'memory'>): Promise<Current> {
  if (current?.loaded.file === model && current.threads === threads && isAsRead(current.loaded)) {
    current.run = undefined;
    current.memory = memory;
    return current;
  }
  await current?.runner.release();
  current = undefined;
  const found = load(model);
  current = { loaded: found, threads, memory, runner: new StageRunner(found, threads), runs: 0, run: undefined };
  return current;
}

/** Resolves once the message is on its way: the next stage blocks this thread. */
function send(message: FromChild): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, undefined, undefined, () => resolve());
  });
}
