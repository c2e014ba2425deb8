/** The additions of a residual stream as blocks: where one begins, and what is shown of it. */
import { isTwiceGelu } from '../onnx/factors.js';
import type { Block, Routing } from './anatomy.js';
import { addAlike, type Behind, behindBlocks, crossingLead, type Injection, injectionBefore } from './ends.js';
import { routingOf } from './experts/routing.js';
import { downstream, type Flow, stripped } from './flow.js';
import { mixedKeys } from './keys.js';
import { operatorName } from './ops.js';
import { rearranging } from './partial.js';
import { first, isMlp, keysOf, type Mlp, nodesOf, type StepParts, stepPartsOf } from './parts.js';
import { addsTo, through, unscaled } from './points.js';
import { endedLike, type ResidualStream } from './residual.js';
import { picksRows } from './rows.js';
import { attentionObstacle, type Gap, mlpObstacle } from './words.js';

/** The additions of a block. */
export type Group = readonly [StepParts, ...StepParts[]];

/** A stream as blocks, and what it is made of. */
export interface Blocks {
  /** Its last point is like that of the block before. */
  readonly stream: ResidualStream;
  readonly parts: readonly StepParts[];
  readonly groups: readonly Group[];
  /** Where the first block begins by adding to h_0 as the others do. */
  readonly injection: Injection | undefined;
  /** What follows the last block as its additions do, and is none of it. */
  readonly behind: Behind | undefined;
  /** MLPs of each block behind what mixes its tokens, where blocks are not alike in that. */
  readonly unlike: readonly number[] | undefined;
  /** Those that end in a convolution with neighbours, where the last does not: it may stand between blocks. */
  readonly convolvedAfter: readonly number[];
  /** The operators in which other blocks end, where the last does not. */
  readonly endsUnlike: readonly string[] | undefined;
}

export function blocksOf(flow: Flow, found: ResidualStream): Blocks {
  const inStream = downstream(flow, found.from);
  const parts = found.steps.map((step) => stepPartsOf(flow, step, inStream, found.copies.size > 0));
  const starts = startsOf(flow, parts);
  const start = starts.at(-1) ?? 0;
  const like = starts.length > 1 ? parts[start - 1] : undefined;
  const behind = behindBlocks(
    starts.map((from, index) =>
      parts
        .slice(from, starts[index + 1])
        .map(kindOf)
        .join(''),
    ),
    found.steps.slice(start),
    (like ?? parts.at(start))?.step,
  );
  const kept = parts.slice(0, parts.length - (behind?.additions ?? 0));
  const steps = found.steps.slice(0, kept.length);
  const end = behind && !like ? parts.at(start) : like;
  const last = steps.at(-1);
  const follows = end?.step.ending ?? [];
  const changes = follows.some((op) => !rearranging.has(op) && op !== 'Concat');
  const endsUnlike = last !== undefined && changes && through(flow, last.sum, follows) === undefined;
  const stream = endedLike(flow, { ...found, steps, to: steps.at(-1)?.to ?? found.to }, end?.step);
  const ended = kept.map((each, index): StepParts => ({ ...each, step: stream.steps[index] ?? each.step }));
  const groups = starts.flatMap((start, index): Group[] => {
    const [head, ...rest] = ended.slice(start, starts[index + 1]);
    return head ? [[head, ...rest]] : [];
  });
  return {
    stream,
    parts: ended,
    groups,
    injection: injectionOf(flow, stream, starts),
    behind,
    unlike: unlikeIn(groups),
    convolvedAfter: convolvedAfter(groups),
    endsUnlike: endsUnlike ? follows : undefined,
  };
}

/** Blocks, by number, whose last addition only sees neighbours behind an MLP (positions, as in Twins), unlike the last one's. */
function convolvedAfter(groups: readonly Group[]): readonly number[] {
  const ends = groups.map((group) => group.at(-1)?.convolves === true && group.slice(0, -1).some(({ mlp }) => mlp));
  return ends.at(-1) === true ? [] : ends.flatMap((convolves, index) => (convolves ? [index + 1] : []));
}

/**
 * Additions behind the first of each block, where blocks other than the last have different numbers of them, as where a
 * model's layers are a mixer or an MLP alone; one addition of several terms has its MLP beside the mixer. Copies of the
 * stream are mixed by additions of their own.
 */
function unlikeIn(groups: readonly Group[]): readonly number[] | undefined {
  if (groups.flat().some((parts) => kindOf(parts) === 'p')) return undefined;
  const counts = groups.map((group) => {
    const [{ terms }] = group;
    const behind = group.filter((parts) => kindOf(parts) === 'm').length;
    return behind === 0 && terms.length > 1 ? 1 : behind;
  });
  return new Set(counts.slice(0, -1)).size > 1 ? counts : undefined;
}

function injectionOf(flow: Flow, { steps }: ResidualStream, starts: readonly number[]): Injection | undefined {
  const [first = 0, ...later] = starts;
  const head = steps[first];
  const others = later.flatMap((start) => steps[start] ?? []);
  return head && injectionBefore(flow, steps[first - 1], head, others);
}

