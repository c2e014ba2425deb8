/** The process that runs models. It does one thing at a time, says everything through messages, and may be killed. */
import { SinkscopeError, toProblem } from '../../errors.js';
import { modelIdentity } from '../../onnx/identity.js';
import { checkFit, checkIds, loadTokenizer } from '../../tokens/tokenizer.js';
import type { RunEvent, RunRequest } from '../contract/events.js';
import { checkToChild, type Encoded, type FromChild, idOf, type ToChild } from '../contract/protocol.js';
import type { StatesRequest } from '../contract/states.js';
import type { Inside } from '../questions/inside.js';
import { answer } from '../questions/questions.js';
import { fileVersion, type LoadedModel, loadModel } from '../stages/loaded.js';
import { StageRunner } from '../stages/runner.js';
import { analyze } from './analyze.js';
import { inspect } from './inspect.js';
import { measure } from './measure.js';
import { recordStates, reduceStates } from './states.js';

/** The model that was run last, its sessions, and the run that questions are about. */
interface Current {
  readonly loaded: LoadedModel;
  readonly threads: number;
  readonly runner: StageRunner;
  runs: number;
  run: Inside | undefined;
}

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
    await perform(checkToChild(message));
  } catch (error) {
    await send({ id, type: 'problem', problem: toProblem(error) });
  }
}

async function perform(message: ToChild): Promise<void> {
  const { id } = message;
  if (message.type === 'analyze') {
    await analyzed(message.request, (event) => send({ id, type: 'event', event }));
  } else if (message.type === 'measure') {
    const start = performance.now();
    const used = await use(message.request);
    used.run = undefined;
    await measure(used.loaded, used.runner, message.request, (event) => send({ id, type: 'event', event }));
    const seconds = (performance.now() - start) / 1000;
    await send({ id, type: 'event', event: { type: 'finished', seconds, firstLayerSeconds: seconds } });
  } else if (message.type === 'states') {
    const start = performance.now();
    const { request } = message;
    const reference = request.reference === undefined ? undefined : await recorded(request, request.reference);
    const used = await use(request);
    used.run = undefined;
    await reduceStates(used.loaded, used.runner, request, reference, (event) => send({ id, type: 'event', event }));
    const seconds = (performance.now() - start) / 1000;
    await send({ id, type: 'event', event: { type: 'finished', seconds, firstLayerSeconds: seconds } });
  } else if (message.type === 'encode') {
    await send({ id, type: 'answer', answer: await encode(message.model, message.text, message.bos) });
  } else if (message.type === 'decode') {
    const tokenizer = loadTokenizer(message.model);
    await send({ id, type: 'answer', answer: message.ids.map((id) => tokenizer?.decode(id) ?? `token ${id}`) });
  } else if (message.type === 'inspect') {
    await send({ id, type: 'answer', answer: inspect(load(message.model)) });
  } else if (message.type === 'identity') {
    await send({ id, type: 'answer', answer: modelIdentity(message.model) });
  } else {
    if (!current?.run) {
      throw new SinkscopeError({
        code: 'input',
        message: 'There is no finished run to ask about; run the analysis again.',
      });
    }
    await send({ id, type: 'answer', answer: await answer(current.run, message.query) });
  }
}

async function analyzed(request: RunRequest, emit: (event: RunEvent) => Promise<void>): Promise<void> {
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1000;
  const used = await use(request);
  used.run = undefined;
  let firstLayerSeconds = 0;
  used.run = await analyze(used.loaded, used.runner, request, used.runs > 0, async (event) => {
    await emit(event);
    if (event.type === 'layer' && event.layer <= 1) firstLayerSeconds = elapsed();
  });
  used.runs++;
  await emit({ type: 'finished', seconds: elapsed(), firstLayerSeconds, saved: request.save?.file });
}

async function recorded(request: StatesRequest, reference: string) {
  const used = await use({ model: reference, threads: request.threads });
  used.run = undefined;
  return recordStates(used.loaded, used.runner, request);
}

/** @throws SinkscopeError `tokenizer` where there is none, or it does not fit the model; `input` as `Tokenizer.encode` */
async function encode(model: string, text: string, bos: boolean | undefined): Promise<Encoded> {
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
}

/** The model's structure: as it was read, unless the file is another one or has changed on disk. */
function load(model: string): LoadedModel {
  const version = fileVersion(model);
  const known = [current?.loaded, loaded].find((one) => one?.file === model && one.version === version);
  if (known) return known;
  loaded = loadModel(model);
  return loaded;
}

/** The model of the request: the one at hand, unless it is another, has changed on disk, or needs other threads. */
async function use({ model, threads }: Pick<RunRequest, 'model' | 'threads'>): Promise<Current> {
  const version = fileVersion(model);
  if (current?.loaded.file === model && current.loaded.version === version && current.threads === threads)
    return current;
  await current?.runner.release();
  current = undefined;
  const found = load(model);
  current = { loaded: found, threads, runner: new StageRunner(found, threads), runs: 0, run: undefined };
  return current;
}

/** Resolves once the message is on its way: the next stage blocks this thread. */
function send(message: FromChild): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, undefined, undefined, () => resolve());
  });
}
