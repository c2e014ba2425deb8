/** What the process has at hand: models as they were read, and one with its sessions and its last run. */

import { computesInHalf } from '../../anatomy/ops.js';
import type { Stream } from '../../anatomy/streams.js';
import { SinkscopeError } from '../../errors.js';
import { modelFolder } from '../../models/folder.js';
import { versionOf } from '../../models/version.js';
import { modelIdentity } from '../../onnx/identity.js';
import type { Device, DeviceEvent } from '../contract/device.js';
import type { RunRequest } from '../contract/events.js';
import type { ChosenTokenizer } from '../contract/protocol.js';
import { startGuard } from '../guard/guard.js';
import type { Bounds } from '../guard/note.js';
import { chooseStream, type GivenInputs, type StreamChoice } from '../inputs/choose.js';
import type { Inside } from '../questions/inside.js';
import { type LoadedModel, loadModel } from '../stages/loaded.js';
import { Placement, type Proof } from '../stages/placement.js';
import { Providers } from '../stages/providers.js';
import { StageRunner } from '../stages/runner.js';
import { saturation } from '../stages/saturation.js';
import { idleBounds, readingBounds, runningBounds, tokenisingBounds } from './bounds.js';
import type { EditedText } from './edited.js';

/** The model that was run last, its sessions, and the run that questions are about. */
export interface Current {
  readonly loaded: LoadedModel;
  readonly threads: number;
  /** The device that was asked for it. */
  readonly device: Device;
  /** Budget of the last run, in bytes. */
  memory: number;
  readonly runner: StageRunner;
  /** Why its stream was a choice, for its result. */
  readonly remark: string | undefined;
  runs: number;
  run: Inside | undefined;
  /** What is kept of a text that is edited. */
  edited: EditedText | undefined;
}

const guard = startGuard();
let current: Current | undefined;
/** The structure that was read last, which may be another model's than the current one's. */
let loaded: LoadedModel | undefined;

/** By model, the `tokenizer.json` that was chosen for it; of the job at hand. */
let tokenizers: ReadonlyMap<string, string> = new Map();

/** From now on these models are run with these, and others with what lies beside them. */
export function useTokenizers(chosen: readonly ChosenTokenizer[]): void {
  tokenizers = new Map(chosen.map(({ model, file }) => [model, file]));
}

const providers = new Providers();
/** By provider and model, for as long as the process lives. */
const proofs = new Map<string, Proof>();
let asked: Device = 'cpu';
let say: (event: DeviceEvent) => void = () => {};

/** From now on models are computed on this, where a job can be; what there is to say of it goes to `listener`. */
export function useDevice(device: Device, listener: (event: DeviceEvent) => void): void {
  asked = device;
  say = listener;
}

/** The file in which a model's tokenizer is: chosen, or beside it. */
export const tokenizerPlace = (model: string): string => tokenizers.get(model) ?? model;

/** The same as a file that is there; undefined where there is none. */
export const tokenizerFile = (model: string): string | undefined =>
  tokenizers.get(model) ?? modelFolder(model).tokenizer;

/** The run that questions are about. */
export function lastRun(): Inside | undefined {
  return current?.run;
}

/** The structure of a stream of a model: as it was read, unless the file is another one or has changed on disk. */
export async function load(model: string, choose: Chooser = first): Promise<LoadedModel> {
  const known = [current?.loaded, loaded].filter(
    (one) => one?.file === model && one.chosen === tokenizers.get(model) && isAsRead(one),
  );
  const read = known[0] ?? loadModel(model, tokenizers.get(model));
  const { stream } = choose(read.streams);
  const same = known.find((one) => one?.stream === stream.name);
  if (same) return same;
  const chosen = read.stream === stream.name ? read : read.on(stream);
  const remarks = [...chosen.summary.remarks, ...(await saturation(chosen.model))];
  loaded = { ...chosen, summary: { ...chosen.summary, remarks } };
  return loaded;
}

/** Which stream of a file. */
export type Chooser = (streams: LoadedModel['streams']) => StreamChoice<Stream>;

const first: Chooser = ([stream]) => ({ stream, remark: undefined });

/**
 * The model of the request: the one at hand, unless it is another, has changed on disk, or needs other threads. Its
 * last run can no longer be asked about.
 *
 * @param given what is run, by which one of several streams is chosen where none is named
 * @param hereOnly why it is computed by the CPU whatever was asked for, in words; undefined: it need not be
 * @throws SinkscopeError as {@link load}; `input` for a device that is not there
 */
export async function use(
  { model, stream, threads, memory, live }: Pick<RunRequest, 'model' | 'stream' | 'threads' | 'memory' | 'live'>,
  given: GivenInputs = 'text',
  hereOnly?: string,
): Promise<Current> {
  let remark: string | undefined;
  const found = await load(model, (streams) => {
    const choice = chooseStream(streams, stream, given, model);
    remark = choice.remark;
    return choice;
  });
  const device = hereOnly === undefined ? asked : 'cpu';
  if (hereOnly !== undefined && asked !== 'cpu')
    say({ type: 'device', asked, provider: 'cpu', why: `Computed by the CPU: ${hereOnly}.` });
  const isSame = current?.loaded === found && current.threads === threads && current.device === device;
  // Nothing else has a use for it, and it takes memory.
  if (current?.edited && !(isSame && live)) {
    await current.edited.release();
    current.edited = undefined;
  }
  if (current && isSame) {
    current = { ...current, remark, run: undefined, memory };
    current.runner.placement?.tellNow();
    return current;
  }
  await current?.runner.release();
  const runner = new StageRunner(found, threads, undefined, await placed(found, device));
  current = { loaded: found, threads, device, memory, runner, remark, runs: 0, run: undefined, edited: undefined };
  return current;
}

/** @throws SinkscopeError `input` for a device that is not there */
async function placed(
  { file, stream, quantised, model: whole }: LoadedModel,
  device: Device,
): Promise<Placement | undefined> {
  if (device === 'cpu') return undefined;
  const choice = await providers.choose(device);
  const model = choice.provider === 'cpu' ? '' : `${modelIdentity(file)} ${stream}`;
  return new Placement(device, choice, { providers, proofs, model, quantised, half: computesInHalf(whole) }, (event) =>
    say(event),
  );
}

const isAsRead = ({ file, weights, chosen, version }: LoadedModel) =>
  versionOf(file, [...weights, ...(chosen === undefined ? [] : [chosen])]) === version;

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
  return current ? runningBounds(current.loaded, current.memory, current.runner.placement?.provider) : idleBounds;
}
