/** A survey in units, which several processes share and which are kept as soon as they are done. */
import { createHash } from 'node:crypto';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { SURVEY_VERSION, type Survey } from '../../engine/contract/surveys.js';
import type { Engine } from '../../engine/host/engine.js';
import { fileReason, SinkscopeError } from '../../errors.js';
import { processorsEach } from '../../processors.js';
import { makeFolders, saveWhole } from '../../saving.js';
import { finish, type Progress, type Run } from '../experiment.js';
import { mergeParts } from '../shared/merge.js';
import { type Planned, planSurvey, runShard, type SurveyRequest } from './compute.js';

/** Sequences of a unit that is kept: each process that is killed loses so many at most. */
const kept = 16;

export interface SharedSurvey extends SurveyRequest {
  readonly shard?: Survey['shard'];
  /** Processes that share the sequences. */
  readonly workers: number;
  /** Folder for what is done; what is there already is not run again. */
  readonly parts?: string;
}

/**
 * Runs the sequences of a corpus, or those of one shard. The result is the same to the bit, however many processes ran
 * it and however often they were ended on the way.
 *
 * @throws SinkscopeError `input` where the corpus has no text, or the shard no sequence; `save` where a unit cannot be kept;
 *   `cancelled`
 */
export async function* runSurvey(engine: Engine, request: SharedSurvey, signal?: AbortSignal): Run<Survey> {
  const { workers, parts, shard = { index: 0, of: 1 } } = request;
  const plan = await planSurvey(engine, request, signal);
  const sequences = sequencesOf(plan, shard);
  if (sequences === 0 || (workers === 1 && parts === undefined)) return yield* runShard(engine, plan, shard, signal);

  // Of all shards of a survey the same, so that the units of all make the whole.
  const each = Math.ceil(plan.pieces.length / shard.of);
  const count = parts === undefined ? Math.min(workers, sequences) : Math.ceil(each / kept);
  const units = Array.from({ length: count }, (_, unit): Survey['shard'] => {
    return { index: shard.index + shard.of * unit, of: shard.of * count };
  });
  if (parts === undefined) {
    const done: Survey[] = [];
    yield* runUnits(engine, plan, units, { workers, keep: async (part) => void done.push(part) }, sequences, signal);
    const records = done.flatMap((part) => part.records).sort((a, b) => a.sequence - b.sequence);
    return { survey: SURVEY_VERSION, settings: plan.settings, shard, records };
  }

  await makeFolders(parts).catch((error: unknown) => {
    throw new SinkscopeError({
      code: 'save',
      file: parts,
      message: `The folder ${parts} for parts cannot be made: ${fileReason(error)}`,
    });
  });
  const fileOf = ({ index, of }: Survey['shard']) => join(parts, `${digestOf(plan.settings)}-${index}-of-${of}.json`);
  const left: Survey['shard'][] = [];
  for (const unit of units) if (!(await isThere(engine, fileOf(unit), unit, signal))) left.push(unit);
  const keep = (part: Survey) => saveWhole(fileOf(part.shard), `${JSON.stringify(part)}\n`);
  yield* runUnits(engine, plan, left, { workers, keep }, sequences, signal);
  return await finish(mergeParts(engine, units.map(fileOf), signal, shard));
}

const sequencesOf = ({ pieces }: Planned, { index, of }: Survey['shard']) =>
  Math.max(0, Math.ceil((pieces.length - index) / of));

/** Of all that the numbers depend on: parts of another survey in the same folder have other names. */
const digestOf = (settings: Survey['settings']) =>
  createHash('sha256').update(JSON.stringify(settings)).digest('hex').slice(0, 12);

/** Whether a file holds this unit, whole; one that does not is run again. */
async function isThere(engine: Engine, file: string, unit: Survey['shard'], signal?: AbortSignal): Promise<boolean> {
  try {
    await access(file);
    await finish(mergeParts(engine, [file], signal, unit));
    return true;
  } catch (error) {
    if (SinkscopeError.is(error, 'cancelled')) throw error;
    return false;
  }
}

/** Runs units side by side, each process one after another, and keeps each when it is done. */
async function* runUnits(
  engine: Engine,
  plan: Planned,
  units: readonly Survey['shard'][],
  { workers, keep }: { readonly workers: number; readonly keep: (part: Survey) => Promise<void> },
  sequences: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Progress, void, void> {
  const others = Array.from({ length: Math.min(workers, units.length) - 1 }, () => engine.another());
  const engines = [engine, ...others];
  const threads = plan.threads || processorsEach(engines.length, process.env.OMP_NUM_THREADS);
  const shared = engines.length === 1 ? plan : { ...plan, threads, memory: Math.floor(plan.memory / engines.length) };
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;

  const left = [...units];
  let done = sequences - units.reduce((sum, unit) => sum + sequencesOf(plan, unit), 0);
  const underWay = new Map<Engine, number>();
  async function* work(engine: Engine): AsyncGenerator<void, void, void> {
    for (let unit = left.shift(); unit; unit = left.shift()) {
      const run = runShard(engine, shared, unit, either);
      let step = await run.next();
      for (; !step.done; step = await run.next()) {
        underWay.set(engine, step.value.done + (step.value.underWay ?? 0));
        yield;
      }
      await keep(step.value);
      underWay.delete(engine);
      done += step.value.records.length;
      yield;
    }
  }
  try {
    for await (const _ of asTheyCome(engines.map(work))) {
      const part = [...underWay.values()].reduce((sum, share) => sum + share, 0);
      yield { phase: 'sequence', done, of: sequences, underWay: part };
    }
  } finally {
    stop.abort();
    for (const other of others) other.dispose();
  }
}

/** What several generators yield, in the order in which it comes; the first that throws ends it. */
async function* asTheyCome<T>(generators: readonly AsyncGenerator<T, void, void>[]): AsyncGenerator<T, void, void> {
  const next = async (generator: AsyncGenerator<T, void, void>) => ({ generator, step: await generator.next() });
  const waiting = new Map(generators.map((generator) => [generator, next(generator)]));
  while (waiting.size > 0) {
    const { generator, step } = await Promise.race(waiting.values());
    if (step.done) waiting.delete(generator);
    else {
      waiting.set(generator, next(generator));
      yield step.value;
    }
  }
}
