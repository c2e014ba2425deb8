/** What the process has at hand: models as they were read, and one with its sessions and its last run. */
import { SinkscopeError } from '../../errors.js';
import { versionOf } from '../../models/version.js';
import type { RunRequest } from '../contract/events.js';
import { startGuard } from '../guard/guard.js';
import type { Bounds } from '../guard/note.js';
import type { Inside } from '../questions/inside.js';
import { type LoadedModel, loadModel } from '../stages/loaded.js';
import { StageRunner } from '../stages/runner.js';
import { saturation } from '../stages/saturation.js';
import { idleBounds, readingBounds, runningBounds, tokenisingBounds } from './bounds.js';

/** The model that was run last, its sessions, and the run that questions are about. */
export interface Current {
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

/** The run that questions are about. */
export function lastRun(): Inside | undefined {
  return current?.run;
}

/** The model's structure: as it was read, unless the file is another one or has changed on disk. */
export async function load(model: string): Promise<LoadedModel> {
  const known = [current?.loaded, loaded].find((one) => one?.file === model && isAsRead(one));
  if (known) return known;
  const read = loadModel(model);
  const remarks = [...read.summary.remarks, ...(await saturation(read.model))];
  loaded = { ...read, summary: { ...read.summary, remarks } };
  return loaded;
}

/**
 * The model of the request: the one at hand, unless it is another, has changed on disk, or needs other threads. Its
 * last run can no longer be asked about.
 */
export async function use({
  model,
  threads,
  memory,
}: Pick<RunRequest, 'model' | 'threads' | 'memory'>): Promise<Current> {
  if (current?.loaded.file === model && current.threads === threads && isAsRead(current.loaded)) {
    current.run = undefined;
    current.memory = memory;
    return current;
  }
  await current?.runner.release();
  current = undefined;
  const found = await load(model);
  current = { loaded: found, threads, memory, runner: new StageRunner(found, threads), runs: 0, run: undefined };
  return current;
}

const isAsRead = ({ file, weights, version }: LoadedModel) => versionOf(file, weights) === version;

/**
 * @throws SinkscopeError `file` where the files of a model that has just been run are not those it was read from: nobody
 *   can tell which of its numbers are whose
 */
export function checkAsRead(model: LoadedModel): void {
  if (isAsRead(model)) return;
  throw new SinkscopeError({
    code: 'file',
    file: model.file,
    message: `${model.file}, or its weights, tokenizer or configuration, changed while the model was run; run it again.`,
  });
}

/**
 * From now on files and texts are read.
 *
 * @param what is read, in words that follow "while"
 */
export function allowReading(what: string): void {
  guard.allow(readingBounds(what, bounds()));
}

/** From now on a part of a text is tokenised, with a `tokenizer.json`. */
export function allowTokenising(file: string): void {
  guard.allow(tokenisingBounds(file, bounds()));
}

/** From now on the model at hand runs, or nothing is done and it keeps what it has. */
export function allowRunning(): void {
  guard.allow(bounds());
}

function bounds(): Bounds {
  return current ? runningBounds(current.loaded, current.memory) : idleBounds;
}
