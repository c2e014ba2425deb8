/** The steps of `prepare`: what each makes of a graph. */
import type { Graph } from './model.js';
import type { Names } from './rename.js';

/** What a pass may know beside the graph. */
export interface PassContext {
  /** Gives out names that nothing in the model has. */
  readonly names: Names;
  /** What a boolean graph input that chooses a branch is taken as. */
  readonly switches: boolean;
  /** Version of ai.onnx. */
  readonly opset: number;
  /** Has something about the file told with every result: what it is about, a colon, and what is so. */
  readonly remark: (words: string) => void;
}

/**
 * Makes of a graph another one that computes the same outputs from the same inputs, in an order in which it can run;
 * the same graph where there is nothing to do. Each pass says what holds after it, and every later one leaves it so.
 */
export type Pass = (graph: Graph, context: PassContext) => Graph;
