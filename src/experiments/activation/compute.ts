/** How much the parameters of each block matter for the prediction, and whether they are the same ones in another text. */
import { formatNumber, formatShare } from '../../analysis/format.js';
import type { Engine } from '../../engine/host/engine.js';
import { mean } from '../../statistics/numbers.js';
import type { Budget, Run } from '../experiment.js';
import { encode, follow } from '../shared/text.js';
import { type Pruning, pruneBlocks, pruningInWords, type Sparsity } from './prune.js';

/** Levels above which parameters are counted. */
export const thresholds = [1e-6, 1e-5, 1e-4] as const;

/** The threshold that sentences are about. */
const middle = 1;

export interface BlockActivation {
  /** 1-based. */
  readonly layer: number;
  readonly parameters: number;
  readonly mean: number;
  /** By threshold, the share of parameters above it. */
  readonly above: readonly number[];
  /** Of the same block on another text; undefined where there is none. */
  readonly similarity: number | undefined;
  /** Of the two halves of the text, and of one half with as many of the other text; undefined where there are not as many. */
  readonly within: number | undefined;
  readonly between: number | undefined;
}

export interface ActivationResult {
  readonly model: string;
  readonly length: number;
  readonly prefix: number | undefined;
  /** How many there were of the text, and of the other; undefined without one. */
  readonly sequences: number;
  readonly against: number | undefined;
  /** In the order of the model. */
  readonly blocks: readonly BlockActivation[];
  /** Why there are no blocks up to one. */
  readonly ended: { readonly layer: number; readonly why: string } | undefined;
  /** Undefined where nothing was pruned. */
  readonly pruning: Pruning | undefined;
}

export interface ActivationAsked extends Budget {
  readonly model: string;
  readonly text: string;
  readonly against: string | undefined;
  /** At most so many sequences of so many tokens, prefix counted. */
  readonly sequences: number;
  readonly length: number;
  readonly bos: boolean | undefined;
  /** Share of the blocks' parameters that is pruned, by their sparsity and uniformly; undefined: nothing is. */
  readonly prune: number | undefined;
}

/** @throws SinkscopeError `input` for a text without tokens or a model without a head, `too-long` above context or memory */
export async function* measureActivation(
  engine: Engine,
  asked: ActivationAsked,
  signal?: AbortSignal,
): Run<ActivationResult> {
  const { model, text, against, length, memory, threads } = asked;
  yield { phase: 'reading', done: 0, of: 1 };
  const own = await cut(engine, asked, text, 'The text', signal);
  const other = against === undefined ? undefined : await cut(engine, asked, against, 'The other text', signal);
  const blocks: BlockActivation[] = [];
  let ended: ActivationResult['ended'];
  const request = {
    model,
    sequences: own.sequences,
    ...(other && { against: other.sequences }),
    thresholds: [...thresholds],
    memory,
    threads,
  };
  for await (const event of follow(engine.run('activation', request, signal))) {
    if (event.type === 'progress') yield { phase: 'block', done: event.done, of: event.of };
    else if (event.type === 'ended') ended = { layer: event.layer, why: event.why };
    else {
      const { type: _, similarity, within, between, ...block } = event;
      blocks.unshift({ ...block, similarity, within, between });
      const layers = blocks.at(-1)?.layer ?? 1;
      yield { phase: 'block', done: 2 * layers - event.layer + 1, of: 2 * layers };
    }
  }
  const pruning =
    asked.prune === undefined || ended
      ? undefined
      : yield* pruneBlocks(
          engine,
          { ...asked, share: asked.prune, sequences: own.sequences },
          sparsities(blocks),
          signal,
        );
  return {
    model,
    length,
    prefix: own.prefix,
    sequences: own.sequences.length,
    against: other?.sequences.length,
    blocks,
    ended,
    pruning,
  };
}

/** The share of each block's parameters that is no higher than the threshold that sentences are about. */
const sparsities = (blocks: readonly BlockActivation[]): readonly Sparsity[] =>
  blocks.map(({ layer, parameters, above }) => ({ layer, parameters, sparsity: 1 - (above[middle] ?? 0) }));