/**
 * Where blocks begin: at each attention or other mixer, except that attention to an encoder's states belongs to the
 * block before (or to the one behind, see {@link crossingLead}), and a convolution right after an attention is that block's MLP; or a few
 * additions before each attention, see {@link leadOf}. Additions before the first block belong to the embedding. Where
 * nothing mixes tokens in a way that is known, each addition is a block.
 */
function startsOf(flow: Flow, parts: readonly StepParts[]): number[] {
  const starts: number[] = [];
  const kinds = parts.map(kindOf).join('');
  const crossing = crossingLead(kinds);
  const lead = crossing.length || leadOf(flow, parts);
  for (const [index, { attention, cross, mixer, convolves }] of parts.entries()) {
    const start = starts.at(-1);
    if (lead > 0) {
      const isLed = crossing === '' || kinds.slice(0, index).endsWith(crossing);
      if (attention && !cross) starts.push(isLed ? index - lead : index);
      continue;
    }
    const isMlp = convolves && start === index - 1 && parts[start]?.attention !== undefined;
    if (attention ? !cross || start === undefined : mixer && !isMlp) starts.push(index);
  }
  // Copies are mixed before the first block too, which is an addition where they are not alike.
  if (lead === 0 && starts.length > 0 && parts[0]?.apart) starts[0] = 0;
  return starts.length > 0 ? starts : [...parts.keys()];
}

const kindOf = ({ attention, cross, mixer, copies, apart }: StepParts): string =>
  attention ? (cross ? 'x' : 'a') : copies || apart ? 'p' : mixer ? 'c' : 'm';

/**
 * Additions with which a block begins before it attends (half an MLP in a Conformer, a mix of copies of the stream in
 * AltUp, a convolution that is followed by no MLP of its own): what lies between two attentions is then the end of a block and the beginning of the next, and as much
 * stands before the first and after the last.
 */
function leadOf(flow: Flow, parts: readonly StepParts[]): number {
  const kinds = parts.map(kindOf).join('');
  const [before = '', ...after] = kinds.split('a');
  const end = after.at(-1);
  const [between = '', ...others] = after.slice(0, -1);
  if (end === undefined || others.some((other) => other !== between)) return 0;
  const opens = (start: number) =>
    parts[start]?.copies === true || parts[start]?.apart === true || isMlp(flow, parts[start]);
  if (after.length === 1) {
    // With one block only its two MLPs can tell, which are alike.
    const width = parts.at(-1)?.mlp?.rows;
    const alike = width !== undefined && width === parts[0]?.mlp?.rows;
    return before.length === 1 && end !== '' && opens(0) && (parts[0]?.copies || alike) ? 1 : 0;
  }
  const lead = between.startsWith(end) ? between.slice(ownLength(parts, between, end)) : '';
  const start = before.length - lead.length;
  const onlyConvolves = parts.slice(start, before.length).every(({ convolves }) => convolves);
  const [own, other] = [parts[start], parts[before.length + 1 + between.length - lead.length]];
  const isAlike = /^m+$/.test(lead) && own && other && addAlike(flow, own.step, other.step);
  return lead !== '' && before.endsWith(lead) && (opens(start) || onlyConvolves || isAlike) ? lead.length : 0;
}

/**
 * How many additions follow the attention of its block, of those between two attentions: as many as follow the last one,
 * or, where something like the beginning of a block follows the last block (an adapter's half MLP), up to the only one
 * after which the stream itself is normed.
 */
function ownLength(parts: readonly StepParts[], between: string, end: string): number {
  if (between !== end) return end.length;
  const attending = parts.flatMap(({ attention }, index) => (attention ? [index] : []));
  const isNormed = (index: number) => parts[index]?.step.ending?.some((op) => op.endsWith('Normalization')) === true;
  const closing = [...between].flatMap((_, at) =>
    attending.every((index) => isNormed(index + 1 + at)) ? [at + 1] : [],
  );
  const isAttentionNormed = attending.some(isNormed);
  return closing.length === 1 && !isAttentionNormed ? (closing[0] ?? end.length) : end.length;
}

/**
 * The MLP that is shown of a block: the first after its attention, else beside it, else before; or what follows the
 * attention and has a convolution inside.
 */
export function mlpOf(group: Group): Mlp | undefined {
  const at = Math.max(
    0,
    group.findIndex(({ attention }) => attention !== undefined),
  );
  const after = group.slice(at + 1);
  return (
    first([...after, ...group.slice(at, at + 1), ...group], ({ mlp }) => mlp) ?? first(after, ({ mixing }) => mixing)
  );
}

/** Attention and MLP read the same residual. */
export const isParallel = (group: Group): boolean =>
  group.some(({ attention, mlp, mlpBranch }) => attention !== undefined && (mlp ?? mlpBranch) !== undefined) &&
  !group.some(({ attention, mlp }) => attention === undefined && mlp !== undefined);

