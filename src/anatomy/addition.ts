/** A residual addition, and what it adds. */
import type { Node } from '../onnx/model.js';

export interface Addition {
  readonly node: Node;
  /** What the skip term was before reshapes and scalings of its own: the residual point this addition reads. */
  readonly skip: string;
  readonly branches: readonly Branch[];
  /** The sum: a residual point unless the model is post-norm. */
  readonly sum: string;
  readonly previous: Addition | undefined;
  /** Additions on the chain up to and with this one. */
  readonly length: number;
  /** The residual point it reads, where an addition to a part of its rows comes between. */
  readonly whole?: string;
}

/** How many additions a branch may make to what it reads on its own way. */
export const maxInnerAdditions = 4;

export interface Branch {
  readonly output: string;
  /** The nodes on the ways from the skip to the output. */
  readonly nodes: ReadonlySet<Node>;
}

/** All additions of a chain, the first one first. */
export function additionsOf(last: Addition): Addition[] {
  const additions: Addition[] = [];
  for (let addition: Addition | undefined = last; addition; addition = addition.previous) additions.unshift(addition);
  return additions;
}

const roots = new WeakMap<Addition, Addition>();

/** The first addition of a chain. */
export function rootOf(addition: Addition): Addition {
  if (!addition.previous) return addition;
  const root = roots.get(addition) ?? rootOf(addition.previous);
  roots.set(addition, root);
  return root;
}
