/** A text that is edited: what is known of the tokens that it still begins with is kept, and the rest is run. */
import { EditedHidden } from '../../statistics/hidden.js';
import { patternStatistics } from '../../statistics/pattern.js';
import { EditedPattern } from '../../statistics/running.js';
import type { RunRequest } from '../contract/events.js';
import type { EventOf } from '../contract/protocol.js';
import type { LoadedModel } from '../stages/loaded.js';
import { holdsEdited } from '../stages/memory.js';
import { Onward, type SeenStage } from '../stages/onward.js';
import { valueAt } from '../stages/patched.js';
import type { StageRunner } from '../stages/runner.js';
import { type Value, type Values, withRows } from '../tensors/value.js';

/** What a text of so many tokens is run in whole for: where extra columns of a pattern stand is told by several rows. */
const fewest = 8;
/**
 * Tokens at the end, at most, that the cache is not given: the next edit changes them again, and taking them out of it
 * would copy it. Four are run in about the time of one, for it is the weights that are read.
 */
const fleeting = 4;

type Emit = (event: EventOf<'analyze'>) => Promise<void>;

/** What a run came to, beside its events. */
export interface Rerun {
  /** Tokens at the beginning that were not run again. */
  readonly reused: number;
  /** h_0 … h_L, by name. */
  readonly states: Values;
  /** After the last token, [vocabulary]. */
  readonly logits: Float32Array;
}

export class EditedText {
  private readonly onward: Onward;
  /** By k: h_k of all tokens. */
  private readonly states: EditedHidden[] = [];
  /** By block. */
  private readonly patterns = new Map<number, EditedPattern>();

  /** Why the tokens before the last edit had to be run again, though there is a cache. */
  private lost: string | undefined;
  /** That there may be. */
  private readonly most: number;

  /**
   * @param tokens that there are now
   * @throws SinkscopeError `input` where the model gives no scores over a vocabulary
   */
  constructor(
    private readonly runner: StageRunner,
    private readonly request: Pick<RunRequest, 'memory' | 'threads' | 'attention'>,
    tokens: number,
  ) {
    const { memory, threads } = request;
    // Stages are cut for so many.
    this.most = 2 * Math.max(256, tokens);
    this.onward = new Onward(runner, { tokens: this.most, memory, threads });
  }

  /** Whether a request can go on from this one. */
  takes({ memory, attention }: Pick<RunRequest, 'memory' | 'attention'>, tokens: number): boolean {
    return this.request.memory === memory && this.request.attention === attention && tokens <= this.most;
  }

  /** Why so many tokens are to be run all, in words that follow a colon; undefined: it can be gone on from what was run. */
  without(tokens: number): string | undefined {
    const { caching, room } = this.onward;
    return 'why' in caching && (caching.lasting || tokens > room) ? caching.why : this.lost;
  }

  /** Whether an edit is to be run here: also where the tokens before it are lost, for the next one. */
  runs(tokens: number): boolean {
    return this.lost !== undefined || this.without(tokens) === undefined;
  }

  /**
   * Runs what is new of `ids` and says what is to be said of all of them, `layer` 0 to the last `attention`.
   *
   * @throws SinkscopeError `runtime`, and what `emit` throws: what is known of the unchanged tokens stays
   */
  async run(ids: readonly number[], emit: Emit): Promise<Rerun> {
    // The last token is run in any case, for what comes after it.
    const same = Math.min(this.unchanged(ids), ids.length - 1);
    this.lost = same < fewest ? undefined : this.lostBefore(same);
    const reused = this.onward.back(same < fewest ? 0 : same);
    for (const known of [...this.states, ...this.patterns.values()]) known.back(reused);
    const states = new Map<string, Value>();
    const next = ids.slice(reused);
    const see = async (seen: SeenStage) => {
      const { block, state, rows, dims } = seen;
      const hidden = this.states[block] ?? new EditedHidden(dims);
      this.states[block] = hidden;
      hidden.extend(state);
      states.set(valueAt(this.runner.loaded, 'resid_post', block), withRows(rows, hidden.states));
      await emit({ type: 'layer', layer: block, statistics: hidden.statistics() });
      const statistics = this.request.attention ? this.attention(seen, reused, ids.length) : undefined;
      if (statistics) await emit({ type: 'attention', layer: block, statistics });
    };
    const stays = reused === 0 || next.length > fleeting;
    const logits = await (stays ? this.onward.run(next, see) : this.onward.ahead(next, see));
    // The cache may have turned out to be none.
    return { reused: 'why' in this.onward.caching ? 0 : reused, states, logits };
  }

  /**
   * Runs another token in the place of the last, and that again, from the cache. The first of the two is held against a
   * run of everything, which tells as well whether what is kept of earlier tokens knew of the later ones; it makes the
   * sessions that the first edit needs.
   */
  async warm(): Promise<void> {
    const last = this.onward.ids.at(-1);
    const before = this.onward.ids.length - 1;
    if (last === undefined || before < fewest) return;
    this.lost = this.lostBefore(before);
    if (this.lost !== undefined || 'why' in this.onward.caching) return;
    this.onward.back(before);
    for (const id of [last === 0 ? 1 : 0, last]) await this.onward.ahead([id], async () => {});
  }

  async release(): Promise<void> {
    await this.onward.release();
  }

  /** Why the cache no longer holds the first `tokens`, where it does not. */
  private lostBefore(tokens: number): string | undefined {
    const { caching, holding } = this.onward;
    return 'why' in caching || this.onward.reaches(tokens) ? undefined : `${holding}, and there are more`;
  }

  private unchanged(ids: readonly number[]): number {
    const before = this.onward.ids;
    const first = before.findIndex((id, i) => id !== ids[i]);
    return first < 0 ? before.length : first;
  }

  /** Undefined where the block has no pattern over the tokens, as in an analysis. */
  private attention({ block, pattern }: SeenStage, reused: number, tokens: number) {
    if (!pattern) return undefined;
    const { heads, queries, keys, values } = pattern;
    if (reused > 0) {
      const edited = this.patterns.get(block);
      edited?.extend(values, heads, queries, keys, tokens - reused);
      return edited?.statistics();
    }
    this.patterns.delete(block);
    if (keys < tokens) return undefined;
    const statistics = patternStatistics(values, heads, queries, keys);
    const edited = new EditedPattern(statistics);
    edited.extend(values, heads, queries, keys);
    this.patterns.set(block, edited);
    return statistics;
  }
}

/** Why a run cannot go on from another one of a text like it, in words that follow a colon; undefined: it can. */
export function withoutEdits(
  { anatomy, predicts, routings, crosses, caching }: LoadedModel,
  { memory, interventions, save, prompt }: RunRequest,
  tokens: number,
): string | undefined {
  const found = caching();
  if ('why' in found) return found.why;
  if (found.pairs.some(({ form }) => form === 'bounds')) return 'all places of its cache are keys, filled or not';
  if (!predicts) return 'it has no output head over a vocabulary';
  if (anatomy.copies) return 'it keeps several copies of its residual stream';
  if (anatomy.rows || anatomy.headRows) return 'rows of its hidden states are no tokens';
  if (routings.size > 0) return 'its experts are told of whole runs';
  if (crosses.size > 0) return 'it attends to another stream';
  if (interventions || save || 'feeds' in prompt || 'image' in prompt) return 'it is run on more than a text';
  return holdsEdited(anatomy, tokens, memory) ? undefined : 'the memory setting has no room for what is to be kept';
}