/** At most an attention and, beside or after it, an MLP, each added as it is. */
function isAdditive(flow: Flow, group: Group): boolean {
  const [head, ...rest] = group;
  const isOne = rest.length === 0 || (rest.length === 1 && head.attention !== undefined && !isParallel(group));
  const adds = ({ terms, step: { node, skip, from, ending, branches } }: StepParts) =>
    addsTo(flow, node, skip) &&
    (terms.length === branches.length || branches.every(({ output }) => unscaled(flow, output) === output)) &&
    stripped(flow, skip) === stripped(flow, from) &&
    ending?.every((op) => ['Add', 'Cast', 'Identity', 'Reshape', 'Squeeze', 'Unsqueeze'].includes(op)) === true;
  return isOne && group.every((parts) => adds(parts) && !parts.copies && !parts.apart);
}

/** What is shown of a block; what is not found in it goes to `gaps`. */
export function blockOf(flow: Flow, group: Group, block: number, gaps: Gap[]): Block {
  const [head, ...rest] = group;
  const tail = rest.at(-1) ?? head;
  const own = (parts: StepParts) => (parts.cross ? undefined : parts.attention);
  const attention = first(group, own);
  const attending = group.find((parts) => own(parts) !== undefined) ?? head;
  const mlp = mlpOf(group);
  const note = (part: string, why: string) => gaps.push({ part, block, why });
  const crossing = first(group, (parts) => (parts.cross ? parts.attention : undefined));
  if (!attention)
    note('attention', crossing ? 'it looks at other states alone' : attentionObstacle(group.flatMap(nodesOf)));
  if (attention && attention.weighting !== 'softmax')
    note('softmax', 'attention weights come from something else, so that a query’s need not add up to 1');
  const mixed = attention && mixedKeys(flow, keysOf(attention), new Set(nodesOf(attending)));
  if (mixed) note('attention pattern over tokens', mixed);
  const patterns = group.flatMap(({ terms }) => terms.filter(({ attention }) => attention !== undefined));
  const shown = [attention, crossing].filter((one) => one !== undefined).length;
  const further = patterns.reduce((sum, { further }) => sum + 1 + further, -shown);
  if (further > 0) note('attention patterns', `it has ${further} more than what is shown`);
  if (!mlp) {
    const branch = first(group, ({ mlpBranch }) => mlpBranch);
    note('MLP intermediate', branch === undefined ? 'it has no branch besides attention' : mlpObstacle(flow, branch));
  }
  const [mlpBranch, ...furtherBranches] = group.flatMap((parts) => parts.mlpBranch ?? []);
  const others = group.filter((parts) => parts.mlp && parts.mlp !== mlp && !parts.apart && isMlp(flow, parts));
  if (others.length > 0) note('a further MLP', 'the one that follows the attention is shown, or else the first');
  const picks = picksRows(flow, head.step.skip);
  if (picks)
    note(
      'a row of each token',
      `only tokens that its ${operatorName(picks)} picks, by what is computed of them, go through it (as in a mixture of depths)`,
    );
  const factor = mlp?.factor ?? 1;
  if (factor !== 1)
    note(
      'scale of the MLP intermediate',
      `its last product also multiplies by ${factor}, which may belong to the activation`,
    );
  else if (mlp && isTwiceGelu(flow.model.graph, { get: flow.producer }, mlp.intermediate))
    note(
      'scale of the MLP intermediate',
      'the half of its GELU lies in the weights behind it, so that it is twice as large',
    );
  return {
    residPost: tail.step.to,
    residMid: rest.length > 0 ? (attending === tail ? head : attending).step.to : undefined,
    attention,
    cross: crossing,
    mlpIntermediate: mlp?.intermediate,
    mlpOutput: furtherBranches.length === 0 ? mlpBranch?.output : undefined,
    routing: routingIn(flow, group, note),
    additive: isAdditive(flow, group),
    mixedKeys: mixed !== undefined,
  };
}

/** The routing of the one branch of a block that has experts. */
function routingIn(flow: Flow, group: Group, note: (part: string, why: string) => void): Routing | undefined {
  const found = group.flatMap(({ step, terms }) =>
    terms.flatMap((term) => (term.attention ? [] : (routingOf(flow, step.skip, term) ?? []))),
  );
  const [only, ...others] = found;
  if (only === undefined) return undefined;
  const why = others.length > 0 ? `it has ${found.length} branches that choose experts` : 'why' in only ? only.why : '';
  if ('why' in only || why !== '') {
    note('routing', why);
    return undefined;
  }
  if (only.shared && mlpOf(group)) note('MLP intermediate', 'the one that is shown is that of the shared expert');
  if (only.writtenOutFor !== undefined)
    note(
      'a loop over any number of experts',
      `it was written out for the ${only.writtenOutFor} that a text used when the file was made, and the file fails on texts that use another number`,
    );
  if (!only.intermediate)
    note(
      'intermediates of the chosen experts',
      'operator' in only.from
        ? 'they stay inside its operator'
        : 'each expert has its own, of the tokens that are sent to it',
    );
  return only;
}
