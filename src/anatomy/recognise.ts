/** From a prepared graph to its anatomy. */
import { basename } from 'node:path';
import { SinkscopeError } from '../errors.js';
import type { Model, Node } from '../onnx/model.js';
import type { Anatomy, Missing } from './anatomy.js';
import { blockOf, blocksOf, isParallel, mlpOf } from './blocks.js';
import { declaredExtents } from './extents.js';
import { type Flow, flowOf, stripped } from './flow.js';
import { endOf, isPerToken, isVocabulary, tableRead } from './head.js';
import { recogniseInputs } from './inputs/inputs.js';
import { isPictureConvolution } from './ops.js';
import { first, nodesOf, type StepParts } from './parts.js';
import { patchOf } from './pictures.js';
import { branchProduct, weightProduct } from './products.js';
import { type ResidualStream, residualStreams, type Step } from './residual.js';
import { partsOf, rowsOfInputs, rowsOfTokens } from './rows.js';
import { turnsOf, type VectorAxes, vectorAxesOf, vectorsIn } from './vectors.js';
import {
  additionsBehind,
  blocksUnlike,
  convolutionAfter,
  endsUnlike,
  firstBlockUncertain,
  type Gap,
  headObstacle,
  laidOut,
  merged,
  otherChains,
} from './words.js';

/**
 * Finds residual points, blocks, attention, MLPs, final norm, unembedding and the meaning of the inputs.
 *
 * @param model flat, as `prepare` gives it.
 * @throws SinkscopeError `not-a-transformer` where there is no chain of residual additions; a part that is not found
 *   in a graph that has one is listed in `missing` instead.
 */
export function recognise(model: Model): Anatomy {
  const flow = flowOf(model);
  const [found] = residualStreams(flow);
  if (!found) throw notATransformer(model);
  return anatomyOf(flow, found);
}

/**
 * The anatomy of one residual stream of a graph, see {@link recognise}.
 *
 * @throws SinkscopeError `not-a-transformer`
 */
export function anatomyOf(flow: Flow, found: ResidualStream): Anatomy {
  const { model } = flow;
  const { stream, parts, groups, injection, behind, unlike, convolvedAfter, endsUnlike: ends } = blocksOf(flow, found);
  const end = isTransformer(parts) ? endOf(flow, stream.to) : undefined;
  if (!end) throw notATransformer(model);

  const gaps: Gap[] = [];
  const blocks = groups.map((group, index) => blockOf(flow, group, index + 1, gaps));
  const embedding = injection?.before ?? groups[0]?.[0].step.from ?? stream.from;
  const attention = first(blocks, ({ attention }) => attention);
  const { kvHeads, headDim } = attention ?? {};
  const { output, finalNorm, product, outputs } = end;
  const head = product && isPerToken(flow, stream.to, end) ? product : undefined;
  const { inputs, source, context, rows } = recogniseInputs(flow, { embedding, head, kvHeads, headDim });
  const isScores = product !== undefined && isVocabulary(flow, product, tableRead(flow, source), rows);
  const isRaw = outputs[0]?.made !== 'probabilities';
  const unembedding = isScores && isRaw ? { input: product.activation, logits: output } : undefined;

  const vectors = vectorAxesOf(flow, stream);
  const isFed = inputs.some(({ role }) => role === 'token-ids' || role === 'codes');
  const rowParts = isFed ? rowsOfTokens(flow, vectors, source, embedding) : rowsOfInputs(flow, embedding);
  const [given, ...more] = partsOf(flow, vectors, stream.to, product?.activation ?? output) ?? [];
  const headRows = given?.kind === 'tokens' && more.length === 0 && given.from > 0 ? given : undefined;
  const shown = [embedding, ...blocks.flatMap(vectorsIn), finalNorm?.output, unembedding?.input, unembedding?.logits];

  const missing = merged(gaps, blocks.length);
  if (stream.others.length > 0) missing.push(otherChains(stream.others));
  for (const part of halvesOf(flow, embedding)) missing.push(part);
  if (injection && !injection.isCertain) missing.push(firstBlockUncertain);
  if (behind) missing.push(additionsBehind(behind));
  const blocked = laidOut(model.graph.nodes);
  if (blocked) missing.push(blocked);
  if (unlike) missing.push(blocksUnlike(unlike, groups.flat().length));
  if (ends) missing.push(endsUnlike(ends));
  if (convolvedAfter.length > 0) missing.push(convolutionAfter(convolvedAfter, blocks.length));
  const isApart = stream.copies.size > 0;
  const copies = isApart || parts.some(({ copies }) => copies);
  if (copies)
    missing.push({
      part: 'further copies of the residual stream',
      why: `several are kept side by side and mixed in each block; the ${isApart ? 'one that a block computes with' : 'first of them'} is shown`,
    });
  if (!unembedding && (!product || isScores))
    missing.push({
      part: 'unembedding',
      why: product
        ? `the output ${output} is made probabilities by the graph, so the model has no output head`
        : headObstacle(output),
    });
  for (const input of inputs)
    if (input.role === 'unknown') missing.push({ part: `input ${input.name}`, why: input.how });

  return {
    layers: blocks.length,
    hidden: hiddenSize(flow, vectors, stream, parts),
    heads: attention?.heads,
    kvHeads,
    headDim,
    mlpHidden: first(groups, (group) => mlpOf(group)?.rows),
    vocabulary: rows ?? product?.columns,
    context,
    copies,
    rows: rowParts,
    headRows: headRows && { from: headRows.from, to: headRows.to },
    turns: turnsOf(vectors, shown),
    parallelBlock: groups.some(isParallel),
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
function isTransformer(parts: readonly StepParts[]): boolean {
  if (parts.some(({ attention }) => attention !== undefined)) return true;
  return parts.length > 1 && !parts.some((part) => nodesOf(part).some(isPictureConvolution));
}

export function notATransformer(model: Model): SinkscopeError {
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

/** Halves of a stream that begin alike, as reversible blocks have them. */
function halvesOf(flow: Flow, embedding: string): Missing[] {
  const made = flow.producer(embedding);
  const count = made?.op === 'Concat' && new Set(made.inputs).size === 1 ? made.inputs.length : 1;
  if (count === 1) return [];
  const why = `it begins as ${count} copies of one vector side by side, as the halves of reversible blocks do, and they are shown as one vector`;
  return [{ part: 'parts of the residual stream', why }];
}

/** Extent of the residual stream: declared, or what the branches' products give back to it. */
function hiddenSize(
  flow: Flow,
  vectors: VectorAxes,
  { from, steps }: ResidualStream,
  parts: readonly StepParts[],
): number | undefined {
  const points = [from, ...steps.map(({ to }) => to)];
  const terms = parts.flatMap(({ terms }) => terms);
  return (
    first(points, (point) => declaredExtents(flow, point)?.at(vectors.of(point)?.axis ?? -1)) ??
    first(terms, (term) => branchProduct(flow, term)?.columns) ??
    first(steps, (step) => rowsReading(flow, step))
  );
}

/** Rows of a weight that multiplies the stream itself, as a gate's does. */
function rowsReading(flow: Flow, { skip, branches }: Step): number | undefined {
  const nodes = branches.flatMap((branch) => [...branch.nodes]);
  const products = nodes.flatMap((node) => weightProduct(flow, node) ?? []);
  return products.find(({ activation }) => activation === stripped(flow, skip))?.rows;
}
