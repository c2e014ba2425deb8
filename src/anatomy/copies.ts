/**
 * Copies of the residual stream.
 *
 * AltUp keeps several copies of the stream side by side; a block computes with one of them, and what it changed is taken
 * out as y − x and given back, scaled, to each copy. Where the copies are values of their own, what a block leaves is
 * its own copy after that, not the change on its way.
 */
import type { Node } from '../onnx/model.js';
import { type Addition, maxInnerAdditions } from './addition.js';
import { type Flow, stripped } from './flow.js';
import { carries, isSum } from './ops.js';

/** The sums in which a change is given back: to what the blocks began with (`own`), and to further copies (`beside`). */
interface Return {
  own: string | undefined;
  readonly beside: string[];
}

/** y − x on its way. */
interface Change {
  readonly of: Addition;
  readonly begin: string;
}

/** Notes what blocks change where it is taken out, carried on by itself, or given back; nodes in topological order. */
export class Changes {
  /** By the addition that the change was taken out behind. */
  readonly returns = new Map<Addition, Return>();
  /** The values that carry a change. */
  private readonly carried = new Map<string, Change>();

  /** @param chain the addition that a value comes from by pointwise operators alone, by the value */
  constructor(
    private readonly flow: Flow,
    private readonly chain: ReadonlyMap<string, Addition>,
  ) {}

  visit(node: Node, inputs: readonly string[]): void {
    const [output = ''] = node.outputs;
    const carried = inputs.find((input) => this.carried.has(input));
    const change = carried === undefined ? this.takenOut(node) : this.carried.get(carried);
    if (!change || !carries(node)) return;
    const others = inputs.filter((input) => input !== carried);
    if (carried === undefined || others.length === 0 || node.op === 'Mul') this.carried.set(output, change);
    else if (isSum(node)) {
      const known = this.returns.get(change.of) ?? { own: undefined, beside: [] };
      this.returns.set(change.of, known);
      if (others.some((other) => stripped(this.flow, other) === change.begin)) known.own ??= output;
      else known.beside.push(output);
    }
  }

  /** y − x, where x is what one of the last additions to y began with. */
  private takenOut(node: Node): Change | undefined {
    const of = node.op === 'Sub' ? this.chain.get(node.inputs[0] ?? '') : undefined;
    const begin = stripped(this.flow, node.inputs[1] ?? '');
    let addition = of;
    for (let step = 0; addition && step < maxInnerAdditions; step++, addition = addition.previous)
      if (of && stripped(this.flow, addition.skip) === begin) return { of, begin };
    return undefined;
  }
}
