import type { Sums } from '../../engine/contract/restore.js';
import type { Measured } from './list.js';

/** What several ways of computing come to over all tokens, from sums by sequence. */
export class Figures {
  private readonly sums: { kld: number; losses: number }[];
  private tokens = 0;

  constructor(ways: number) {
    this.sums = Array.from({ length: ways }, () => ({ kld: 0, losses: 0 }));
  }

  /** Sums over the scored tokens of a sequence, by way. */
  add({ tokens, kld, losses }: Sums): void {
    this.tokens += tokens;
    for (const [i, sum] of this.sums.entries()) {
      sum.kld += kld[i] ?? Number.NaN;
      sum.losses += losses[i] ?? Number.NaN;
    }
  }

  /** By way: KL divergence, nats, and perplexity. */
  get means(): Measured[] {
    const { tokens } = this;
    return this.sums.map(({ kld, losses }) => ({ kld: kld / tokens, perplexity: Math.exp(losses / tokens) }));
  }
}
