/** Fine-tuning by low-rank adapters, with MacDrop (arXiv:2410.01866) where it is asked for, and what it changes. */
import { join } from 'node:path';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { AdaptersEvent, FinetuneRequest } from '../../engine/contract/finetune.js';
import type { Sequence } from '../../engine/contract/measure.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import type { Budget, Progress, Run } from '../experiment.js';
import { overlap } from '../shared/caveats.js';
import { type MassiveRows, massiveRows, withoutAndAlone } from '../shared/massive-rows.js';
import { asIs } from '../shared/perplexity.js';
import { follow, type TextWindows, textWindows } from '../shared/text.js';
import { checkScores, type Row, score } from '../shared/variants.js';
import { adapterFile, makeFolder } from './folder.js';

export interface FinetuneAsked
  extends Budget,
    Pick<FinetuneRequest, 'steps' | 'batch' | 'rate' | 'rank' | 'target' | 'seed'> {
  readonly model: string;
  readonly text: string;
  /** Undefined: the last tenth of the text's windows. */
  readonly heldOut: string | undefined;
  readonly window: number;
  readonly tokens: number | undefined;
  readonly bos: boolean | undefined;
  readonly thresholds: Thresholds;
  /** The probability with which massive weights are dropped at first; undefined: none is. */
  readonly macdrop: number | undefined;
  /** How many intermediate dims are massive weights'. */
  readonly k: number;
  /** Whether a second adapter is trained with nothing dropped. */
  readonly compare: boolean;
  readonly folder: string;
}

/** One training. */
export interface Training {
  readonly name: 'fine-tuned' | 'with MacDrop' | 'without MacDrop';
  readonly folder: string;
  /** By step: the mean loss before it, and with which probability weights were dropped. */
  readonly losses: readonly number[];
  readonly probabilities: readonly number[];
  /** The last step after which the adapter was written. */
  readonly saved: number;
  /** The merged model's file; undefined where it was not reached. */
  readonly merged: string | undefined;
}

/** Perplexities of held-out text: as it is, and where massive weights were found, without them and with them alone. */
export interface Scored {
  readonly name: 'before' | Training['name'];
  readonly rows: readonly Row[];
}

export interface FinetuneResult {
  readonly asked: FinetuneAsked;
  readonly windows: TextWindows;
  /** How many windows are trained on. */
  readonly trained: number;
  readonly heldOut: Pick<TextWindows, 'sequences'>;
  /** Undefined where there are none, and why. */
  readonly massive: MassiveRows | undefined;
  readonly adapters: AdaptersEvent | undefined;
  readonly trainings: readonly Training[];
  readonly scored: readonly Scored[];
  readonly warnings: readonly string[];
}

/** Where the adapter that was trained with nothing dropped is written, in the folder. */
const plainFolder = 'without-macdrop';

/**
 * Trains adapters on windows of a text, and measures held-out ones before and after.
 *
 * @throws SinkscopeError where texts or model do not fit; `save` where the folder cannot be written to, or is in use;
 *   `cancelled` when `signal` is aborted: what was written by then stays
 */
export async function* finetuneModel(engine: Engine, asked: FinetuneAsked, signal?: AbortSignal): Run<FinetuneResult> {
  const { model, macdrop, compare, folder } = asked;
  if (compare && macdrop === undefined) {
    throw new SinkscopeError({
      code: 'input',
      message:
        'There is nothing to compare: give --macdrop with the probability that weights are dropped with at first.',
    });
  }
  const text = await textWindows(engine, model, asked.text, windowing(asked), signal);
  const other =
    asked.heldOut === undefined
      ? undefined
      : await textWindows(engine, model, asked.heldOut, { ...windowing(asked), called: 'The held-out text' }, signal);
  const { training, heldOut } = split(text, other);
  await checkScores(engine, asked, { ...text, sequences: heldOut }, signal);
  const takeAway = await makeFolder(folder, compare ? [plainFolder] : []);
  const found = yield* massiveOf(engine, asked, signal);
  const massive = 'why' in found ? undefined : found;
  let result: FinetuneResult = {
    asked,
    windows: text,
    trained: training.length,
    heldOut: { sequences: heldOut },
    massive,
    adapters: undefined,
    trainings: [],
    scored: [],
    warnings: [...warningsOf(asked), ...('why' in found ? [found.why] : [])],
  };
  const add = (change: Partial<FinetuneResult>) => {
    result = { ...result, ...change };
    return result;
  };
  const measured = async function* (name: Scored['name'], file: string) {
    const { block, dims } = massive ?? { block: 0, dims: [] };
    const variants = [asIs, ...(massive ? withoutAndAlone('massive', dims, block) : [])];
    const sequences = { ...text, sequences: heldOut };
    const rows = yield* score(engine, { ...asked, model: file }, sequences, () => variants, [], signal);
    add({ scored: [...result.scored, { name, rows }] });
  };
  try {
    yield* measured('before', model);
    const request = {
      model,
      sequences: training.map(({ ids }) => [...ids]),
      from: training[0]?.from ?? 1,
      ...pick(asked),
      save: { file: join(folder, adapterFile) },
    };
    const drop = massive &&
      macdrop !== undefined && { block: massive.block, dims: [...massive.dims], probability: macdrop };
    const name = macdrop === undefined ? 'fine-tuned' : 'with MacDrop';
    yield* train(engine, name, { ...request, ...(drop && { drop }) }, folder, add, () => result, signal);
    yield* measured(name, result.trainings[0]?.merged ?? model);
    if (compare) {
      const inner = join(folder, plainFolder);
      await makeFolder(inner);
      const save = { file: join(inner, adapterFile) };
      yield* train(engine, 'without MacDrop', { ...request, save }, inner, add, () => result, signal);
      yield* measured('without MacDrop', result.trainings[1]?.merged ?? model);
    }
    return result;
  } finally {
    await takeAway();
  }
}

