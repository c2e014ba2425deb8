/** From a prepared graph to its anatomy. */
import { basename } from 'node:path';
import { SinkscopeError } from '../errors.js';
import { floatAttribute, type Model, type Node } from '../onnx/model.js';
import type { Anatomy, Attention, Block } from './anatomy.js';
import { attentionOf } from './attention.js';
import { declaredExtents } from './extents.js';
import { between, downstream, type Flow, flowOf } from './flow.js';
import { endOf, isPerToken, isVocabulary, tableRead } from './head.js';
import { recogniseInputs } from './inputs/inputs.js';
import { inputAs } from './operators/table.js';
import { factors, isConvolution, isMixer, isPictureConvolution, isSum } from './ops.js';
import { patchOf } from './pictures.js';
import { lastProduct, weightProduct } from './products.js';
import { type Branch, type ResidualStream, residualStream, type Step } from './residual.js';
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
  const inStream = downstream(flow, stream.from);
  const parts = stream.steps.map((step) => partsOf(flow, step, inStream));
  const end = isTransformer(parts) ? endOf(flow, stream.to) : undefined;
  if (!end) throw notATransformer(model);

  const groups = grouped(parts);
  const gaps: Gap[] = [];
  const blocks = groups.map((group, index) => blockOf(flow, group, index + 1, gaps));
  const embedding = groups[0]?.[0].step.from ?? stream.from;
  const attention = first(blocks, ({ attention }) => attention);
  const { kvHeads, headDim } = attention ?? {};
  const { output, finalNorm, product, outputs } = end;
  const head = product && isPerToken(flow, stream.to, end) ? product : undefined;
  const { inputs, source, context, rows } = recogniseInputs(flow, { embedding, head, kvHeads, headDim });
  const isScores = product !== undefined && isVocabulary(flow, product, tableRead(flow, source), rows);
  const isRaw = outputs[0]?.made !== 'probabilities';
  const unembedding = isScores && isRaw ? { input: product.activation, logits: output } : undefined;

  const missing = merged(gaps, blocks.length);
  if (stream.others.length > 0) missing.push(otherChains(stream.others));
  if (!unembedding && (!product || isScores))
    missing.push({
      part: 'unembedding',
      why: `the output ${output} ${product ? 'is made probabilities by the graph' : 'is no product with a weight'}, so the model has no output head`,
    });
  for (const input of inputs)
    if (input.role === 'unknown') missing.push({ part: `input ${input.name}`, why: input.how });

  return {
    layers: blocks.length,
    hidden: hiddenSize(flow, stream, parts),
    heads: attention?.heads,
    kvHeads,
    headDim,
    mlpHidden: first(parts, ({ mlp }) => mlp?.rows),
    vocabulary: rows ?? product?.columns,
    context,
    parallelBlock: parts.some(({ attention, mlpBranch }) => attention !== undefined && mlpBranch !== undefined),
    patch: patchOf(flow, source),
    source,
    embedding,
    blocks,
    finalNorm,
    unembedding,
    output,
    outputs,
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

/** A branch, and the attention in it. */
interface Term extends Branch {
  readonly attention: Attention | undefined;
}

/** What the branches of one addition are. */
interface Parts {
  readonly step: Step;
  readonly terms: readonly Term[];
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

function partsOf(flow: Flow, step: Step, stream: ReadonlySet<string>): Parts {
  const terms = step.branches.flatMap((branch) => termsOf(flow, step.skip, branch));
  const others = terms.filter(({ attention }) => attention === undefined);
  const plain = others.filter((term) => !mixesTokens(flow, term));
  const [mlpBranch] = plain;
  const product = mlpBranch && plain.length === 1 ? lastProduct(flow, mlpBranch.output) : undefined;
  const attention = first(terms, ({ attention }) => attention);
  return {
    step,
    terms,
    attention,
    cross: attention !== undefined && !stream.has(keysOf(attention)),
    mixer: plain.length < others.length,
    mlp: product && {
      intermediate: product.activation,
      rows: product.rows,
      factor: floatAttribute(product.node, 'alpha', 1),
    },
    mlpBranch,
  };
}

const nodesOf = ({ step }: Parts) => step.branches.flatMap(({ nodes }) => [...nodes]);

/** What the keys come from: for an operator that takes none, what holds queries and keys in one. */
function keysOf({ pattern, keys }: Attention): string {
  if ('tensor' in pattern) return keys ?? pattern.tensor;
  const given = (role: 'key' | 'query' | 'states') => inputAs(pattern.operator, role);
  return given('key') || given('query') || given('states');
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
function termsOf(flow: Flow, skip: string, branch: Branch): readonly Term[] {
  const sited = (each: Branch): Term => ({ ...each, attention: attentionOf(flow, each) });
  const node = flow.producer(branch.output);
  const summed = node && isSum(node) ? flow.reads(node) : [];
  if (summed.length < 2) return [sited(branch)];
  const terms = summed.map((output) => sited({ output, nodes: between(flow, skip, output) ?? new Set() }));
  const attending = terms.filter(({ attention }) => attention !== undefined);
  return attending.length > 0 && attending.length < terms.length ? terms : [sited(branch)];
}

/** The additions of a block. */
type Group = readonly [Parts, ...Parts[]];

/**
 * The additions of each block: a block begins at each attention or other mixer, except that attention to an encoder's
 * states belongs to the block before, and a mixer right after an attention is that block's MLP (some have a convolution
 * inside). Additions before the first one belong to the embedding. Where nothing mixes tokens in a way that is known,
 * each addition is a block.
 */
function grouped(all: readonly Parts[]): readonly Group[] {
  const groups: [Parts, ...Parts[]][] = [];
  for (const parts of all) {
    const group = groups.at(-1);
    const isLoneAttention = group?.length === 1 && group[0].attention !== undefined;
    const begins = parts.attention ? !parts.cross || !group : parts.mixer && !isLoneAttention;
    if (begins) groups.push([parts]);
    else group?.push(parts);
  }
  return groups.length > 0 ? groups : all.map((parts) => [parts]);
}

function blockOf(flow: Flow, group: Group, block: number, gaps: Gap[]): Block {
  const [head, ...rest] = group;
  const tail = rest.at(-1) ?? head;
  const attention = first(group, ({ attention }) => attention);
  const mlp = first(group, ({ mlp }) => mlp);
  const note = (part: string, why: string) => gaps.push({ part, block, why });
  if (group.some(({ cross }) => cross)) note('cross-attention', 'it looks at states that are not the tokens shown');
  if (!attention) note('attention', attentionObstacle(group.flatMap(nodesOf)));
  if (!mlp) {
    const branch = first(group, ({ mlpBranch }) => mlpBranch);
    note('MLP intermediate', branch === undefined ? 'it has no branch besides attention' : mlpObstacle(flow, branch));
  }
  const factor = mlp?.factor ?? 1;
  if (factor !== 1)
    note(
      'scale of the MLP intermediate',
      `its last product also multiplies by ${factor}, which may belong to the activation`,
    );
  return {
    residPost: tail.step.to,
    residMid: rest.length > 0 ? head.step.to : undefined,
    attention,
    mlpIntermediate: mlp?.intermediate,
  };
}

/** Extent of the residual stream: declared, or what the branches' products give back to it. */
function hiddenSize(flow: Flow, { from, steps }: ResidualStream, parts: readonly Parts[]): number | undefined {
  const points = [from, ...steps.map(({ to }) => to)];
  const terms = parts.flatMap(({ terms }) => terms);
  return (
    first(points, (point) => declaredExtents(flow, point)?.at(-1)) ??
    first(terms, ({ output }) => lastProduct(flow, output)?.columns)
  );
}

function first<T, R>(items: readonly T[], select: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const result = select(item);
    if (result !== undefined) return result;
  }
  return undefined;
}
