/** From a prepared graph to its anatomy. */
import { basename } from 'node:path';
import { SinkscopeError } from '../errors.js';
import { floatAttribute, type Model, type Node } from '../onnx/model.js';
import type { Anatomy, Attention, Block } from './anatomy.js';
import { attentionOf } from './attention.js';
import { declaredExtents } from './extents.js';
import { between, downstream, type Flow, flowOf, stripped } from './flow.js';
import { recogniseInputs } from './inputs.js';
import { inputAs } from './operators/table.js';
import { factors, isConvolution, isMixer, isPictureConvolution, isSum } from './ops.js';
import { patchOf } from './pictures.js';
import { lastProduct, weightProduct } from './products.js';
import { type Addition, type Branch, type ResidualStream, residualStream } from './residual.js';
import { attentionObstacle, type Gap, merged, mlpObstacle, otherChains } from './words.js';

/**
 * Finds residual points, blocks, attention, MLPs, final norm, unembedding and the meaning of the inputs.
 *
 * @param model flat, as `prepare` gives it.
 * @throws SinkscopeError `not-a-transformer` where there is no chain of residual additions; a part that is not found
 *   in a graph that has one is listed in `missing` instead.
 */
export function recognise(model: Model): Anatomy {
  const flow = flowOf(model);
  const stream = residualStream(flow);
  if (!stream) throw notATransformer(model);
  const inStream = downstream(flow, stream.points[0] as string);
  const parts = stream.additions.map((addition) => partsOf(flow, addition, inStream));
  if (!isTransformer(parts)) throw notATransformer(model);
  const groups = grouped(parts);
  const gaps: Gap[] = [];
  const blocks = groups.map((group, index) => blockOf(flow, stream, parts, group, index + 1, gaps));
  const missing = merged(gaps, blocks.length);
  if (stream.others.length > 0) missing.push(otherChains(stream.others));
  const lastResidual = stream.points.at(-1) as string;
  const firstPoint = groups[0]?.[0] ?? 0;
  const embedding = stream.points[firstPoint] as string;

  const output = outputOf(flow, lastResidual);
  if (output === undefined) throw notATransformer(model);
  const head = lastProduct(flow, output);
  const hasHead =
    head !== undefined && (head.activation === lastResidual || between(flow, lastResidual, head.activation));
  const normed = hasHead ? head.activation : output;
  if (!hasHead)
    missing.push({
      part: 'unembedding',
      why: `the output ${output} is no product with a weight, so the model has no output head`,
    });
  const attention = first(blocks, ({ attention }) => attention);
  const vocabulary = hasHead ? head.columns : undefined;
  const { kvHeads, headDim } = attention ?? {};
  const { inputs, source, context } = recogniseInputs(flow, { embedding, vocabulary, kvHeads, headDim });
  for (const input of inputs)
    if (input.role === 'unknown' && flow.consumers(input.name).length > 0)
      missing.push({ part: `input ${input.name}`, why: input.how });

  return {
    layers: blocks.length,
    hidden: hiddenSize(flow, stream, parts),
    heads: attention?.heads,
    kvHeads,
    headDim,
    mlpHidden: first(parts, ({ mlp }) => mlp?.rows),
    vocabulary,
    context,
    parallelBlock: parts.some(({ attention, mlpBranch }) => attention !== undefined && mlpBranch !== undefined),
    patch: patchOf(flow, source),
    source,
    embedding,
    blocks,
    finalNorm: normed !== lastResidual && stripped(flow, normed) !== lastResidual ? { output: normed } : undefined,
    unembedding: hasHead ? { input: head.activation, logits: output } : undefined,
    output,
    inputs,
    missing,
  };
}

/**
 * Blocks that look like a transformer's, if not all of its parts: attention, or several additions of something else
 * than convolutions over pictures, whose vectors do not lie along the last axis.
 */
function isTransformer(parts: readonly Parts[]): boolean {
  if (parts.some(({ attention }) => attention !== undefined)) return true;
  return parts.length > 1 && !parts.some((part) => nodesOf(part).some(isPictureConvolution));
}

function notATransformer(model: Model): SinkscopeError {
  const { nodes } = model.graph;
  const cause =
    nodes.length === 0
      ? 'its graph is empty'
      : `no chain of residual additions with attention or the like leads to an output (it has ${commonOperators(nodes)})`;
  const name = basename(model.file);
  return new SinkscopeError({
    code: 'not-a-transformer',
    file: model.file,
    message: `${name} is no transformer that Sinkscope can see into: ${cause}; give a transformer exported as one graph.`,
  });
}

function commonOperators(nodes: readonly Node[]): string {
  const counts = new Map<string, number>();
  for (const { op } of nodes) counts.set(op, (counts.get(op) ?? 0) + 1);
  const most = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 5);
  return most.map(([op, count]) => `${count} ${op}`).join(', ');
}

/** What the branches of one addition are. */
interface Parts {
  readonly addition: Addition;
  readonly attention: Attention | undefined;
  /** The attention looks at something else than the residual stream, e.g. at an encoder's states. */
  readonly cross: boolean;
  /** Moves information between tokens by other means. */
  readonly mixer: boolean;
  readonly mlp:
    | { readonly intermediate: string; readonly rows: number | undefined; readonly factor: number }
    | undefined;
  /** The first branch that is neither attention nor another mixer. */
  readonly mlpBranch: Branch | undefined;
}

