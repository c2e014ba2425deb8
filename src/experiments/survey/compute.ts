/** Which dims are massive at which kinds of token, over many sequences of a corpus (input-agnosticism). */
import { createHash } from 'node:crypto';
import { emptyAnalysis } from '../../analysis/analysis.js';
import { massiveActivations } from '../../analysis/massive.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { ReducedState } from '../../engine/contract/states.js';
import { SURVEY_VERSION, type Survey, type SurveyEntry } from '../../engine/contract/surveys.js';
import type { Engine } from '../../engine/host/engine.js';
import { grouped, SinkscopeError } from '../../errors.js';
import type { Budget, Run } from '../experiment.js';
import { firstDelimiter } from '../shared/delimiter.js';
import { type CorpusCut, piecesOf } from '../shared/pieces.js';
import { follow, progressThrough } from '../shared/text.js';

export interface SurveyRequest extends Budget, CorpusCut {
  readonly thresholds: Thresholds;
}

/** A survey before it is run. */
export interface Planned extends Budget {
  readonly model: string;
  readonly settings: Survey['settings'];
  /** Token ids of all its sequences, prefix included. */
  readonly pieces: readonly (readonly number[])[];
}

/**
 * Cuts the sequences of a corpus.
 *
 * @throws SinkscopeError `input` where the corpus has no text; `cancelled`
 */
export async function planSurvey(engine: Engine, request: SurveyRequest, signal?: AbortSignal): Promise<Planned> {
  const { model, memory, threads } = request;
  const { pieces, length, prefix } = await piecesOf(engine, request, signal);
  const { name, stream, layers, hidden, bytes } = (await engine.inspect(model, signal, { takes: 'text' })).model;
  const identity = await engine.identity(model, signal);
  const { absolute, ratio, soft } = request.thresholds;
  const settings = {
    model: { name, stream, layers, hidden, bytes, identity },
    corpus: createHash('sha256').update(JSON.stringify(pieces)).digest('hex'),
    sequences: pieces.length,
    length,
    prefix: prefix ?? null,
    lineEnds: engine.lineEnds,
    thresholds: { absolute, ratio, soft },
  };
  return { model, memory, threads, settings, pieces };
}

/**
 * Runs the sequences of a shard.
 *
 * @throws SinkscopeError `input` where it has none; `cancelled`
 */
export async function* runShard(
  engine: Engine,
  { model, memory, threads, settings, pieces }: Planned,
  shard: Survey['shard'],
  signal?: AbortSignal,
): Run<Survey> {
  const chosen = [...pieces.keys()].filter((sequence) => sequence % shard.of === shard.index);
  if (chosen.length === 0) {
    throw new SinkscopeError({
      code: 'input',
      message: `Shard ${shard.index} of ${shard.of} has no sequence: there are only ${grouped(pieces.length)}. Use fewer shards.`,
    });
  }
  const sequences = chosen.flatMap((sequence) => pieces.slice(sequence, sequence + 1));
  const ids = [...new Set(sequences.flat())];
  const texts = await engine.decode(model, ids, signal);
  const textOf = new Map(ids.map((id, i) => [id, texts[i]]));

  const records: Survey['records'][number][] = [];
  const progress = progressThrough('sequence', chosen.length);
  for await (const event of follow(engine.run('states', { model, sequences, memory, threads }, signal))) {
    if (event.type === 'mean') continue;
    if (event.type === 'states') {
      const tokens = (sequences[event.sequence] ?? []).map((id) => textOf.get(id) ?? '');
      const entries = entriesOf(event.states, tokens, settings.thresholds);
      records.push({ sequence: chosen[event.sequence] ?? 0, entries });
    }
    yield progress(event);
  }
  return { survey: SURVEY_VERSION, settings, shard, records };
}

/** Read from each layer's sixteen largest entries, so a seventeenth is not seen. */
function entriesOf(
  layers: readonly ReducedState[],
  tokens: readonly string[],
  thresholds: Survey['settings']['thresholds'],
): SurveyEntry[] {
  const delimiter = firstDelimiter(tokens);
  return massiveActivations({ ...emptyAnalysis, layers }, thresholds)
    .map(({ token, dim, kind, values }): SurveyEntry & { at: number } => ({
      dim,
      kind: token === 0 ? 'start' : token === delimiter ? 'first delimiter' : 'other',
      token: tokens[token] ?? '',
      value: largest(values),
      massive: kind === 'massive',
      at: token,
    }))
    .sort((a, b) => a.at - b.at || a.dim - b.dim)
    .map(({ at: _, ...entry }) => entry);
}

function largest(values: readonly (number | undefined)[]): number {
  return values.reduce<number>((best, value = 0) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
}
