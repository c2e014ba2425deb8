/**
 * A sequence that goes on: each run is of the tokens that are new. What is behind them is in a cache, where the model
 * has one; else all of it is run again, which gives the same.
 */

import { SinkscopeError } from '../../errors.js';
import { DataType } from '../../onnx/model.js';
import { quoted } from '../../visible.js';
import { makeFeeds } from '../inputs/feeds.js';
import { type Layout, tokenPattern } from '../tensors/layout.js';
import { firstKeys, type Pattern } from '../tensors/patterns.js';
import { floats, rowsOf, sliceRows, type Value, type Values } from '../tensors/value.js';
import { LaneCache } from './cache.js';
import { forward, type Lane } from './forward.js';
import { Head } from './head.js';
import { withoutHead } from './lacking.js';
import type { LoadedModel } from './loaded.js';
import { chooseDial, logitRows } from './memory.js';
import { valueAt } from './patched.js';
import { group, makePlan, type Plan, type Stage } from './plan.js';
import { StageRunner } from './runner.js';

/** What is seen of a block, or with block 0 of what enters the first. */
export interface SeenStage {
  readonly block: number;
  /** h_k of the new tokens, [n, dims]. */
  readonly state: Float32Array;
  /** The same in the file's own type and axes. */
  readonly rows: Value;
  readonly dims: number;
  /** Of the new tokens, or of all where all were run; undefined where there is none. */
  readonly pattern: Pattern | undefined;
}

/** How one model is run. */
interface Road {
  readonly runner: StageRunner;
  readonly plan: Plan;
  readonly stages: readonly Stage[];
  /** The same without what a cache takes of them. */
  readonly ahead: readonly Stage[];
  readonly head: Head;
  readonly keep: boolean;
}

/** The sizes that decide how much is held. */
interface Sizes {
  /** Tokens that there will be at most. */
  readonly tokens: number;
  readonly memory: number;
  readonly threads: number;
}

type See = (seen: SeenStage) => Promise<void>;

export class Onward {
  /** What is behind the next tokens. */
  readonly ids: number[] = [];
  private cache: LaneCache | undefined;
  /** Why there is no cache, or no more, in words; undefined: there is. */
  private without: string | undefined;
  /** An empty one; undefined where there is none that could be run on from. */
  private readonly empty: LaneCache | undefined;
  private readonly whole: Road;
  /** That of what comes behind what was run first. */
  private readonly on: Road;
  /** What was seen to give what a run of everything gives: going on, and going on without the first tokens. */
  private readonly seen = { held: false, slid: false };
  /** Whether the cache was seen to give something else. */
  private failed = false;

  /** @throws SinkscopeError `input` where the model gives no scores over a vocabulary */
  constructor(runner: StageRunner, sizes: Sizes) {
    const { loaded } = runner;
    const caching = loaded.caching();
    const pairs = 'pairs' in caching ? caching.pairs : [];
    const merged = 'pairs' in caching && caching.loaded !== loaded ? caching.loaded : undefined;
    const whole = pairs.map(({ present }) => present);
    const added = pairs.map(({ present, added }) => added ?? present);
    // What is added stands in the branch that goes on alone.
    this.whole = roadOf(runner, merged ? whole : added, sizes);
    this.on = merged ? roadOf(new StageRunner(merged, sizes.threads), added, sizes) : this.whole;
    if ('why' in caching) this.without = caching.why;
    else {
      this.empty = new LaneCache(pairs);
      this.cache = this.empty.copy();
    }
  }

  /**
   * Whether the next tokens go on from a cache, and if not, why, in words that follow a colon: as `lasting`, or for more
   * tokens than there is room for.
   */
  get caching(): { readonly bytes: number } | { readonly why: string; readonly lasting: boolean } {
    if (this.without === undefined) return { bytes: this.cache?.bytes ?? 0 };
    return { why: this.without, lasting: this.failed || !this.empty };
  }

  /** How little the cache holds, in words. */
  get holding(): string {
    return this.empty?.holding ?? '';
  }

  /** Tokens that some part of the cache has room for, where there is such a part. */
  get room(): number {
    return this.empty?.room ?? 0;
  }

