/** Writing on: token after token, each seen as an analysis would see it. */

import { grouped, SinkscopeError } from '../../errors.js';
import { hiddenStatistics, largestEntries } from '../../statistics/hidden.js';
import { cosinesWith } from '../../statistics/likeness.js';
import { least } from '../../statistics/numbers.js';
import { patternStatistics } from '../../statistics/pattern.js';
import { uniform } from '../../statistics/random.js';
import { drawnTokens, RunningPattern } from '../../statistics/running.js';
import { sampled, surpriseOf, weighed } from '../../statistics/sampling.js';
import type { Entry, HiddenStatistics, PatternStatistics } from '../../statistics/statistics.js';
import type { BegunEvent, GeneratedEvent, GenerateRequest, WrittenEvent } from '../contract/generate.js';
import type { Limits } from '../inputs/prompt.js';
import { readPrompt } from '../inputs/read.js';
import { idsOf } from '../inputs/rows.js';
import { isCausal } from '../stages/causal.js';
import { predictionsOf } from '../stages/head.js';
import { seesAhead } from '../stages/lacking.js';
import type { LoadedModel } from '../stages/loaded.js';
import { Onward, type SeenStage } from '../stages/onward.js';
import type { StageRunner } from '../stages/runner.js';
import { checkTexts } from './sequences.js';

/** Entries of a token that are told, of each layer. */
const topEntries = 4;

/**
 * Writes on and says every token when it has been run itself.
 *
 * @param given what a prompt has to fit
 * @param onRun called when the prompt has been read, and the model is run from then on
 * @throws SinkscopeError `input` where the model predicts nothing or top k is above its vocabulary; as `readPrompt` for a prompt that does not fit
 */
export async function writeTokens(
  runner: StageRunner,
  request: GenerateRequest,
  given: Limits,
  onRun: () => void,
  emit: (event: BegunEvent | WrittenEvent) => Promise<void>,
): Promise<Omit<GeneratedEvent, 'type' | 'seconds'>> {
  const { loaded } = runner;
  checkTexts(loaded);
  checkSampling(request.sampling, loaded.summary.vocabulary);
  const limits = boundedBy(loaded, given);
  const asked = { ...request, attention: true };
  const prompt = await readPrompt(asked, leaving(request, limits), () => loaded.tokenizer());
  onRun();
  const { tokens = [] } = prompt;
  const ids = idsOf(tokens);
  const room = limits.context - ids.length;
  if (room < 1) throw noRoom(ids.length, limits);
  await checkWriting(runner, ids);
  const most = Math.min(request.tokens, room);
  const onward = new Onward(runner, { tokens: ids.length + most, memory: request.memory, threads: request.threads });
  const random = uniform(request.sampling.seed);
  const ends = new Set(request.untilEnd ? loaded.endTokens : []);
  const watch = new Watch(request.sinks);
  try {
    let logits = await onward.run(ids, async (seen) => watch.begin(seen));
    await emit({
      type: 'begun',
      name: loaded.summary.name,
      bos: prompt.bos,
      prompt: { tokens: [...tokens], total: prompt.total, window: prompt.window },
      states: watch.states,
      alike: watch.alike,
      heads: watch.heads,
      sinks: watch.sinks(),
    });
    const written: number[] = [];
    const added = async () => (await loaded.tokenizer()?.continued(ids, written)) ?? written.join(' ');
    let cached = 0;
    let ended: GeneratedEvent['ended'] = request.tokens > room ? 'context' : 'tokens';
    while (written.length < most) {
      const id = sampled(logits, request.sampling, random);
      if (id === undefined) throw notANumber(loaded);
      const before = logits;
      const weights = weighed(before);
      watch.next(ids.length + written.length);
      logits = await onward.run([id], async (seen) => watch.add(seen));
      written.push(id);
      if ('bytes' in onward.caching) cached++;
      await emit({
        type: 'written',
        id,
        text: loaded.tokenizer()?.decode(id) ?? `token ${id}`,
        added: await added(),
        ...surpriseOf(before, id, weights),
        alternatives: predictionsOf(before, loaded.tokenizer(), { weights }),
        top: watch.top,
        alike: Float32Array.from(watch.alike, ([cosine = Number.NaN]) => cosine),
        sinks: watch.sinks(),
      });
      if (ends.has(id)) {
        ended = 'end';
        break;
      }
    }
    const { caching } = onward;
    return {
      text: await added(),
      ended,
      cache: {
        tokens: cached,
        bytes: 'bytes' in caching ? caching.bytes : 0,
        without: 'why' in caching ? caching.why : undefined,
      },
    };
  } finally {
    await onward.release();
  }
}

