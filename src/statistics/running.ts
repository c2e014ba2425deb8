/** Attention statistics of a sequence that grows. */
import type { PatternStatistics } from './statistics.js';

/** One layer's {@link PatternStatistics} of a causal pattern, brought up to date with each row that is added. */
export class RunningPattern {
  private readonly sums: Float64Array[];
  private readonly extraSums: Float64Array;
  private tokens: number;
  private readonly columns: number;
  private readonly side: 'first' | 'last';

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
    const { columns, side, sums } = this;
    this.tokens++;
    const keys = row.length / sums.length;
    const own = Math.min(this.tokens, keys - columns);
    const offset = side === 'first' ? columns : 0;
    for (const [head, before] of sums.entries()) {
      const sum = this.grown(before);
      sums[head] = sum;
      const start = head * keys + offset;
      const first = this.tokens - own;
      for (let i = 0; i < own; i++) sum[first + i] = (sum[first + i] ?? 0) + (row[start + i] ?? 0);
      const extra = side === 'first' ? head * keys : head * keys + own;
      for (let i = 0; i < columns; i++) this.extraSums[head] = (this.extraSums[head] ?? 0) + (row[extra + i] ?? 0);
    }
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

  private grown(sum: Float64Array): Float64Array {
    if (sum.length >= this.tokens) return sum;
    const longer = new Float64Array(2 * this.tokens);
    longer.set(sum);
    return longer;
  }
}

/** How a token draws heads. */
export interface Drawn {
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
export function drawnTokens(layers: readonly PatternStatistics[], rule: SinkRule): Drawn[] {
  const tokens = layers[0]?.tokens ?? 0;
  const all = layers.reduce((sum, { heads }) => sum + heads, 0);
  const counts = new Uint32Array(Math.max(0, tokens - rule.minQueries + 1));
  for (const { heads, alpha } of layers)
    for (let head = 0; head < heads; head++)
      for (let token = 0; token < counts.length; token++)
        if ((alpha[head * tokens + token] ?? 0) > rule.epsilon) counts[token] = (counts[token] ?? 0) + 1;
  const found: Drawn[] = [];
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