function partsOf(flow: Flow, addition: Addition, stream: ReadonlySet<string>): Parts {
  const branches = addition.branches.flatMap((branch) => parallelBranches(flow, addition.skip, branch));
  const sites = branches.map((branch) => attentionOf(flow, branch));
  const mixes = branches.map((branch) => mixesTokens(flow, branch));
  const rest = branches.filter((_, index) => !sites[index] && !mixes[index]);
  const product = rest.length === 1 ? lastProduct(flow, (rest[0] as (typeof rest)[0]).output) : undefined;
  const attention = sites.find((site) => site !== undefined);
  return {
    addition,
    attention,
    cross: attention !== undefined && keysOf(attention).every((key) => !stream.has(key)),
    mixer: mixes.some((mix, index) => mix && !sites[index]),
    mlp: product && {
      intermediate: product.activation,
      rows: product.rows,
      factor: floatAttribute(product.node, 'alpha', 1),
    },
    mlpBranch: rest[0],
  };
}

const nodesOf = ({ addition }: Parts) => addition.branches.flatMap(({ nodes }) => [...nodes]);

/** What the keys come from; for an operator, also what holds queries and keys in one. */
function keysOf({ pattern, keys }: Attention): string[] {
  if ('tensor' in pattern) return keys === undefined ? [pattern.tensor] : [keys];
  return (['states', 'query', 'key'] as const).map((role) => inputAs(pattern.operator, role));
}

/**
 * Moves information between tokens without attention, as a part of a block: a recurrence, a scan, or a product of two
 * activations as in linear attention. Experts are chosen by such products too, after a TopK; a convolution without
 * any weight matrix only adds positions.
 */
function mixesTokens(flow: Flow, { nodes }: Branch): boolean {
  const all = [...nodes];
  if (all.some((node) => isMixer(node) && !isConvolution(node))) return true;
  const moves = all.some((node) => isConvolution(node) || factors(node)?.every((factor) => !flow.isConstant(factor)));
  return moves && !all.some(({ op }) => op === 'TopK') && all.some((node) => weightProduct(flow, node) !== undefined);
}

/** The terms of h + (attention + mlp), which some exporters sum first; any other branch as it is. */
function parallelBranches(flow: Flow, skip: string, branch: Branch): readonly Branch[] {
  const node = flow.producer(branch.output);
  if (!node || !isSum(node) || flow.reads(node).length < 2) return [branch];
  const terms = flow.reads(node).map((output) => ({ output, nodes: between(flow, skip, output) ?? new Set<Node>() }));
  const attending = terms.filter((term) => attentionOf(flow, term) !== undefined);
  return attending.length > 0 && attending.length < terms.length ? terms : [branch];
}

/**
 * Indices of the additions of each block: a block begins at each attention or other mixer, except that attention to
 * an encoder's states belongs to the block before, and a mixer right after an attention is that block's MLP (some have a convolution inside). Additions before the first one belong to
 * the embedding. Where nothing mixes tokens in a way that is known, each addition is a block.
 */
function grouped(parts: readonly Parts[]): readonly (readonly number[])[] {
  const groups: number[][] = [];
  parts.forEach(({ attention, cross, mixer }, index) => {
    const group = groups.at(-1);
    const isLoneAttention = group?.length === 1 && parts[group[0] as number]?.attention !== undefined;
    const begins = attention ? !cross || !group : mixer && !isLoneAttention;
    if (begins) groups.push([index]);
    else group?.push(index);
  });
  return groups.length > 0 ? groups : parts.map((_, index) => [index]);
}

function blockOf(
  flow: Flow,
  stream: ResidualStream,
  parts: readonly Parts[],
  group: readonly number[],
  block: number,
  gaps: Gap[],
): Block {
  const [head, tail] = [group[0] as number, group.at(-1) as number];
  const members = group.map((index) => parts[index] as Parts);
  const attention = first(members, ({ attention }) => attention);
  const mlp = first(members, ({ mlp }) => mlp);
  const residPost = stream.points[tail + 1] as string;
  const note = (part: string, why: string) => gaps.push({ part, block, why });
  if (members.some(({ cross }) => cross)) note('cross-attention', 'it looks at states that are not the tokens shown');
  if (!attention) note('attention', attentionObstacle(members.flatMap((member) => [...nodesOf(member)])));
  if (!mlp) {
    const branch = first(members, ({ mlpBranch }) => mlpBranch);
    note('MLP intermediate', branch === undefined ? 'it has no branch besides attention' : mlpObstacle(flow, branch));
  }
  const factor = mlp?.factor ?? 1;
  if (factor !== 1)
    note(
      'scale of the MLP intermediate',
      `its last product also multiplies by ${factor}, which may belong to the activation`,
    );
  return {
    residPost,
    residMid: group.length > 1 ? stream.points[head + 1] : undefined,
    attention,
    mlpIntermediate: mlp?.intermediate,
  };
}

/** The first output in the order of the file that depends on the last residual. */
function outputOf(flow: Flow, residual: string): string | undefined {
  return flow.model.graph.outputs
    .map(({ name }) => name)
    .find((name) => name === residual || between(flow, residual, name));
}

/** Extent of the residual stream: declared, or what the branches' products give back to it. */
function hiddenSize(flow: Flow, stream: ResidualStream, parts: readonly Parts[]): number | undefined {
  const declared = first(stream.points, (point) => declaredExtents(flow, point)?.at(-1));
  return (
    declared ??
    first(parts, ({ addition }) =>
      first(
        addition.branches.flatMap((branch) => parallelBranches(flow, addition.skip, branch)),
        ({ output }) => lastProduct(flow, output)?.columns,
      ),
    )
  );
}

function first<T, R>(items: readonly T[], select: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const result = select(item);
    if (result !== undefined) return result;
  }
  return undefined;
}
