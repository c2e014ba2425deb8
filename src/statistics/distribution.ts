/** Statistics of a sequence of numbers of any length that comes in parts: nothing of it is kept. */

export interface LargeEntry {
  readonly value: number;
  /** Place in the whole sequence. */
  readonly at: number;
}

/** Exponents of the octaves that magnitudes are counted in: those of single precision, subnormal ones as the least. */
const [lowest, highest] = [-127, 128];

/** Moments by Pébay's formulas (Sandia report 2008-6212), each part centred by itself, so that little is cancelled. */
export class RunningStatistics {
  count = 0;
  nonFinite = 0;
  zeros = 0;
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;
  mean = Number.NaN;
  /** Largest magnitudes first; of equal ones the first. */
  top: readonly LargeEntry[] = [];

  private finite = 0;
  private second = 0;
  private third = 0;
  private fourth = 0;
  private readonly counts = new Float64Array(highest - lowest + 1);

  /** @param most how many of the largest are kept */
  constructor(private readonly most: number) {}

  add(values: Float32Array | Float64Array): void {
    const before = this.count;
    this.count += values.length;
    let [n, total] = [0, 0];
    for (const value of values) {
      if (!Number.isFinite(value)) continue;
      n++;
      total += value;
    }
    this.nonFinite += values.length - n;
    if (n === 0) return;
    const mean = total / n;
    let [second, third, fourth] = [0, 0, 0];
    let least = this.top.length < this.most ? -1 : Math.abs(this.top.at(-1)?.value ?? 0);
    for (let i = 0; i < values.length; i++) {
      const value = values[i] ?? 0;
      if (!Number.isFinite(value)) continue;
      const d = value - mean;
      const square = d * d;
      second += square;
      third += square * d;
      fourth += square * square;
      if (value < this.min) this.min = value;
      if (value > this.max) this.max = value;
      const magnitude = Math.abs(value);
      const octave = octaveOf(magnitude);
      if (magnitude === 0) this.zeros++;
      else this.counts[octave - lowest] = (this.counts[octave - lowest] ?? 0) + 1;
      if (magnitude > least) least = this.keep({ value, at: before + i });
    }
    this.merge(n, mean, second, third, fourth);
  }

  /** Of the population; NaN of none. */
  get deviation(): number {
    return Math.sqrt(this.second / this.finite);
  }

  /** Excess kurtosis: 0 for a normal distribution; NaN where all are the same. */
  get kurtosis(): number {
    return (this.finite * this.fourth) / this.second ** 2 - 3;
  }

  /** Magnitudes from 2^k up to 2^(k+1), from the first k that has any to the last. */
  get octaves(): { readonly from: number; readonly counts: readonly number[] } {
    const first = this.counts.findIndex((count) => count > 0);
    if (first < 0) return { from: 0, counts: [] };
    const last = this.counts.findLastIndex((count) => count > 0);
    return { from: first + lowest, counts: [...this.counts.subarray(first, last + 1)] };
  }

  /** Magnitude from which another one would be kept. */
  private keep(entry: LargeEntry): number {
    const at = this.top.findIndex(({ value }) => Math.abs(value) < Math.abs(entry.value));
    this.top = this.top.toSpliced(at < 0 ? this.top.length : at, 0, entry).slice(0, this.most);
    return this.top.length < this.most ? -1 : Math.abs(this.top.at(-1)?.value ?? 0);
  }

  private merge(n: number, mean: number, second: number, third: number, fourth: number): void {
    const m = this.finite;
    this.finite = m + n;
    if (m === 0) {
      [this.mean, this.second, this.third, this.fourth] = [mean, second, third, fourth];
      return;
    }
    const all = m + n;
    const d = mean - this.mean;
    const by = d / all;
    this.fourth +=
      fourth +
      d * by * by * by * m * n * (m * m - m * n + n * n) +
      6 * by * by * (m * m * second + n * n * this.second) +
      4 * by * (m * third - n * this.third);
    this.third += third + d * by * by * m * n * (m - n) + 3 * by * (m * second - n * this.second);
    this.second += second + d * by * m * n;
    this.mean += by * n;
  }
}

const single = new Float32Array(1);
const bits = new Uint32Array(single.buffer);

/** k of 2^k ≤ magnitude < 2^(k+1) as single precision has it. */
function octaveOf(magnitude: number): number {
  single[0] = magnitude;
  return (((bits[0] ?? 0) >>> 23) & 0xff) - 127;
}
