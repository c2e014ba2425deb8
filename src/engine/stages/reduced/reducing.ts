/** Nodes that reduce tensors where they are, of operators that ONNX Runtime has on graphics processors as well. */
import { Builder } from '../../../anatomy/operators/builder.js';

/** The opset since which a reduction takes its axes as an input. */
const axesAsInput = { ReduceSum: 13, ReduceMax: 18, ReduceMin: 18, ReduceL2: 18 } as const;

/**
 * Nothing computed of integers is needed where the tensors are: what is known of extents is known beside them, and each
 * number that is sent there, or called back, costs as much as many nodes.
 */
export class Reducing extends Builder {
  private ruler: string | undefined;
  private row: string | undefined;

  /**
   * @param opset of ai.onnx, 11 or newer
   * @param reach the largest extent of an axis that is counted
   */
  constructor(
    prefix: string,
    readonly opset: number,
    readonly reach: number,
  ) {
    super(prefix);
  }

  /** The whole numbers from `from` to before `to`, in single precision; of integers [1], from -reach to reach. */
  counted(from: string, to: string): string {
    const { reach } = this;
    this.ruler ??= this.floats(Array.from({ length: 2 * reach + 1 }, (_, i) => i - reach));
    const [start, end] = [from, to].map((place) => this.sum(place, this.ints([reach])));
    return this.node('Slice', [this.ruler, start ?? '', end ?? '', this.ints([0])]);
  }

  /** So many ones; of an integer [1], up to reach. */
  ones(count: string): string {
    this.row ??= this.floats(new Array<number>(this.reach).fill(1));
    return this.node('Slice', [this.row, this.ints([0]), count]);
  }

  /**
   * The index of the lower median of T · dims entries in ascending order, or half more, of a value [points, T, dims]:
   * exact, for there are not more than 2^24.
   */
  rankOf(value: string, dims: number): string {
    const tokens = this.extentOf(value, 1);
    const entries = this.times(this.counted(tokens, this.sum(tokens, this.ints([1]))), this.float(dims));
    return this.times(this.sum(entries, this.float(-1)), this.float(0.5));
  }

  /** An extent as an integer [1]. */
  extentOf(value: string, axis: number): string {
    const shape = this.node('Shape', [value]);
    return this.node('Slice', [shape, this.ints([axis]), this.ints([axis === -1 ? 2 ** 31 - 1 : axis + 1])]);
  }

  /** Over some axes, which are gone then. */
  reduce(op: keyof typeof axesAsInput, value: string, axes: readonly number[]): string {
    return this.opset >= axesAsInput[op]
      ? this.node(op, [value, this.ints(axes)], { keepdims: 0 })
      : this.node(op, [value], { keepdims: 0, axes });
  }

  reshape(value: string, extents: readonly number[]): string {
    return this.node('Reshape', [value, this.ints(extents)]);
  }

  where(condition: string, then: string, otherwise: string): string {
    return this.node('Where', [condition, then, otherwise]);
  }

  less(a: string, b: string): string {
    return this.node('Less', [a, b]);
  }

  atMost(a: string, b: string): string {
    return this.node('LessOrEqual', [a, b]);
  }

  sum(a: string, b: string): string {
    return this.node('Add', [a, b]);
  }

  times(a: string, b: string): string {
    return this.node('Mul', [a, b]);
  }

  /** All of them behind each other, in single precision and one axis. */
  joined(values: readonly string[]): string {
    const flat = values.map((value) => this.reshape(value, [-1]));
    return flat.length === 1 ? (flat[0] ?? '') : this.node('Concat', flat, { axis: 0 });
  }
}

/** Takes what {@link Reducing.joined} has put behind each other apart again. */
export class JoinedParts {
  private at = 0;

  constructor(private readonly values: Float32Array) {}

  take(length: number): Float32Array {
    const part = this.values.slice(this.at, this.at + length);
    this.at += length;
    return part;
  }

  /** Whether just so much was there as has been taken. */
  get areUsedUp(): boolean {
    return this.at === this.values.length;
  }
}