/** Pieces of a text, each after the prefix token; a text of less than one is one. */
async function cut(engine: Engine, asked: ActivationAsked, text: string, called: string, signal?: AbortSignal) {
  const { model, sequences: most, length, bos } = asked;
  const options = { ...(bos !== undefined && { bos }), most: most * length, called, isPrompt: true };
  const { ids, prefix } = await encode(engine, model, text, options, signal);
  const head = prefix === undefined ? [] : [prefix];
  const piece = Math.max(1, length - head.length);
  const whole = Math.max(1, Math.min(most, Math.floor(ids.length / piece)));
  const sequences = Array.from({ length: whole }, (_, i) => [...head, ...ids.slice(i * piece, (i + 1) * piece)]);
  return { sequences, prefix };
}

/** Shares that are nearer to each other than this are hardly apart. */
const clear = 0.05;

/** What the paper found, each as what is so here, in a sentence. */
export function activationFindings({ blocks, against }: ActivationResult): readonly string[] {
  const third = Math.max(1, Math.floor(blocks.length / 3));
  const shareOf = (part: readonly BlockActivation[]) => mean(part.map(({ above }) => above[middle] ?? 0));
  const [shallow, deep] = [shareOf(blocks.slice(0, third)), shareOf(blocks.slice(-third))];
  const shares = `${formatShare(shallow)} of the parameters of the first ${third} of ${blocks.length} blocks have a level above 1e-5, ${formatShare(deep)} of the last ${third}`;
  const density =
    blocks.length < 2
      ? 'One block has no shallow and no deep part.'
      : shallow - deep >= clear
        ? `Dense in shallow blocks, sparse in deep ones, as in the paper: ${shares}.`
        : shallow > deep
          ? `That shallow blocks are dense and deep ones sparse hardly appears in this model: ${shares}.`
          : `That shallow blocks are dense and deep ones sparse does not appear in this model: ${shares}.`;
  if (against === undefined)
    return [
      density,
      'Whether shallow blocks are alike across domains, and deep ones follow meaning, needs another text (--against).',
    ];
  const alike = (part: readonly BlockActivation[]) => mean(part.flatMap(({ similarity }) => similarity ?? []));
  const [first, last] = [alike(blocks.slice(0, third)), alike(blocks.slice(-third))];
  const similarities = `the two texts’ similarity is ${formatNumber(first)} in the first ${third} blocks and ${formatNumber(last)} in the last ${third}`;
  return [
    density,
    first > last
      ? `Shallow blocks are more alike across the two texts than deep ones, as in the paper: ${similarities}.`
      : `That shallow blocks are more alike across texts than deep ones does not appear: ${similarities}.`,
    meaningFinding(blocks, third),
  ];
}

/** Whether what is nearer in meaning, two halves of one text, is more alike in deep blocks than the two texts are. */
function meaningFinding(blocks: readonly BlockActivation[], third: number): string {
  const nearer = (part: readonly BlockActivation[]) => {
    const own = part.flatMap(({ within }) => within ?? []);
    const other = part.flatMap(({ between }) => between ?? []);
    return { own: mean(own), other: mean(other), has: own.length > 0 };
  };
  const [shallow, deep] = [nearer(blocks.slice(0, third)), nearer(blocks.slice(-third))];
  if (!deep.has)
    return 'Whether deep similarity follows meaning, so few sequences cannot tell: give more of either text, for halves of one are nearer to each other in meaning.';
  const figures = `two halves of the text are alike by ${formatNumber(deep.own)} in the last ${third} blocks, one of them and as much of the other text by ${formatNumber(deep.other)}; in the first ${third} by ${formatNumber(shallow.own)} and ${formatNumber(shallow.other)}`;
  return deep.own > deep.other && deep.own / deep.other > shallow.own / shallow.other
    ? `Deep similarity follows meaning, as in the paper: ${figures}.`
    : `That deep similarity follows meaning does not appear: ${figures}.`;
}

/** That the way back ends, where it does. */
export const endedInWords = ({ layer, why }: NonNullable<ActivationResult['ended']>): string =>
  `There is nothing of block ${layer} and those before it: ${why}.`;

export function activationConclusion(result: ActivationResult): string {
  const { blocks, ended, pruning } = result;
  const end = ended ? [endedInWords(ended)] : [];
  const cut = pruning ? [pruningInWords(pruning)] : [];
  return [...(blocks.length > 0 ? activationFindings(result) : []), ...cut, ...end].join(' ');
}
