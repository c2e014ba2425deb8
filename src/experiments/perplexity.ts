/** Perplexity with a running value and a confidence interval. */

/** Losses are −ln p of single tokens. */
export interface Perplexity {
  /** exp of the mean loss. */
  readonly perplexity: number;
  /** Tokens scored. */
  readonly tokens: number;
  /** 95 % interval of the perplexity, from the losses' standard error as if tokens were independent. */
  readonly interval: readonly [number, number];
}

/** A running mean and variance (Welford) of losses. */
export class Losses {
  private count = 0;
  private mean = 0;
  private squares = 0;

  add(losses: Iterable<number>): void {
    for (const loss of losses) {
      this.count++;
      const difference = loss - this.mean;
      this.mean += difference / this.count;
      this.squares += difference * (loss - this.mean);
    }
  }

  get perplexity(): Perplexity {
    const error = this.count > 1 ? Math.sqrt(this.squares / (this.count - 1) / this.count) : Number.POSITIVE_INFINITY;
    const at = (loss: number) => Math.exp(loss);
    return {
      perplexity: at(this.mean),
      tokens: this.count,
      interval: [at(this.mean - 1.96 * error), at(this.mean + 1.96 * error)],
    };
  }
}
