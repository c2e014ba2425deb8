/** Values that ONNX Runtime laid out for one processor (`com.microsoft.nchwc`), as [batch, channels, height, width] again. */
import { type Attribute, type Graph, intAttribute, type Node } from './model.js';
import type { Pass } from './pass.js';
import type { Names } from './rename.js';
import { GraphError } from './scope.js';

export const blockedDomain = 'com.microsoft.nchwc';

const isBlocked = ({ domain }: Node) => domain === blockedDomain;
const isReorder = ({ op }: Node) => op === 'ReorderInput' || op === 'ReorderOutput';

/**
 * Channels stand in blocks, as many as a processor's registers hold, in what ONNX Runtime saves at level *all*. Each operator
 * that works on blocks is put between the two that make and unmake them, so that every value between is one of the
 * model's own, whatever the block; weights stay as the file has them. Sums that were fused into a convolution stand for
 * themselves again. After it nothing but these operators reads blocks.
 */
export const unblock: Pass = (graph, { names }) => {
  if (!graph.nodes.some((node) => isBlocked(node) || node.op === 'FusedConv')) return graph;
  const channels = channelsOf(graph);
  const nodes = graph.nodes.flatMap((node): Node[] => {
    if (node.op === 'FusedConv') return withoutSum(node, names);
    // Blocks are an axis of their own where one of two summands has no height or width.
    if (node.op === 'Reshape' && channels.has(node.inputs[0] ?? '')) return [as(node, 'Identity')];
    if (!isBlocked(node)) return [node];
    if (isReorder(node)) return [plain(node)];
    const count = channels.get(node.outputs[0] ?? '');
    if (count === undefined)
      throw new GraphError(`nothing tells how many channels its ${blockedDomain}.${node.op} has`);
    const own = (read: string) => channels.has(read);
    return withoutSum(node, names).flatMap((part) => (isBlocked(part) ? between(part, own, count, names) : [part]));
  });
  return { ...graph, nodes };
};

/** How many channels the blocked values have, which their blocks may have more of; undefined where nothing tells of one. */
function channelsOf({ nodes, initializers }: Graph): ReadonlyMap<string, number | undefined> {
  const channels = new Map<string, number | undefined>();
  for (const node of nodes) {
    const before = node.inputs.filter((input) => channels.has(input));
    if (node.op === 'ReorderOutput' || (before.length === 0 && !isBlocked(node))) continue;
    const own = isBlocked(node) && node.op === 'Conv' ? initializers.get(node.inputs[1] ?? '')?.dims[0] : undefined;
    for (const output of node.outputs) if (output !== '') channels.set(output, own ?? channels.get(before[0] ?? ''));
  }
  // What is taken out of the blocks says how many are the model's own, also of what elements were computed from one by one.
  for (const node of nodes.toReversed()) {
    if (isBlocked(node) && node.op === 'Conv') continue;
    const count = node.op === 'ReorderOutput' ? intAttribute(node, 'channels', 0) : channels.get(node.outputs[0] ?? '');
    for (const input of node.inputs) if (count !== undefined && channels.has(input)) channels.set(input, count);
  }
  return channels;
}

/** `node` between what makes the blocks that it reads and what unmakes those that it gives. */
function between(node: Node, isBlocks: (read: string) => boolean, count: number, names: Names): Node[] {
  const [output = ''] = node.outputs;
  const before: Node[] = [];
  // Weights are blocks already, and what else is none was read as it is: a picture's three channels.
  const inputs = node.inputs.map((input) => {
    if (!isBlocks(input)) return input;
    const blocks = names.fresh(`${input}#blocks`);
    before.push(reorder('ReorderInput', input, blocks, {}));
    return blocks;
  });
  const blocks = names.fresh(`${output}#blocks`);
  return [
    ...before,
    { ...node, inputs, outputs: [blocks] },
    reorder('ReorderOutput', blocks, output, { channels: count }),
  ];
}

function reorder(op: string, from: string, to: string, own: Readonly<Record<string, number>>): Node {
  const ints = Object.entries({ channels_last: 0, ...own });
  const attributes = new Map(
    ints.map(([name, value]): [string, Attribute] => [name, { kind: 'int', value: BigInt(value) }]),
  );
  return { name: '', op, domain: blockedDomain, inputs: [from], outputs: [to], attributes };
}

/** What is left of an operator that only made or unmade blocks: pictures may have had their channels last. */
function plain(node: Node): Node {
  if (intAttribute(node, 'channels_last', 0) === 0) return as(node, 'Identity');
  const perm = node.op === 'ReorderInput' ? [0n, 3n, 1n, 2n] : [0n, 2n, 3n, 1n];
  return { ...as(node, 'Transpose'), attributes: new Map([['perm', { kind: 'ints', value: perm }]]) };
}

/** The node as another one of its first input. */
const as = (node: Node, op: string): Node => {
  return { ...node, op, domain: '', inputs: node.inputs.slice(0, 1), attributes: new Map() };
};

/** A convolution whose result was added to something, as the two; with an activation behind the sum it stays. */
function withoutSum(node: Node, names: Names): Node[] {
  const [output = ''] = node.outputs;
  const [, , , added = ''] = node.inputs;
  if (added === '' || !/Conv$/.test(node.op) || node.attributes.has('activation')) return [node];
  const product = names.fresh(`${output}#product`);
  const sum = { name: '', op: 'Add', domain: '', inputs: [added, product], outputs: [output], attributes: new Map() };
  return [{ ...node, inputs: node.inputs.slice(0, 3), outputs: [product] }, sum];
}
