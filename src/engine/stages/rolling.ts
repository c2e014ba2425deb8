/**
 * Attention from a cache of keys and values that is kept here, whatever the file itself can go on from: what a block's
 * queries, keys and values are is read from its graph for a few tokens at a time, and what their attention makes of the
 * tokens before them goes back into it.
 *
 * Keys and queries are turned back to before their rotary positions, and forth to those that they have in the cache, as
 * in StreamingLLM (arXiv:2309.17453). Of a token that is kept for its recency the distance to a query is that in the
 * sequence, whichever positions are counted; to the first tokens it is at most the window.
 */

import { joinedFloats } from '../../statistics/numbers.js';
import { turning, turnRow } from '../../statistics/rotary.js';
import { roundedBytes, roundRow } from '../../statistics/rounded.js';
import type { CacheWay } from '../contract/streaming.js';
import { weighedRows } from '../tensors/site.js';
import { floats, type Value, type Values } from '../tensors/value.js';
import type { AttentionSession } from './attending.js';
import type { AttentionSite } from './attentionSite.js';

/** Tokens that are run together, `from` to before `to` of the sequence. */
export interface Chunk {
  readonly from: number;
  readonly to: number;
}

/** The keys and values of one block that a sequence has behind it. */
export class BlockCache {
  /** By group of heads that share them, [tokens, dims]; keys turned to their positions in the sequence. */
  private readonly keys: readonly Float32Array[];
  private readonly values: readonly Float32Array[];
  /** Tokens that are kept as they are, where others are rounded. */
  private readonly whole = new Set<number>();
  /** By head, the mass on evicted keys summed over queries, and how many these are. */
  private readonly drawn: { readonly mass: Float64Array; queries: number };

  constructor(
    private readonly site: AttentionSite,
    private readonly way: CacheWay,
    private readonly tokens: number,
  ) {
    const rows = (dims: number) => Array.from({ length: site.groups }, () => new Float32Array(tokens * dims));
    this.keys = rows(site.headDim);
    this.values = rows(site.valueDim);
    this.drawn = { mass: new Float64Array(site.heads), queries: 0 };
  }

  /**
   * Bytes of what is kept when all tokens have been taken in, in single precision where it is not rounded; by heads that
   * the file has.
   */
  bytes(kvHeads: number): number {
    const { kept, rounded } = this.way;
    const count = Math.min(this.tokens, kept?.window ?? Number.POSITIVE_INFINITY);
    const dims = [this.site.headDim, this.site.valueDim];
    const whole = 4 * (this.site.headDim + this.site.valueDim);
    if (!rounded) return kvHeads * count * whole;
    const recent = this.tokens - count + (kept?.sinks ?? 0);
    const float = [...this.whole].filter((token) => token < (kept?.sinks ?? 0) || token >= recent).length;
    const small = dims.reduce((sum, length) => sum + roundedBytes(length, rounded.bits), 0);
    return kvHeads * (float * whole + (count - float) * small);
  }

  /**
   * What the attention of some tokens adds up to before the output projection, with all before them taken in already.
   *
   * @param read the site's queries, keys and values of these tokens, as the graph makes them at positions 0, 1, …
   * @param massive which of them have a massive activation as they enter the block
   */
  async attend(
    chunk: Chunk,
    read: Values,
    session: AttentionSession,
    massive: ReadonlySet<number> = new Set(),
  ): Promise<Value> {
    this.takeIn(chunk, read, massive);
    if (this.way.tells) await this.tell(chunk, read, session);
    return this.weigh(chunk, read, session);
  }

  /** By head, the attention mass that evicted keys would have had; 0 where none was evicted. */
  evicted(): number[] {
    const { mass, queries } = this.drawn;
    return Array.from(mass, (sum) => (queries === 0 ? 0 : sum / queries));
  }

  private takeIn({ from, to }: Chunk, read: Values, massive: ReadonlySet<number>): void {
    const { names, groups, headDim, valueDim, offset, rotation, transposed } = this.site;
    const keys = weighedRows(computed(read, names.keys), groups, transposed);
    const values = weighedRows(computed(read, names.values), groups);
    const { positions, rounded } = this.way;
    const before = turning(rotation, from);
    for (let token = from; token < to; token++) {
      const isWhole = !rounded || token < rounded.float || massive.has(token);
      if (isWhole) this.whole.add(token);
      const bits = isWhole ? undefined : rounded.bits;
      const [back, forth] = [turning(rotation, from - token), turning(rotation, token)];
      for (let group = 0; group < groups; group++) {
        const place = keys.at(group, offset + token - from);
        const key = keys.data.slice(place, place + headDim);
        // What is rounded is what a cache holds: keys before they are turned, where positions are those in it.
        if (bits !== undefined && positions === 'cache') {
          turnRow(key, 0, back, rotation);
          roundRow(key, bits);
          turnRow(key, 0, forth, rotation);
        } else {
          turnRow(key, 0, before, rotation);
          if (bits !== undefined) roundRow(key, bits);
        }
        this.keys[group]?.set(key, token * headDim);
        const at = values.at(group, offset + token - from);
        const value = values.data.slice(at, at + valueDim);
        if (bits !== undefined) roundRow(value, bits);
        this.values[group]?.set(value, token * valueDim);
      }
    }
  }