  /**
   * Runs the next tokens, which are behind those that come then.
   *
   * @param see is shown every block in order
   * @returns logits after the last of them, [vocabulary]
   * @throws SinkscopeError `runtime`; `input` where the model gives none there
   */
  async run(ids: readonly number[], see: See): Promise<Float32Array> {
    const logits = await this.next(ids, see, true);
    for (const id of ids) this.ids.push(id);
    return logits;
  }

  /** As {@link run}, but what is behind stays what it is, so that nothing of the cache is copied. */
  ahead(ids: readonly number[], see: See): Promise<Float32Array> {
    return this.next(ids, see, false);
  }

  /** Whether {@link back} leads to `count` tokens. */
  reaches(count: number): boolean {
    return this.cache?.reaches(count) ?? false;
  }

  /**
   * Goes back to where the first `count` tokens had been run, or to the beginning where the cache does not hold them;
   * also when a run was not through.
   *
   * @returns the tokens that are behind it now
   */
  back(count: number): number {
    if (this.cache?.reaches(count)) {
      this.cache.back(count);
      this.ids.length = count;
      return count;
    }
    if (this.empty && !this.failed) [this.cache, this.without] = [this.empty.copy(), undefined];
    this.ids.length = 0;
    return 0;
  }

  /** Frees the sessions that it has beside those of the runner it was given. */
  async release(): Promise<void> {
    if (this.on !== this.whole) await this.on.runner.release();
  }

  private async next(ids: readonly number[], see: See, stays: boolean): Promise<Float32Array> {
    if (this.cache) {
      this.without = await this.cannotGoOn(ids, this.cache);
      if (this.without !== undefined) this.cache = undefined;
    }
    const { cache } = this;
    const all = cache ? ids : [...this.ids, ...ids];
    const road = cache && cache.tokens > 0 ? this.on : this.whole;
    return through(road, all, ids.length, cache, see, stays);
  }

  /**
   * Why what comes next is not to be run on from the cache; undefined: it is. The first step from it, and the first for
   * which it lets go of a token, are held against a run of everything: files state neither where positions begin nor
   * how far tokens look back.
   */
  private async cannotGoOn(ids: readonly number[], cache: LaneCache): Promise<string | undefined> {
    if (cache.tokens === 0) return undefined;
    const kind = cache.holds(ids.length) ? 'held' : 'slid';
    if (kind === 'slid' && !cache.slides) return `${cache.holding}, and there are more`;
    if (this.seen[kind]) return undefined;
    const same = await this.givesTheSame(ids, cache);
    if (same === true) {
      this.seen[kind] = true;
      return undefined;
    }
    if (kind === 'slid') return `${cache.holding}, and what comes first is still looked at or counted`;
    this.failed = true;
    const of = `its cache (${quoted(cache.inputs[0] ?? '')} and the others)`;
    return same === false
      ? `a step with ${of} does not give what the whole text gives`
      : `a step with ${of} fails: ${same}`;
  }

  /** Whether the next tokens, from the cache, are what a run of all makes of them; or why they cannot be run. */
  private async givesTheSame(ids: readonly number[], cache: LaneCache): Promise<boolean | string> {
    const recorded = async (road: Road, all: readonly number[], from?: LaneCache) => {
      const states: Float32Array[] = [];
      const logits = await through(road, all, ids.length, from, async ({ state }) => {
        states.push(state.slice());
      });
      return [...states, logits];
    };
    const whole = await recorded(this.whole, [...this.ids, ...ids]);
    try {
      const own = await recorded(this.on, ids, cache.copy());
      const rounding = roundingOf(this.on.runner.loaded, cache);
      return own.every((values, i) => isClose(values, whole[i] ?? values, rounding));
    } catch (error) {
      if (!SinkscopeError.is(error, 'runtime')) throw error;
      return error.message;
    }
  }
}

/**
 * How far numbers may be apart that were computed in another order, of the largest. Files whose activations are rounded
 * to integers share scales among the tokens that are run together: 5e-2 was seen, and 0.6 where a single token was lost.
 * Weights that are rounded make 1e-6; how their products are computed may depend on how many rows there are.
 */
