/** The process that runs models. It does one thing at a time, says everything through messages, and may be killed. */
import { SinkscopeError, toProblem } from '../errors.js';
import type { RunEvent, RunRequest } from './events.js';
import { inspect } from './inspection.js';
import { fileVersion, type LoadedModel, loadModel } from './loaded.js';
import { checkToChild, type FromChild, idOf, type ToChild } from './protocol.js';
import { type Run, startRun } from './run.js';
import { StageRunner } from './stages.js';

/** The model that was run last, its sessions, and the run that questions are about. */
interface Current {
  readonly loaded: LoadedModel;
  readonly threads: number;
  readonly runner: StageRunner;
  runs: number;
  run: Run | undefined;
}

let current: Current | undefined;
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
    await analyze(message.request, (event) => send({ id, type: 'event', event }));
  } else if (message.type === 'inspect') {
    const known = current?.loaded;
    const isKnown = known?.file === message.model && known.version === fileVersion(message.model);
    await send({ id, type: 'answer', answer: inspect(isKnown ? known : loadModel(message.model)) });
  } else {
    if (!current?.run) {
      throw new SinkscopeError({
        code: 'input',
        message: 'There is no finished run to ask about; run the analysis again.',
      });
    }
    await send({ id, type: 'answer', answer: await current.run.answer(message.query) });
  }
}

async function analyze(request: RunRequest, emit: (event: RunEvent) => Promise<void>): Promise<void> {
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1000;
  const used = await use(request);
  used.run = undefined;
  let firstLayerSeconds = 0;
  used.run = await startRun(used.loaded, used.runner, request, used.runs > 0, async (event) => {
    await emit(event);
    if (event.type === 'layer' && event.layer <= 1) firstLayerSeconds = elapsed();
  });
  used.runs++;
  await emit({ type: 'finished', seconds: elapsed(), firstLayerSeconds, saved: request.save?.file });
}

/** The model of the request: the one at hand, unless it is another, has changed on disk, or needs other threads. */
async function use({ model, threads }: RunRequest): Promise<Current> {
  const version = fileVersion(model);
  if (current?.loaded.file === model && current.loaded.version === version && current.threads === threads)
    return current;
  await current?.runner.release();
  current = undefined;
  const loaded = loadModel(model);
  current = { loaded, threads, runner: new StageRunner(loaded, threads), runs: 0, run: undefined };
  return current;
}

/** Resolves once the message is on its way: the next stage blocks this thread. */
function send(message: FromChild): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, undefined, undefined, () => resolve());
  });
}
