/** Which dims are massive at which kinds of token, over many sequences of a corpus (input-agnosticism). */
import { createHash } from 'node:crypto';
import { emptyAnalysis } from '../../analysis/analysis.js';
import { massiveActivations } from '../../analysis/massive.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { ReducedState } from '../../engine/contract/states.js';
import { SURVEY_VERSION, type Survey, type SurveyEntry } from '../../engine/contract/surveys.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import type { Budget, Run } from '../experiment.js';
import { firstDelimiter } from '../shared/delimiter.js';
import { follow, progressThrough } from '../shared/text.js';
import type { Corpus } from '../values.js';

export interface SurveyRequest extends Budget {
  readonly model: string;
  /** Each is cut for itself, one after another, until there are enough sequences. */
  readonly texts: Corpus['texts'];
  readonly sequences: number;
  /** Tokens of a sequence, prefix included. */
  readonly length: number;
  readonly bos?: boolean;
  readonly thresholds: Thresholds;
  readonly shard?: Survey['shard'];
}

/**
 * Runs the sequences of a corpus, or those of one shard.
 *
 * @throws SinkscopeError `input` where the corpus has no sequence of this length, or the shard none; `cancelled`
 */
export async function* runSurvey(engine: Engine, request: SurveyRequest, signal?: AbortSignal): Run<Survey> {
  const { model, thresholds, length, memory, threads, shard = { index: 0, of: 1 } } = request;
  const { pieces, prefix } = await piecesOf(engine, request, signal);
  const chosen = [...pieces.keys()].filter((sequence) => sequence % shard.of === shard.index);
  if (chosen.length === 0) {
    throw new SinkscopeError({
      code: 'input',
      message: `Shard ${shard.index} of ${shard.of} has no sequence: there are only ${pieces.length}. Use fewer shards.`,
    });
  }
  const { model: summary } = await engine.inspect(model, signal, { takes: 'text' });
  const identity = await engine.identity(model, signal);
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
      records.push({ sequence: chosen[event.sequence] ?? 0, entries: entriesOf(event.states, tokens, thresholds) });
    }
    yield progress(event);
  }
  const { name, stream, layers, hidden, bytes } = summary;
  const { absolute, ratio, soft } = thresholds;
  const settings = {
    model: { name, stream, layers, hidden, bytes, identity },
    corpus: createHash('sha256').update(JSON.stringify(pieces)).digest('hex'),
    sequences: pieces.length,
    length,
    prefix: prefix ?? null,
    lineEnds: engine.lineEnds,
    thresholds: { absolute, ratio, soft },
  };
  return { survey: SURVEY_VERSION, settings, shard, records };
}

/** The sequences that are run, prefix included. */
async function piecesOf(engine: Engine, request: SurveyRequest, signal: AbortSignal | undefined) {
  const { model, length } = request;
  const pieces: number[][] = [];
  let prefix: number | undefined;
  let longest = 0;
  for await (const { text } of request.texts) {
    // The prefix, whose length is not known yet, is part of the length: these fill what is wanted in any case.
    const most = length * (request.sequences - pieces.length);
    const { ids, ...rest } = await engine.encode(model, text, { bos: request.bos, most, signal });
    prefix = rest.prefix;
    const head = prefix === undefined ? [] : [prefix];
    const step = length - head.length;
    if (step < 1) throw new SinkscopeError({ code: 'input', message: `Sequences of ${length} tokens hold no text.` });
    longest = Math.max(longest, ids.length);
    for (let start = 0; start + step <= ids.length && pieces.length < request.sequences; start += step)
      pieces.push([...head, ...ids.subarray(start, start + step)]);
    if (pieces.length >= request.sequences) break;
  }
  if (pieces.length > 0) return { pieces, prefix };
  throw new SinkscopeError({
    code: 'input',
    message: `No text has the tokens of one sequence of ${length}: the longest has ${longest}. Give longer texts or a smaller length.`,
  });
}

/** Read from each layer's sixteen largest entries, so a seventeenth is not seen. */
function entriesOf(layers: readonly ReducedState[], tokens: readonly string[], thresholds: Thresholds): SurveyEntry[] {
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
