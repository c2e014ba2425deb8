/** Nodes of a backward pass: a builder that knows the shapes of the run, so that nothing about axes is guessed. */
import { Builder } from '../anatomy/operators/builder.js';

/** Extents of a value. */
export type Shape = readonly number[];

const product = (extents: Shape): number => extents.reduce((all, extent) => all * extent, 1);

/** Uses forms of operators that hold in every opset since 11; where they changed, the one that `opset` has. */
export class Calculus extends Builder {
  /** @param opset of ai.onnx */
  constructor(
    prefix: string,
    readonly opset: number,
  ) {
    super(prefix);
  }

  mul(a: string, b: string): string {
    return this.node('Mul', [a, b]);
  }

  div(a: string, b: string): string {
    return this.node('Div', [a, b]);
  }

  add2(a: string, b: string): string {
    return this.node('Add', [a, b]);
  }

  sub(a: string, b: string): string {
    return this.node('Sub', [a, b]);
  }

  neg(a: string): string {
    return this.node('Neg', [a]);
  }

  /** `value` times a number. */
  times(value: string, factor: number): string {
    return this.mul(value, this.float(factor));
  }

  /** `value` where the condition holds, else 0. */
  where(condition: string, value: string): string {
    return this.node('Where', [condition, value, this.float(0)]);
  }

  reshape(value: string, shape: Shape): string {
    // An extent of 0 in the target would stand for that of the value.
    return this.node(
      'Reshape',
      [value, this.ints(shape)],
      shape.includes(0) && this.opset >= 14 ? { allowzero: 1 } : {},
    );
  }

  /** The sum over `axes`, which stay with an extent of 1. */
  sum(value: string, axes: readonly number[]): string {
    if (axes.length === 0) return value;
    return this.opset >= 13
      ? this.node('ReduceSum', [value, this.ints(axes)], { keepdims: 1 })
      : this.node('ReduceSum', [value], { keepdims: 1, axes });
  }

  /** The mean over `axes` of a value of this shape; they stay with an extent of 1. */
  mean(value: string, shape: Shape, axes: readonly number[]): string {
    return this.times(this.sum(value, axes), 1 / product(axes.map((axis) => shape.at(axis) ?? 1)));
  }

  /** The adjoint of an operand of shape `to` that was broadcast to `from`: summed over what it was repeated along. */
  sumTo(value: string, from: Shape, to: Shape): string {
    const missing = from.length - to.length;
    const axes = from.flatMap((extent, axis) => {
      const own = axis < missing ? undefined : to[axis - missing];
      return own === undefined || (own === 1 && extent !== 1) ? [axis] : [];
    });
    const summed = this.sum(value, axes);
    return missing > 0 ? this.reshape(summed, to) : summed;
  }

  zeros(shape: Shape): string {
    return this.node('ConstantOfShape', [this.ints(shape)]);
  }

  /** `value` with zeros around it: so many before and after along an axis. */
  padded(value: string, rank: number, axis: number, before: number, after: number): string {
    if (before === 0 && after === 0) return value;
    const pads = Array.from({ length: 2 * rank }, (_, i) => (i === axis ? before : i === axis + rank ? after : 0));
    return this.node('Pad', [value, this.ints(pads), this.float(0)]);
  }

  /** A B with the last two axes of either exchanged first, where that is asked for. */
  product(a: string, b: string, turned: { readonly a?: boolean; readonly b?: boolean } = {}): string {
    if (!turned.a && !turned.b) return this.node('MatMul', [a, b]);
    // By one operator: ONNX Runtime would transpose a weight when it makes the session.
    return this.node('FusedMatMul', [a, b], { transA: turned.a ? 1 : 0, transB: turned.b ? 1 : 0 }, 'com.microsoft');
  }

  /**
   * Rows added to those of zeros that `indices` name: the adjoint of picking them.
   *
   * @param rows [before, n, after]
   * @param indices integers, n in any shape; negative ones count from the end
   * @returns [before, extent, after]
   */
  scattered(rows: string, indices: string, n: number, extent: number): string {
    const flat = this.reshape(indices, [n]);
    const values = this.node('Concat', [this.reshape(this.float(0), [1]), this.reshape(this.float(1), [1])], {
      axis: 0,
    });
    const chosen = this.node('OneHot', [flat, this.ints([extent]), values]);
    return this.product(chosen, rows, { a: true });
  }
}

export { product as elements };
