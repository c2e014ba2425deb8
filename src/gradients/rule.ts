/** What a rule of differentiation is: how the adjoints of a node's outputs become those of its inputs. */
import type { DataType, Node } from '../onnx/model.js';
import type { Calculus, Shape } from './calculus.js';

/** A node whose outputs have adjoints, in a graph whose shapes are known. */
export interface RuleCall {
  readonly node: Node;
  readonly build: Calculus;
  /** Name of an input's or output's value; '' where it is left out. */
  input(index: number): string;
  output(index: number): string;
  /** The adjoint of an output; undefined where nothing depends on it. */
  adjoint(index: number): string | undefined;
  /** Whether the adjoint of this input is asked for. */
  wants(index: number): boolean;
  /** Extents of a value. */
  shape(value: string): Shape;
  /** What an input that is a weight is stored as; undefined for what is computed or left out. */
  stored(index: number): DataType | undefined;
  /** Elements of an input that is a small constant, or that the rule `reads`; undefined where it is left out. */
  numbers(index: number): readonly number[] | undefined;
}

/** An adjoint for each input, in their order; none where there is none. */
export type Adjoints = readonly (string | undefined)[];

export interface Rule {
  /** The inputs that an adjoint flows to; undefined: all. */
  readonly flows?: readonly number[];
  /** The outputs whose adjoints count; undefined: all. The others are taken as constants. */
  readonly outputs?: readonly number[];
  /** Inputs whose elements the rule has to know. */
  readonly reads?: readonly number[];
  /** What is to be said of a result that it had a part in. */
  readonly remark?: string;
  /** Whether it costs more to compute the operator again than to keep what it gave. */
  readonly costly?: boolean;
  /** @throws NoRule for a form that it does not hold for */
  adjoints(call: RuleCall): Adjoints;
}

/** Nothing flows back through an operator: its derivative is 0 wherever it has one. */
export interface Stop {
  readonly stops: string;
}

/** An operator that is known and cannot be differentiated here: all before it is out of reach. */
export interface Refusal {
  /** Why, as what follows a colon. */
  readonly cannot: string;
}

/** Why something in the middle of a graph can't be differentiated, as the part of a sentence that follows a colon. */
export class NoRule extends Error {}

/** The rule of an operator whose first output alone may count: its adjoint is `g`. */
export function ruleOf(
  make: (call: RuleCall, g: string) => Adjoints,
  options: Pick<Rule, 'flows' | 'reads' | 'remark' | 'costly'> = {},
): Rule {
  return {
    ...options,
    adjoints(call) {
      const g = call.adjoint(0);
      if (call.node.outputs.some((_, i) => i > 0 && call.adjoint(i) !== undefined))
        throw new NoRule('more than its first output counts');
      return g === undefined ? [] : make(call, g);
    },
  };
}

/** The axis counted from the front. */
export const axisIn = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);
