/** What was not found, in words: which part of which blocks, and which operator stood in the way. */
import { blockedDomain } from '../onnx/blocked.js';
import type { Node } from '../onnx/model.js';
import type { Branch } from './addition.js';
import type { Missing } from './anatomy.js';
import type { Behind } from './ends.js';
import { isChoice, isMixture } from './experts/labels.js';
import type { Flow } from './flow.js';
import { isFusedAttention } from './operators/table.js';
import { isMixer, operatorName } from './ops.js';
import { endings } from './products.js';

/** A part of one block that was looked for and not found. */
export interface Gap {
  readonly part: string;
  /** 1-based. */
  readonly block: number;
  readonly why: string;
}

/** One entry for all blocks that lack the same part for the same reason. */
export function merged(gaps: readonly Gap[], layers: number): Missing[] {
  const groups = new Map<string, { part: string; why: string; blocks: number[] }>();
  for (const { part, block, why } of gaps) {
    const key = JSON.stringify([part, why]);
    const group = groups.get(key) ?? { part, why, blocks: [] };
    group.blocks.push(block);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ part, why, blocks }) => ({ part: `${part} of ${named(blocks, layers)}`, why }));
}

function named(blocks: readonly number[], layers: number): string {
  if (blocks.length === layers) return layers === 1 ? 'the only block' : `all ${layers} blocks`;
  if (blocks.length === 1) return `block ${blocks[0]}`;
  const ranges: [first: number, last: number][] = [];
  for (const block of blocks) {
    const range = ranges.at(-1);
    if (range && range[1] === block - 1) range[1] = block;
    else ranges.push([block, block]);
  }
  return `blocks ${ranges.map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`)).join(', ')}`;
}

/** Why no attention was found among the nodes of a block's branches. */
export function attentionObstacle(nodes: Iterable<Node>): string {
  const all = [...nodes];
  const softmax = all.find(({ op }) => op === 'Softmax');
  if (softmax) return `its ${operatorName(softmax)} does not weigh values, as an attention's would`;
  const mixers = [...new Set(all.filter(isMixer).map(operatorName))];
  if (mixers.length > 0) return `its tokens are mixed by ${listed(mixers)}, which gives no pattern`;
  return 'it has neither a Softmax that weighs values nor an attention operator that is known';
}

/** Why a branch does not end in one product with a weight. */
export function mlpObstacle(flow: Flow, { output, nodes }: Branch): string {
  const router = [...nodes].find((node) => isChoice(node) || isMixture(node));
  if (router)
    return `it is a mixture of experts (${article(operatorName(router))} chooses them), which has no one intermediate`;
  const { products, obstacles } = endings(flow, output, { nodes });
  const stacked = obstacles.find(({ reason }) => reason === 'stacked');
  if (stacked)
    return `its last product, ${article(operatorName(stacked.node))}, has a stack of weights, as a mixture of experts has`;
  if (products.length > 1) return `its output is made of ${products.length} products with weights, not of one`;
  const hidden = obstacles.find(({ node }) => !isFusedAttention(node));
  if (hidden)
    return `${article(operatorName(hidden.node))} stands between its output and its last product with a weight`;
  return 'it ends in no product with a weight';
}

/** Residual streams beside the one that is shown, by their lengths in additions. */
export function otherChains(lengths: readonly number[]): Missing {
  const one = lengths.length === 1;
  return {
    part: one ? 'a further residual stream' : `${lengths.length} further residual streams`,
    why:
      `${one ? 'it has' : 'they have'} ${listed(lengths.map(String))} additions and ${one ? 'is a stage' : 'are stages'} of another width or with more rows, ` +
      'inside of blocks, behind a product that joins an earlier point (a long skip), or above what h_0 is made of by attention; ' +
      'only the stream that leads to the output, or the longest, is shown',
  };
}

/** Additions that follow the last block and are taken for the head's. */
export function additionsBehind({ additions, isCertain }: Behind): Missing {
  const what = additions === 1 ? 'an addition' : `${additions} additions`;
  return isCertain
    ? {
        part: 'a final norm that the unembedding reads',
        why: `between the last block and the unembedding the head makes ${what} as blocks do; h_L is what the last block leaves`,
      }
    : {
        part: 'where the last block ends, with certainty',
        why: `${what} that no other block has would follow, and is taken as the head’s: h_L is what stands before`,
      };
}

/** Where the last block ends, whose ending cannot be followed as that of the others is. */
export function endsUnlike(operators: readonly string[]): Missing {
  return {
    part: 'where the last block ends, with certainty',
    why: `the others end in ${listed([...new Set(operators)])}, which behind the last is not there as it is behind them: a part of it may lie in the weights that follow; the sum before it is shown`,
  };
}

/** What may be added by the first block or be a part of what the stream begins with. */
export const firstBlockUncertain: Missing = {
  part: 'where the first block begins, with certainty',
  why: 'other blocks, though not all in the same way, first add what is added before it too; where that can be taken off it is, and h_0 is without it',
};

/**
 * Blocks that may be several layers of the model's own.
 *
 * @param mlps how many each block has behind what mixes its tokens
 * @param additions of all blocks
 */
export function blocksUnlike(mlps: readonly number[], additions: number): Missing {
  const kinds = [...new Set(mlps)].sort((a, b) => a - b);
  const having = kinds.map((count) => {
    const blocks = mlps.flatMap((own, index) => (own === count ? [index + 1] : []));
    const verb = blocks.length === 1 ? 'has' : 'have';
    return `${named(blocks, mlps.length)} ${verb} ${count === 0 ? 'no MLP' : count === 1 ? 'one MLP' : `${count} MLPs`}`;
  });
  return {
    part: 'where blocks end, with certainty',
    why: `behind what mixes their tokens ${listed(having)}; a model that counts mixers and MLPs as layers of their own has ${additions} layers, of which a block here may be several`,
  };
}

/** Blocks that end in a convolution which may be none of theirs. */
export function convolutionAfter(blocks: readonly number[], layers: number): Missing {
  return {
    part: `where ${named(blocks, layers)} ${blocks.length === 1 ? 'ends' : 'end'}, with certainty`,
    why: 'behind the MLP a convolution over neighbours is added, as for positions, which the last block does not have; it may stand between two blocks, and is counted to the one before it: the point behind it is shown',
  };
}

/** What a file says of convolutions that were laid out when it was saved; undefined where it has none. */
export function laidOut(nodes: readonly Node[]): Missing | undefined {
  if (nodes.every(({ domain }) => domain !== blockedDomain)) return undefined;
  return {
    part: 'whether its numbers are right on this processor',
    why: `ONNX Runtime’s optimizer laid the weights of convolutions out for the processor that saved the file (${blockedDomain}, level all), and on another one they may be read wrongly; give the file from before that, or one that was saved at level extended`,
  };
}

/** That the output `name` has no product with a weight as its head. */
export const headObstacle = (name: string) =>
  `the output ${name} is no product with a weight, so the model has no output head`;

const article = (noun: string) => `${/^[aeiou]/i.test(noun) ? 'an' : 'a'} ${noun}`;

export const listed = (items: readonly string[]) =>
  items.length === 1 ? `${items[0]}` : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
