/** The output head (final norm and unembedding), run on the rows that are asked for. */
import { grouped, SinkscopeError } from '../../errors.js';
import { type Weighed, weighed } from '../../statistics/sampling.js';
import type { Tokenizer } from '../../tokens/tokenizer.js';
import type { Prediction } from '../contract/events.js';
import { firstCopy } from '../tensors/layout.js';
import type { Values } from '../tensors/value.js';
import { floats, rowsOf, sliceRows, type Value } from '../tensors/value.js';
import { valueAt } from './patched.js';
import { makePlan, type Plan, type Stage } from './plan.js';
import type { StageRunner } from './runner.js';
import { keptRows } from './simulated.js';

/** How many tokens are told, unless something else is wanted. */
const topPredictions = 10;

/** Of the positions `from` … `to`: [to - from, vocabulary]. */
export interface LogitPart {
  readonly from: number;
  readonly to: number;
  readonly logits: Float32Array;
}

/**
 * A model's plan up to its output head, and that head.
 *
 * @param rows of logits that are computed at once, see {@link logitRows}
 */
export function withHead(runner: StageRunner, rows: number): { readonly plan: Plan; readonly head: Head } {
  const { anatomy, model } = runner.loaded;
  const output = anatomy.unembedding?.logits ?? anatomy.output;
  const plan = makePlan(model.graph, anatomy, new Map(), [output]);
  const stage = plan.stages.find(({ first }) => first > anatomy.layers);
  if (!stage) throw new Error('the head has no stage');
  return { plan, head: new Head(runner, stage, valueAt(runner.loaded, 'resid_post', anatomy.layers), output, rows) };
}

/** The positions `from` … `to` in as few parts of at most so many `rows` as there can be, all about as long. */
export function rangesOf(from: number, to: number, rows: number): [from: number, to: number][] {
  const count = Math.max(0, Math.ceil((to - from) / rows));
  const end = (part: number) => from + Math.ceil((part * (to - from)) / count);
  return Array.from({ length: count }, (_, i) => [end(i), end(i + 1)]);
}

export class Head {
  /** False once it is known to need the whole sequence: other inputs, or shapes fixed inside. */
  private takesRows: boolean;
  /** There are copies of h_L, of which the head makes one. */
  private readonly copies: boolean;

  /**
   * @param residual name of h_L
   * @param output name of what the head gives
   * @param rows of logits that are computed at once, see {@link logitRows}
   */
  constructor(
    private readonly runner: StageRunner,
    readonly stage: Stage,
    private readonly residual: string,
    private readonly output: string,
    private readonly rows: number,
  ) {
    const { copies, headRows } = runner.loaded.anatomy;
    this.copies = copies;
    this.takesRows = !copies && !headRows && stage.inputs.every((input) => input === residual || input === keptRows);
  }

  /** All that the head gives for the whole sequence, by name. */
  everything(values: Values, keep: boolean): Promise<Values> {
    return this.runner.run(this.stage, values, keep);
  }

  /** What the head gives for the whole sequence, as it is. */
  async all(values: Values, keep: boolean): Promise<Value> {
    const results = await this.everything(values, keep);
    const value = results.get(this.output);
    if (!value) throw new Error(`the output head did not give "${this.output}"`);
    return value;
  }

  /** The positions `from` … `to` in parts whose logits are computed at once. */
  ranges(from: number, to: number): [from: number, to: number][] {
    return rangesOf(from, to, this.rows);
  }

  /**
   * Logits of the positions `from` … `to`, part after part.
   *
   * @param keep whether the session stays; it serves all parts, whatever becomes of it then
   * @throws SinkscopeError as {@link logits}
   */
  async *parts(values: Values, from: number, to: number, keep: boolean): AsyncGenerator<LogitPart, void, void> {
    const several = to - from > this.rows;
    for (const [start, end] of this.ranges(from, to))
      yield { from: start, to: end, logits: await this.logits(values, start, end, keep || several) };
    if (several && !keep) await this.runner.release();
  }

  /**
   * Logits of the positions `from` … `to`, [to - from, vocabulary].
   *
   * @throws SinkscopeError `input` where the model gives none for the first of them; `runtime`
   */
  async logits(values: Values, from: number, to: number, keep: boolean): Promise<Float32Array> {
    const state = values.get(this.residual);
    if (!state) throw new Error(`the value "${this.residual}" is not there`);
    if (this.takesRows) {
      try {
        const part = new Map([[this.residual, sliceRows(state, from, to)]]);
        const kept = values.get(keptRows);
        if (kept) part.set(keptRows, sliceRows(kept, from, to));
        const value = await this.all(part, keep);
        if (rowsOf(value).tokens === to - from) return floats(value);
      } catch (error) {
        if (!SinkscopeError.is(error, 'runtime')) throw error;
      }
      this.takesRows = false;
    }
    const value = await this.all(values, keep);
    const { tokens } = rowsOf(value);
    // Some files give the last positions only, whatever they are fed; others leave out rows that are no tokens.
    const rows = rowsOf(this.copies ? firstCopy(state) : state).tokens;
    const offset = this.runner.loaded.anatomy.headRows?.from ?? rows - tokens;
    if (offset > 0 && to > offset + tokens) {
      throw new SinkscopeError({
        code: 'input',
        message: `This model gives logits for rows ${offset} to ${offset + tokens - 1} of ${rows} only, which are its tokens.`,
      });
    }
    if (from < offset) {
      throw new SinkscopeError({
        code: 'input',
        message: `This model gives logits for its last ${tokens === 1 ? 'token' : `${grouped(tokens)} tokens`} only.`,
      });
    }
    return floats(sliceRows(value, from - offset, to - offset));
  }
}

/** The most likely tokens of one row of logits, most likely first; softmax in double precision. */
export function predictionsOf(
  logits: Float32Array,
  tokenizer: Tokenizer | undefined,
  { count = topPredictions, weights = weighed(logits) }: { readonly count?: number; readonly weights?: Weighed } = {},
): Prediction[] {
  const best: { readonly id: number; readonly logit: number }[] = [];
  let least = Number.NEGATIVE_INFINITY;
  // With an index: a vocabulary is gone through after every token that is written or typed.
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] ?? Number.NaN;
    if (best.length === count && !(logit > least)) continue;
    const below = best.findIndex((other) => logit > other.logit);
    best.splice(below < 0 ? best.length : below, 0, { id, logit });
    if (best.length > count) best.pop();
    least = best.at(-1)?.logit ?? least;
  }
  return best.map(({ id, logit }) => ({
    id,
    text: tokenizer?.decode(id) ?? `token ${id}`,
    probability: Math.exp(logit - weights.greatest) / weights.sum,
  }));
}
