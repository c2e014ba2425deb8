/** Attention statistics of a sequence that grows. */
import type { PatternStatistics } from './statistics.js';

/** One layer's {@link PatternStatistics} of a causal pattern, brought up to date with each row that is added. */
export class RunningPattern {
  private readonly sums: Float64Array[];
  private readonly extraSums: Float64Array;
  protected tokens: number;
  protected readonly columns: number;
  protected readonly side: 'first' | 'last';

  /** @param begun of the tokens so far */
  constructor(begun: PatternStatistics) {
    const { heads, tokens, alpha, extra } = begun;
    this.tokens = tokens;
    this.sums = Array.from({ length: heads }, (_, head) =>
      Float64Array.from({ length: tokens }, (_, key) => (alpha[head * tokens + key] ?? 0) * (tokens - key)),
    );
    this.extraSums = Float64Array.from(extra?.alpha ?? new Float32Array(heads), (one) => one * tokens);
    this.columns = extra?.columns ?? 0;
    this.side = extra?.side ?? 'first';
  }

  /**
   * @param row of the next token, [heads, keys]; where it has fewer keys than there are tokens, they are the last
   */
  add(row: Float32Array): void {
    this.tokens++;
    for (const [head, before] of this.sums.entries()) this.sums[head] = this.grown(before);
    this.count(row, 1);
  }

  statistics(): PatternStatistics {
    const { tokens, columns, side, sums } = this;
    const alpha = new Float32Array(sums.length * tokens);
    for (const [head, sum] of sums.entries())
      for (let key = 0; key < tokens; key++) alpha[head * tokens + key] = (sum[key] ?? 0) / (tokens - key);
    const extra =
      columns === 0 ? undefined : { side, columns, alpha: Float32Array.from(this.extraSums, (one) => one / tokens) };
    return { heads: sums.length, tokens, alpha, causal: true, extra };
  }

  /** Adds the row of the last token to all sums, so many times. */
  protected count(row: Float32Array, times: 1 | -1): void {
    const { columns, side, sums } = this;
    const keys = row.length / sums.length;
    const own = Math.min(this.tokens, keys - columns);
    const offset = side === 'first' ? columns : 0;
    const first = this.tokens - own;
    for (const [head, sum] of sums.entries()) {
      const start = head * keys + offset;
      for (let i = 0; i < own; i++) sum[first + i] = (sum[first + i] ?? 0) + times * (row[start + i] ?? 0);
      const extra = side === 'first' ? head * keys : head * keys + own;
      for (let i = 0; i < columns; i++)
        this.extraSums[head] = (this.extraSums[head] ?? 0) + times * (row[extra + i] ?? 0);
    }
  }

  /** Whether all sums are numbers. */
  protected get isFinite(): boolean {
    return [this.extraSums, ...this.sums].every((sum) => sum.every(Number.isFinite));
  }

  protected clear(): void {
    for (const sum of [this.extraSums, ...this.sums]) sum.fill(0);
    this.tokens = 0;
  }

  private grown(sum: Float64Array): Float64Array {
    if (sum.length >= this.tokens) return sum;
    const longer = new Float64Array(2 * this.tokens);
    longer.set(sum);
    return longer;
  }
}

/** One that keeps its rows, half a pattern in all, so that it can go back. */
export class EditedPattern extends RunningPattern {
  private readonly rows: Float32Array[] = [];

  /** @param form of any pattern of the same layer */
  constructor({ heads, extra }: Pick<PatternStatistics, 'heads' | 'extra'>) {
    const none = extra && { ...extra, alpha: new Float32Array(heads) };
    super({ heads, tokens: 0, alpha: new Float32Array(), causal: true, extra: none });
  }

  /**
   * Adds the rows of the next tokens.
   *
   * @param values [heads, queries, keys], whose last queries they are; where there are fewer keys than tokens, they are
   *   the last
   */
  extend(values: Float32Array, heads: number, queries: number, keys: number, count = queries): void {
    const { columns, side } = this;
    const first = Math.max(0, this.tokens + count - (keys - columns));
    for (let query = queries - count; query < queries; query++) {
      // Later keys have no weight, or the dust of a mask.
      const own = this.tokens + 1 - first;
      const row = new Float32Array(heads * (own + columns));
      for (let head = 0; head < heads; head++) {
        const from = (head * queries + query) * keys;
        const to = head * (own + columns);
        row.set(values.subarray(from, from + own + (side === 'first' ? columns : 0)), to);
        if (side === 'last') row.set(values.subarray(from + keys - columns, from + keys), to + own);
      }
      this.rows.push(row);
      this.add(row);
    }
  }

  /** Goes back to the first `tokens`. */
  back(tokens: number): void {
    for (const row of this.rows.splice(tokens).reverse()) {
      this.count(row, -1);
      this.tokens--;
    }
    if (this.isFinite) return;
    // What is no number is not taken off a sum.
    const kept = this.rows.splice(0);
    this.clear();
    for (const row of kept) {
      this.rows.push(row);
      this.add(row);
    }
  }
}

/** How a token draws heads. */
export interface DrawnToken {
  readonly token: number;
  /** Heads with alpha > epsilon, over all layers. */
  readonly heads: number;
  /** The mean of alpha over the heads of each layer. */
  readonly alpha: Float32Array;
}

/** When a token counts as a sink: as analyses have it. */
export interface SinkRule {
  readonly epsilon: number;
  /** At least so many queries see it. */
  readonly minQueries: number;
  /** At least this share of all heads is drawn to it. */
  readonly minShare: number;
}

/** The sinks among tokens, by layers' statistics; most heads first. */
export function drawnTokens(layers: readonly PatternStatistics[], rule: SinkRule): DrawnToken[] {
  const tokens = layers[0]?.tokens ?? 0;
  const all = layers.reduce((sum, { heads }) => sum + heads, 0);
  const counts = new Uint32Array(Math.max(0, tokens - rule.minQueries + 1));
  for (const { heads, alpha } of layers)
    for (let head = 0; head < heads; head++)
      for (let token = 0; token < counts.length; token++)
        if ((alpha[head * tokens + token] ?? 0) > rule.epsilon) counts[token] = (counts[token] ?? 0) + 1;
  const found: DrawnToken[] = [];
  for (const [token, heads] of counts.entries()) {
    if (heads === 0 || heads < rule.minShare * all) continue;
    const alpha = Float32Array.from(layers, (layer) => meanAlpha(layer, token));
    found.push({ token, heads, alpha });
  }
  return found.sort((a, b) => b.heads - a.heads || a.token - b.token);
}

function meanAlpha({ heads, tokens, alpha }: PatternStatistics, token: number): number {
  let sum = 0;
  for (let head = 0; head < heads; head++) sum += alpha[head * tokens + token] ?? 0;
  return sum / heads;
}
