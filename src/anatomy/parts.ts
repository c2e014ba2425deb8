/** What the branches of one addition to a residual stream are. */
import { floatAttribute, intsAttribute } from '../onnx/model.js';
import type { Branch } from './addition.js';
import type { Attention } from './anatomy.js';
import { attentionOf, type Joined } from './attention.js';
import { isChoice } from './experts/labels.js';
import { between, type Flow, stripped } from './flow.js';
import { inputAs } from './operators/table.js';
import { factors, isConvolution, isMixer, isSum } from './ops.js';
import { unscaled } from './points.js';
import { branchProduct, weightProduct } from './products.js';
import { isRecurrent } from './recurrences.js';
import type { Step } from './residual.js';
import { isStack } from './sites.js';

/** A branch, and the attention in it. */
interface Term extends Branch {
  readonly attention: Attention | undefined;
  /** Patterns of it that are no heads of this attention. */
  readonly further: number;
  /** What one product takes back to the stream together with this attention. */
  readonly beside: Joined | undefined;
}

/** What the last product of a branch multiplies, the elements of its vectors, and a factor in the product. */
export interface Mlp {
  readonly intermediate: string;
  readonly rows: number | undefined;
  readonly factor: number;
}

/** What the branches of one addition are. */
export interface StepParts {
  readonly step: Step;
  readonly terms: readonly Term[];
  readonly attention: Attention | undefined;
  /** The attention looks at something else than the residual stream, e.g. at an encoder's states. */
  readonly cross: boolean;
  /** Moves information between tokens by other means. */
  readonly mixer: boolean;
  /** Sees tokens near by, in a convolution, and has no other part. */
  readonly convolves: boolean;
  /** Mixes copies of the stream that are kept side by side, token by token. */
  readonly copies: boolean;
  /** Copies of the stream stand beside it as values of their own. */
  readonly apart: boolean;
  readonly mlp: Mlp | undefined;
  /** The same of the one branch that mixes tokens: it is an MLP where it takes the place of one. */
  readonly mixing: Mlp | undefined;
  /** The first branch that is neither attention nor another mixer. */
  readonly mlpBranch: Branch | undefined;
}

export function stepPartsOf(flow: Flow, step: Step, stream: ReadonlySet<string>, apart: boolean): StepParts {
  const terms = step.branches.flatMap((branch) => termsOf(flow, step.skip, branch));
  const others = terms.filter(({ attention }) => attention === undefined);
  const copies = others.some((term) => mixesCopies(flow, step.skip, term));
  const plain = others.filter((term) => copies || !mixesTokens(flow, term));
  const [mlpBranch] = plain;
  const [mixer] = others.filter((term) => !plain.includes(term));
  const attention = first(terms, ({ attention }) => attention);
  const beside = first(terms, ({ beside }) => beside);
  return {
    step,
    terms,
    attention,
    cross: attention !== undefined && !stream.has(keysOf(attention)),
    mixer: plain.length < others.length,
    convolves: others.length > 0 && others.every((term) => convolves(flow, term)),
    copies,
    apart,
    mlp:
      plain.length === 1 ? mlpIn(flow, mlpBranch) : plain.length === 0 && beside ? besideOf(flow, beside) : undefined,
    mixing: others.length === 1 ? mlpIn(flow, mixer) : undefined,
    mlpBranch,
  };
}

function mlpIn(flow: Flow, branch: Branch | undefined): Mlp | undefined {
  const product = branch && branchProduct(flow, branch);
  if (!product) return undefined;
  return { intermediate: product.activation, rows: product.rows, factor: floatAttribute(product.node, 'alpha', 1) };
}

const besideOf = (flow: Flow, { value, width }: Joined): Mlp => {
  return { intermediate: stripped(flow, value), rows: width, factor: 1 };
};

export const nodesOf = ({ step }: StepParts) => step.branches.flatMap(({ nodes }) => [...nodes]);

/** What the keys come from: for an operator that takes none, what holds queries and keys in one. */
export function keysOf({ pattern, keys }: Attention): string {
  if ('tensor' in pattern) return keys ?? pattern.tensor;
  if ('parts' in pattern) return keys ?? pattern.parts[0]?.keys ?? pattern.parts[0]?.tensor ?? '';
  const given = (role: 'key' | 'query' | 'states') => inputAs(pattern.operator, role);
  return given('key') || given('query') || given('states');
}

/**
 * Moves information between tokens without attention, as a part of a block: a recurrence, a scan, or a product of two
 * activations as in linear attention. Experts are chosen by such products too, after a choice; a convolution without
 * any weight matrix only adds positions.
 */
function mixesTokens(flow: Flow, { nodes }: Branch): boolean {
  const all = [...nodes];
  if (all.some((node) => isMixer(node) && !isConvolution(node))) return true;
  if (!all.some(isChoice) && isRecurrent(flow, nodes)) return true;
  const isMoving = (factor: string) => !flow.isConstant(factor) && !isStack(flow, factor);
  const moves = all.some((node) => isConvolution(node) || factors(node)?.every(isMoving));
  return moves && !all.some(isChoice) && all.some((node) => weightProduct(flow, node) !== undefined);
}

const convolves = (flow: Flow, { nodes }: Branch): boolean =>
  [...nodes].some(isConvolution) &&
  !isRecurrent(flow, nodes) &&
  [...nodes].every((node) =>
    isMixer(node) ? isConvolution(node) : (factors(node)?.some((factor) => flow.isConstant(factor)) ?? true),
  );

/** The terms of h + (attention + mlp), which some exporters sum first, or of h + s · (attention + mlp); any other branch as it is. */
function termsOf(flow: Flow, skip: string, branch: Branch): readonly Term[] {
  const sited = (each: Branch): Term => {
    const found = attentionOf(flow, each);
    return { ...each, attention: found?.attention, further: found?.further ?? 0, beside: found?.beside };
  };
  const node = flow.producer(unscaled(flow, branch.output));
  const summed = node && isSum(node) ? flow.reads(node) : [];
  if (summed.length < 2) return [sited(branch)];
  const terms = summed.map((output) => sited({ output, nodes: between(flow, skip, output) ?? new Set() }));
  const attending = terms.filter(({ attention }) => attention !== undefined);
  return attending.length > 0 && attending.length < terms.length ? terms : [sited(branch)];
}

/**
 * Copies of the stream along its first axis, [copies, batch, tokens, D], are mixed by products with the stream itself,
 * turned so that the copies lie last: no token learns of another.
 */
function mixesCopies(flow: Flow, skip: string, { nodes }: Branch): boolean {
  return [...nodes].some((node) => {
    const states = factors(node)?.find((factor) => !flow.isConstant(factor)) ?? '';
    const turned = flow.producer(stripped(flow, states));
    const perm = turned?.op === 'Transpose' ? (intsAttribute(turned, 'perm') ?? []) : [];
    return perm.length > 3 && perm.at(-1) === 0 && stripped(flow, turned?.inputs[0] ?? '') === stripped(flow, skip);
  });
}
/** An MLP with an intermediate of its own, unlike a projection or a convolution that adds positions. */
export const isMlp = (flow: Flow, parts: StepParts | undefined): boolean =>
  parts?.mlp !== undefined && nodesOf(parts).filter((node) => weightProduct(flow, node) !== undefined).length > 1;

export function first<T, R>(items: readonly T[], select: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const result = select(item);
    if (result !== undefined) return result;
  }
  return undefined;
}