const windowing = ({ window, tokens, bos }: FinetuneAsked) => ({
  window,
  ...(tokens !== undefined && { tokens }),
  ...(bos !== undefined && { bos }),
});

const pick = ({ steps, batch, rate, rank, target, seed, memory, threads }: FinetuneAsked) => ({
  ...{ steps, batch, rate, rank, target, seed, memory, threads },
});

/** Windows to train on, and those that are held out: of another text, or the last tenth. */
function split(
  text: TextWindows,
  other: TextWindows | undefined,
): { training: readonly Sequence[]; heldOut: readonly Sequence[] } {
  if (other) return { training: text.sequences, heldOut: other.sequences };
  const count = text.sequences.length;
  if (count < 2) {
    throw new SinkscopeError({
      code: 'input',
      message:
        'The text fills one window, so that none can be held out: give a longer text, a smaller window, or another text to hold out (--held-out).',
    });
  }
  const held = Math.max(1, Math.floor(count / 10));
  return { training: text.sequences.slice(0, count - held), heldOut: text.sequences.slice(count - held) };
}

function warningsOf({ text, heldOut }: FinetuneAsked): string[] {
  if (heldOut === undefined || !overlap(text, heldOut)) return [];
  return ['The held-out text is part of the one that is trained on: it is not held out, so figures flatter.'];
}

/** The massive weights, or why there are none, where they are not needed. */
async function* massiveOf(
  engine: Engine,
  asked: FinetuneAsked,
  signal: AbortSignal | undefined,
): AsyncGenerator<Progress, MassiveRows | { readonly why: string }, void> {
  const { bos, tokens, ...rest } = asked;
  const request = { ...rest, ...windowing(asked), calibrationText: asked.text };
  try {
    return yield* massiveRows(engine, request, signal);
  } catch (error) {
    if (asked.macdrop !== undefined || !SinkscopeError.is(error, 'input')) throw error;
    return { why: `What depends on massive weights was not measured: ${error.message}` };
  }
}

/** Trains one adapter: says every loss, and shows what there is each time that the adapter was written. */
async function* train(
  engine: Engine,
  name: Training['name'],
  request: FinetuneRequest,
  folder: string,
  add: (change: Partial<FinetuneResult>) => FinetuneResult,
  now: () => FinetuneResult,
  signal: AbortSignal | undefined,
): AsyncGenerator<Progress & { readonly partial?: FinetuneResult }, void, void> {
  const losses: number[] = [];
  const probabilities: number[] = [];
  const before = now().trainings;
  let merged: string | undefined;
  let saved = 0;
  const training = (): Training => ({
    name,
    folder,
    losses: [...losses],
    probabilities: [...probabilities],
    saved,
    merged,
  });
  for await (const event of follow(engine.run('finetune', request, signal))) {
    if (event.type === 'finetuned') merged = event.model;
    else if (event.type === 'adapters') add({ adapters: event });
    else {
      losses.push(event.loss);
      probabilities.push(event.probability);
      const isSaved = event.saved > saved;
      saved = event.saved;
      const partial = isSaved ? add({ trainings: [...before, training()] }) : undefined;
      const note = `loss ${event.loss.toFixed(3)}`;
      yield {
        phase: before.length === 0 ? 'step' : 'step without MacDrop',
        done: event.step,
        of: request.steps,
        note,
        ...(partial && { partial }),
      };
    }
  }
  add({ trainings: [...before, training()] });
}
