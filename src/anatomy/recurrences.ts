/**
 * Recurrences over tokens that are written out as elementwise steps, one for each token, as exporters leave loops of
 * state-space models, linear attention and RWKV.
 */
import type { Node } from '../onnx/model.js';
import type { Flow } from './flow.js';

/** Values that are joined one after another and may be looked at, the most of them first. */
const mostJoined = 4;

/** Fewer pieces are parts of a vector, as halves in a rotation are. */
const leastSteps = 3;

const cutting = new Set(['Gather', 'GatherND', 'Slice', 'Split']);
const writing = new Set(['ScatterND', 'ScatterElements']);

/** Whether among `nodes` a token's value is made from those before it: by a running sum, or step by step. */
export function isRecurrent(flow: Flow, nodes: ReadonlySet<Node>): boolean {
  for (const { op } of nodes) if (op === 'CumSum') return true;
  return joinedIn(flow, nodes).some((steps) => growsWith(flow, nodes, steps));
}

/** Values that one node puts together, or that are written into one value after another. */
function joinedIn(flow: Flow, nodes: ReadonlySet<Node>): readonly (readonly string[])[] {
  const all: (readonly string[])[] = [];
  const written = new Set<Node>();
  for (const node of [...nodes].reverse()) {
    if (node.op === 'Concat') all.push(node.inputs.filter((input) => !flow.isConstant(input)));
    if (!writing.has(node.op) || written.has(node)) continue;
    const updates: string[] = [];
    for (let at: Node | undefined = node; at && writing.has(at.op); at = flow.producer(at.inputs[0] ?? '')) {
      written.add(at);
      updates.unshift(at.inputs[2] ?? '');
    }
    all.push(updates);
  }
  const many = all.filter(({ length }) => length >= leastSteps);
  return many.sort((a, b) => b.length - a.length).slice(0, mostJoined);
}

/**
 * Whether the further on a step is, the more it has in common with the last: what it is made from goes on to later ones.
 * Heads or experts side by side have as much in common, whichever they are.
 */
function growsWith(flow: Flow, nodes: ReadonlySet<Node>, steps: readonly string[]): boolean {
  const [first, middle, last] = [0, steps.length >> 1, steps.length - 1].map((at) =>
    piecesAbove(flow, nodes, steps[at] ?? ''),
  );
  if (!first || !middle || !last) return false;
  const common = (a: ReadonlySet<string>, b: ReadonlySet<string>) => [...a].filter((piece) => b.has(piece)).length;
  const ofEnds = common(first, last);
  return ofEnds > 0 && (common(middle, last) > ofEnds || common(middle, first) > ofEnds);
}

/** What is cut out of other values, among those that `value` is computed from. */
function piecesAbove(flow: Flow, nodes: ReadonlySet<Node>, value: string): ReadonlySet<string> {
  const pieces = new Set<string>();
  const seen = new Set([value]);
  for (const next of seen) {
    const node = flow.producer(next);
    if (!node || !nodes.has(node)) continue;
    if (cutting.has(node.op)) pieces.add(next);
    for (const input of flow.reads(node)) seen.add(input);
  }
  return pieces;
}
