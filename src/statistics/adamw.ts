/** AdamW (arXiv:1711.05101), as PyTorch has it, with its defaults. */

const [beta, squareBeta, epsilon, decay] = [0.9, 0.999, 1e-8, 0.01];

/** Changes values step by step; one for each tensor. */
export class AdamW {
  private readonly mean: Float64Array;
  private readonly square: Float64Array;
  private steps = 0;

  /** @param values changed in place */
  constructor(
    readonly values: Float32Array,
    private readonly rate: number,
  ) {
    this.mean = new Float64Array(values.length);
    this.square = new Float64Array(values.length);
  }

  /** @param gradient by each value */
  step(gradient: Float32Array): void {
    const { values, mean, square, rate } = this;
    this.steps++;
    const [first, second] = [1 - beta ** this.steps, Math.sqrt(1 - squareBeta ** this.steps)];
    for (let i = 0; i < values.length; i++) {
      const slope = gradient[i] ?? 0;
      const moment = beta * (mean[i] ?? 0) + (1 - beta) * slope;
      const spread = squareBeta * (square[i] ?? 0) + (1 - squareBeta) * slope * slope;
      mean[i] = moment;
      square[i] = spread;
      const decayed = (values[i] ?? 0) * (1 - rate * decay);
      values[i] = decayed - ((rate / first) * moment) / (Math.sqrt(spread) / second + epsilon);
    }
  }
}