/** What is seen of a sequence while it grows. */
class Watch {
  /** Of the prompt, by layer. */
  readonly states: HiddenStatistics[] = [];
  /** Of the last token, by layer. */
  top: Entry[][] = [];
  /** By layer, how alike the tokens that were run last are to the first one: cosines of hidden states. */
  alike: Float32Array[] = [];
  /** By layer, the first token's hidden state. */
  private readonly firsts: Float32Array[] = [];
  private token = 0;
  private readonly patterns = new Map<number, RunningPattern>();
  /** By block, as it is now. */
  private readonly drawn = new Map<number, PatternStatistics>();

  constructor(private readonly rule: GenerateRequest['sinks']) {}

  /** Heads whose pattern is known. */
  get heads(): number {
    return [...this.drawn.values()].reduce((sum, { heads }) => sum + heads, 0);
  }

  begin({ block, state, dims, pattern }: SeenStage): void {
    this.states[block] = hiddenStatistics(state, state.length / dims, dims);
    const first = state.slice(0, dims);
    this.firsts[block] = first;
    this.alike[block] = cosinesWith(first, state);
    if (!pattern || pattern.keys < pattern.queries) return;
    const { values, heads, queries, keys } = pattern;
    const statistics = patternStatistics(values, heads, queries, keys);
    this.drawn.set(block, statistics);
    this.patterns.set(block, new RunningPattern(statistics));
  }

  next(token: number): void {
    this.token = token;
    this.top = [];
  }

  add({ block, state, dims, pattern }: SeenStage): void {
    this.top[block] = largestEntries(state, 1, dims)
      .slice(0, topEntries)
      .map((entry) => ({ ...entry, token: this.token }));
    this.alike[block] = cosinesWith(this.firsts[block] ?? state, state);
    const running = this.patterns.get(block);
    if (!pattern || !running) return;
    const { values, heads, queries, keys } = pattern;
    const row = new Float32Array(heads * keys);
    for (let head = 0; head < heads; head++) {
      const from = (head * queries + queries - 1) * keys;
      row.set(values.subarray(from, from + keys), head * keys);
    }
    running.add(row);
    this.drawn.set(block, running.statistics());
  }

  sinks() {
    return drawnTokens([...this.drawn.values()], this.rule);
  }
}

/** Some caches are buffers that all tokens of a run have to fit. */
function boundedBy(loaded: LoadedModel, limits: Limits): Limits {
  const caching = loaded.caching();
  const pairs = 'pairs' in caching ? caching.pairs : [];
  const context = least(pairs.map(({ form, room }) => (form === 'bounds' ? room : Number.POSITIVE_INFINITY)));
  return context < limits.context
    ? { ...limits, context, because: 'the cache of the model has room for fewer' }
    : limits;
}

/** Of a prompt of which a part is enough, the part leaves room for what is asked for: half of the context at most. */
function leaving({ window, tokens }: GenerateRequest, limits: Limits): Limits {
  if (window === undefined) return limits;
  const context = Math.max(Math.ceil(limits.context / 2), limits.context - tokens);
  return { ...limits, context, because: `${limits.because}, with room for ${grouped(tokens)} new tokens` };
}

async function checkWriting(runner: StageRunner, ids: readonly number[]): Promise<void> {
  if (!(await isCausal(runner, ids))) throw seesAhead(runner.loaded, 'it does not predict the next one');
}

/** @throws SinkscopeError `input` where more tokens are to be drawn from than there are */
function checkSampling({ topK }: GenerateRequest['sampling'], vocabulary: number | undefined): void {
  if (vocabulary === undefined || topK <= vocabulary) return;
  throw new SinkscopeError({
    code: 'input',
    message: `The ${grouped(topK)} most likely tokens cannot be drawn from, for the model knows ${grouped(vocabulary)}: choose a top k of at most ${grouped(vocabulary)}, or 0 for all of them.`,
  });
}

function noRoom(tokens: number, { because, context }: Limits): SinkscopeError {
  return new SinkscopeError({
    code: 'too-long',
    message: `The prompt and one new token are ${grouped(tokens + 1)} tokens, but ${because}: choose a part of at most ${grouped(context - 1)} tokens.`,
    limit: { tokens, context: context - 1 },
  });
}

function notANumber({ file }: LoadedModel): SinkscopeError {
  return new SinkscopeError({
    code: 'input',
    file,
    message: `The logits of ${file} are not numbers (NaN), so no token can be chosen: take the file in a wider format, as fp32.`,
  });
}