function roundingOf({ quantised, model }: LoadedModel, cache: LaneCache): number {
  if (model.graph.nodes.some(({ op }) => /^DynamicQuantize|Integer$/.test(op))) return 0.15;
  const isHalf = [...cache.values.values()].some(({ type }) => type === DataType.float16);
  return quantised || isHalf ? 2e-2 : 1e-3;
}

function isClose(one: Float32Array, other: Float32Array, rounding: number): boolean {
  let [largest, apart] = [0, 0];
  for (const [i, value] of one.entries()) {
    largest = Math.max(largest, Math.abs(value));
    apart = Math.max(apart, Math.abs(value - (other[i] ?? Number.NaN)));
  }
  return apart <= rounding * largest;
}

/** @param presents what caches take of it */
function roadOf(runner: StageRunner, presents: readonly string[], { tokens, memory }: Sizes): Road {
  const { loaded } = runner;
  const { anatomy, model, summary, patterns } = loaded;
  const logits = anatomy.unembedding?.logits;
  if (logits === undefined || !loaded.predicts) throw withoutHead(loaded.file, 'nothing can be written with it');
  const taps = new Map([...patterns].map(([block, name]) => [block, [name]]));
  // Each goes to the block that makes it.
  taps.set(1, [...(taps.get(1) ?? []), ...presents]);
  const plan = makePlan(model.graph, anatomy, taps, [logits]);
  const head = plan.stages.find(({ first }) => first > anatomy.layers);
  if (!head) throw withoutHead(loaded.file, 'nothing can be written with it');
  const body = plan.stages.filter(({ first }) => first <= anatomy.layers);
  const weightBytes = summary.bytes;
  const { keep, blocksPerStage } = chooseDial({ anatomy, weightBytes, tokens, memory, again: true, patterns: true });
  const last = valueAt(loaded, 'resid_post', anatomy.layers);
  const stages = group(body, blocksPerStage, anatomy.layers);
  const needed = new Set([...stages.flatMap(({ inputs }) => inputs), ...head.inputs]);
  const left = new Set(presents.filter((present) => !needed.has(present)));
  return {
    runner,
    plan,
    stages,
    ahead: stages.map((stage) => ({ ...stage, fetched: stage.outputs.filter((output) => !left.has(output)) })),
    head: new Head(runner, head, last, logits, logitRows(anatomy, memory)),
    keep,
  };
}

/**
 * @param count how many of the last of `ids` are shown
 * @param stays whether the cache takes them in
 */
async function through(
  { runner, plan, stages, ahead, head, keep }: Road,
  ids: readonly number[],
  count: number,
  cache: LaneCache | undefined,
  see: See,
  stays = true,
): Promise<Float32Array> {
  const { anatomy, patterns, file } = runner.loaded;
  const feeds = makeFeeds(anatomy.inputs, new Map(), ids, cache);
  const { length = ids.length, unfilled } = feeds;
  const all = ids.length + (cache?.tokens ?? 0);
  // Keys are more than the tokens of this run; those behind all of them go below.
  const keys = { ...unfilled, behind: false };
  const layout: Layout = { tokens: ids.length, positions: length, axis: undefined, unfilled: keys };
  const lane: Lane = { values: new Map(feeds.values), interventions: [], ...(cache && stays && { cache }) };
  const look = async (block: number, value: Values) => {
    const state = value.get(valueAt(runner.loaded, 'resid_post', block));
    if (!state) return;
    const { dims } = rowsOf(state);
    const found = value.get(patterns.get(block) ?? '');
    const pattern = found && firstKeys(tokenPattern(found, layout, file), cache?.places(all));
    const rows = sliceRows(state, ids.length - count, ids.length);
    const seen = { block, state: floats(rows), rows, dims };
    await see({ ...seen, pattern: pattern?.queries === ids.length ? pattern : undefined });
  };
  if (lane.values.has(anatomy.embedding)) await look(0, lane.values);
  const course = { plan, stages: stays ? stages : ahead, keep, lasting: head.stage.inputs };
  for await (const { stage, results } of forward(runner, course, [lane])) {
    for (let block = stage.first; block <= stage.last; block++) await look(block, results);
  }
  const logits = await head.logits(lane.values, ids.length - 1, ids.length, keep);
  if (stays) cache?.passed(ids.length);
  return logits;
}