  private async weigh(chunk: Chunk, read: Values, session: AttentionSession): Promise<Value> {
    const { from, to } = chunk;
    const { heads, groups, headDim, valueDim, extra } = this.site;
    const { kept } = this.way;
    const firsts = Math.min(kept?.sinks ?? 0, to);
    const recent = kept ? Math.max(firsts, from - (kept.window - kept.sinks) + 1) : 0;
    const columns = extra.count + firsts + to - recent;
    const early = join(groups, (group) => [extra.keys[group] ?? none, rows(this.keys[group], 0, firsts, headDim)]);
    const late = join(groups, (group) => [rows(this.keys[group], recent, to, headDim)]);
    const values = join(groups, (group) => [
      extra.values[group] ?? none,
      rows(this.values[group], 0, firsts, valueDim),
      rows(this.values[group], recent, to, valueDim),
    ]);
    const weighed = await session.weigh({
      early: this.queries(chunk, read, (query) => this.positionOf(query)),
      late: this.queries(chunk, read, (query) => query),
      earlyKeys: early,
      lateKeys: late,
      values,
      bias: this.biasOf(chunk, firsts, recent, columns),
      groups,
      queries: (heads / groups) * (to - from),
      headDim,
      valueDim,
    });
    return this.site.laidOut(weighed, to - from);
  }

  /** Adds what these queries would have given to keys that are evicted, were these still there. */
  private async tell(chunk: Chunk, read: Values, session: AttentionSession): Promise<void> {
    const { from, to } = chunk;
    const { heads, groups, headDim, extra } = this.site;
    const { kept } = this.way;
    if (!kept || to <= kept.window) return;
    const firsts = Math.min(kept.sinks, to);
    const columns = extra.count + to;
    const queries = (heads / groups) * (to - from);
    const about = new Float32Array(queries * columns);
    for (let row = 0; row < queries; row++) {
      const query = from + (row % (to - from));
      const recent = query - (kept.window - kept.sinks) + 1;
      const start = row * columns + extra.count;
      if (recent > firsts) about.fill(1, start + firsts, start + recent);
    }
    const mass = await session.mass({
      early: this.queries(chunk, read, (query) => this.positionOf(query)),
      late: this.queries(chunk, read, (query) => query),
      earlyKeys: join(groups, (group) => [extra.keys[group] ?? none, rows(this.keys[group], 0, firsts, headDim)]),
      lateKeys: join(groups, (group) => [rows(this.keys[group], firsts, to, headDim)]),
      bias: this.biasOf(chunk, firsts, firsts, columns, Number.POSITIVE_INFINITY),
      about,
      groups,
      queries,
      headDim,
    });
    for (let query = Math.max(from, kept.window); query < to; query++) {
      this.drawn.queries++;
      for (let head = 0; head < heads; head++)
        this.drawn.mass[head] = (this.drawn.mass[head] ?? 0) + (mass[head * (to - from) + query - from] ?? 0);
    }
  }

  /** That of a query among the first tokens. */
  private positionOf(query: number): number {
    const { kept, positions } = this.way;
    return kept && positions === 'cache' ? Math.min(query, kept.window - 1) : query;
  }

  /** [heads, tokens, headDim], scaled, each at a position. */
  private queries({ from, to }: Chunk, read: Values, position: (query: number) => number): Float32Array {
    const { names, heads, headDim, scale, rotation } = this.site;
    const given = floats(computed(read, names.queries));
    const turned = given.map((entry) => scale * entry);
    for (let query = from; query < to; query++) {
      // The graph has it at its place among the tokens of this run.
      const by = turning(rotation, position(query) - (query - from));
      for (let head = 0; head < heads; head++)
        turnRow(turned, (head * (to - from) + query - from) * headDim, by, rotation);
    }
    return turned;
  }

  /** @param kept keys that a query sees of those that are kept for their recency, its own included */
  private biasOf(
    { from, to }: Chunk,
    firsts: number,
    recent: number,
    columns: number,
    kept = this.way.kept ? this.way.kept.window - this.way.kept.sinks : Number.POSITIVE_INFINITY,
  ): Float32Array {
    const { heads, groups, slopes, extra, window } = this.site;
    const reach = Math.min(kept, window ?? kept);
    const perHead = slopes !== undefined || extra.logits !== undefined;
    const count = perHead ? heads : heads / groups;
    const bias = new Float32Array(count * (to - from) * columns).fill(Number.NEGATIVE_INFINITY);
    for (let head = 0; head < count; head++) {
      const slope = slopes?.[head] ?? 0;
      for (let query = from; query < to; query++) {
        const row = (head * (to - from) + query - from) * columns;
        bias.fill(0, row, row + extra.count);
        // The last of them, whose key is 0.
        if (extra.logits) bias[row + extra.count - 1] = extra.logits[head] ?? 0;
        const first = row + extra.count;
        for (let key = 0; key < firsts && key <= query; key++) {
          const distance = this.positionOf(query) - key;
          if (window === undefined || distance < window) bias[first + key] = slope * distance;
        }
        for (let key = Math.max(recent, query - reach + 1); key <= query; key++)
          bias[first + firsts + key - recent] = slope * (query - key);
      }
    }
    return bias;
  }
}

const none = new Float32Array(0);

const rows = (data: Float32Array | undefined, from: number, to: number, dims: number) =>
  data?.subarray(from * dims, to * dims) ?? none;

function join(groups: number, parts: (group: number) => readonly Float32Array[]): Float32Array {
  return joinedFloats(Array.from({ length: groups }, (_, group) => parts(group)).flat());
}

export function computed(values: Values, name: string): Value {
  const value = values.get(name);
  if (!value) throw new Error(`${name} was not computed`);
  return value;
}
