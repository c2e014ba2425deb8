/** What enters the first block of a token, where that depends on the token's position. */
import { makeFeeds } from '../inputs/feeds.js';
import { floats, rowsOf, sliceRows, type Value, withRows } from '../tensors/value.js';
import type { Plan } from './plan.js';
import type { StageRunner } from './runner.js';

/** h_0 of tokens at positions of a choice. */
export class PlacedTokens {
  private constructor(
    private readonly embed: (ids: readonly number[]) => Promise<Value>,
    /** Whether h_0 is another at another position: learned positions. */
    readonly learned: boolean,
    /** Positions that there are, where they are learned and counted. */
    private readonly context: number | undefined,
  ) {}

  static async of(runner: StageRunner, plan: Plan, ids: readonly number[]): Promise<PlacedTokens> {
    const { anatomy, summary } = runner.loaded;
    const [stage] = plan.stages;
    if (stage?.last !== 0) throw new Error('the embedding has no stage');
    const embed = async (tokens: readonly number[]) => {
      const { values } = makeFeeds(anatomy.inputs, new Map(), tokens);
      const value = (await runner.run(plan.narrow(stage, [anatomy.embedding]), values, true)).get(anatomy.embedding);
      if (!value) throw new Error('h_0 was not computed');
      return value;
    };
    const alike = await embed(new Array<number>(Math.min(8, ids.length)).fill(ids[0] ?? 0));
    const { dims } = rowsOf(alike);
    const entries = floats(alike);
    const learned = entries.some((entry, at) => entry !== entries[at % dims]);
    return new PlacedTokens(embed, learned, summary.context);
  }

  /** Why tokens cannot stand at positions up to this one, in words that follow a colon; undefined: they can. */
  beyond(position: number): string | undefined {
    if (!this.learned || this.context === undefined || position < this.context) return undefined;
    return `its positions are learned, and it has ${this.context} of them`;
  }

  /**
   * h_0 of a sequence whose tokens from `last` on all stand at position `last`.
   *
   * @throws SinkscopeError `runtime`
   */
  async sequence(ids: readonly number[], last: number): Promise<Value> {
    const start = await this.embed(ids.slice(0, last + 1));
    const { dims } = rowsOf(start);
    const all = new Float32Array(ids.length * dims);
    all.set(floats(start));
    const known = new Map<number, Float32Array>();
    for (const [at, id] of ids.entries()) {
      if (at <= last) continue;
      const row =
        known.get(id) ?? floats(sliceRows(await this.embed(new Array<number>(last + 1).fill(id)), last, last + 1));
      known.set(id, row);
      all.set(row, at * dims);
    }
    return withRows(start, all);
  }
}
