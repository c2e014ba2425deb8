/**
 * What fits the memory budget, and what follows from it. All rules about memory are here: what a run holds is
 * estimated, on the safe side, from the model's extents and the tokens that go through it.
 *
 * The budget is what may be held beside the block that runs. It goes to hidden states and carried values, to sessions
 * that stay, and to what the process itself takes.
 */
import type { Anatomy } from '../../anatomy/anatomy.js';
import { grouped, SinkscopeError } from '../../errors.js';

/** Hidden states that are alive in a block at once: residuals, normed, Q, K, V, what the runtime copies. */
const liveStates = 12;
/** MLP intermediates alive at once: gate, up, their product. */
const liveIntermediates = 4;
/** Attention maps alive at once: scores, masked, pattern, the fetched copy. */
const liveMaps = 4;
/** Copies of a part of the logits alive at once: the runtime's, the fetched one, their softmax and its copy. */
const liveLogits = 4;

/** Node.js and ONNX Runtime themselves. */
const processBytes = 100e6;
/** Few enough that their cost is not felt, enough that a run shows progress. */
const keptStages = 4;
/** Patterns that one stage may give back at once. */
const maxPatternBytes = 2 ** 28;
/** Patterns that may be alive at once in a stage that reduces them. */
const reducedPatternBytes = 2 ** 30;
/** The most logits that are held at once. */
const maxLogitBytes = 2 ** 26;
/**
 * Tokens of sequences that go through the blocks together, from which on more of them gain nothing: making a block's
 * session costs about what the block takes for 300 tokens.
 */
const enoughTokens = 2 ** 15;

/** Extents that count, where they are not known common ones. */
const widthOf = ({ hidden = 1024 }: Anatomy) => hidden;
const headsOf = ({ heads = 16 }: Anatomy) => heads;
const vocabularyOf = ({ vocabulary = 2 ** 16 }: Anatomy) => vocabulary;

/** Bytes of one hidden state of `tokens` tokens. */
export function stateBytes(anatomy: Anatomy, tokens: number): number {
  return 4 * tokens * widthOf(anatomy);
}

/**
 * That hidden states which have to be held all at once may be.
 *
 * @throws SinkscopeError `too-long`
 */
export function checkStates(bytes: number, memory: number): void {
  if (bytes <= memory) return;
  const megabytes = (count: number) => grouped(Math.ceil(count / 2 ** 20));
  throw new SinkscopeError({
    code: 'too-long',
    message: `The hidden states of these sequences take ${megabytes(bytes)} MB, more than the ${megabytes(memory)} MB that may be held; choose shorter or fewer ones, or allow more memory.`,
  });
}

/** Bytes that are left for what products gave, beside states that have to be held and two blocks, one there and one back. */
export function productRoom(anatomy: Anatomy, tokens: number, held: number, memory: number): number {
  return Math.max(0, memory - held - 2 * blockBytes(anatomy, tokens) - processBytes);
}

/** Bytes of one hidden state of `tokens` tokens that is reduced: a few numbers by token, and by dim. */
export function reducedBytes(anatomy: Anatomy, tokens: number): number {
  return 4 * (3 * tokens + 2 * widthOf(anatomy));
}

/** Bytes that running one block over `tokens` tokens takes beside its weights. */
export function blockBytes(anatomy: Anatomy, tokens: number): number {
  const hidden = widthOf(anatomy);
  const wide = anatomy.mlpHidden ?? 4 * hidden;
  const maps = liveMaps * headsOf(anatomy) * tokens;
  return 4 * tokens * (liveStates * hidden + liveIntermediates * wide + maps);
}

/** The most tokens whose run fits `memory` bytes, at least 1. */
export function tokensThatFit(anatomy: Anatomy, memory: number): number {
  let [low, high] = [1, 2 ** 22];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (blockBytes(anatomy, middle) <= memory) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Whether all hidden states may be held after the run, so that questions about it are answered at once. */
export function holdsStates(anatomy: Anatomy, tokens: number, memory: number): boolean {
  return (anatomy.layers + 1) * stateBytes(anatomy, tokens) + blockBytes(anatomy, tokens) <= memory;
}

/**
 * Whether all hidden states may be held with the keys and values of all tokens, twice while a block makes new ones of
 * them, and the rows of all patterns: what a text that is edited is run on from.
 */
export function holdsEdited(anatomy: Anatomy, tokens: number, memory: number): boolean {
  const patterns = 2 * anatomy.layers * headsOf(anatomy) * tokens * tokens;
  const states = (3 * anatomy.layers + 3) * stateBytes(anatomy, tokens);
  return states + patterns + blockBytes(anatomy, tokens) + processBytes <= memory;
}

/**
 * Rows of logits that are computed at once, at least 1: an eighth of the budget's, and no more than 64 MB.
 *
 * @param held how many models' logits of the same rows are there at once, as where they are compared
 */
export function logitRows(anatomy: Anatomy, memory: number, held = 1): number {
  return Math.max(1, Math.floor(Math.min(maxLogitBytes, memory / 8) / (4 * vocabularyOf(anatomy) * held)));
}

/** Whether so many output heads may be there at once, each as it is and packed, beside half of the budget. */
export function holdsHeads(anatomy: Anatomy, heads: number, memory: number): boolean {
  return 2 * heads * 4 * widthOf(anatomy) * vocabularyOf(anatomy) <= memory / 2;
}

/** A model, and what is to go through it. */
export interface Load {
  readonly anatomy: Anatomy;
  /** Of all weights. */
  readonly weightBytes: number;
  /** Of the longest sequence. */
  readonly tokens: number;
  /** Bytes. */
  readonly memory: number;
  /** Whether what is loaded for one sequence is used for others too. */
  readonly again: boolean;
  /** Stages that the blocks are cut into where sessions are kept; by default as few as show progress. */
  readonly stages?: number;
  /** Whether something is made elsewhere inside every block, which takes several sessions of each. */
  readonly inside?: boolean;
  /** Whether stages give attention patterns back. */
  readonly patterns?: boolean;
  /** Whether logits of all tokens are computed. */
  readonly logits?: boolean;
  /** Bytes that one sequence holds from stage to stage; by default its hidden state. */
  readonly held?: number;
}

/** How sequences go through a model. */
export interface Dial {
  /** Whether sessions are kept for the next sequences. */
  readonly keep: boolean;
  readonly blocksPerStage: number;
  /** How many sequences go through a stage before the next one is made. */
  readonly sequences: number;
}

/**
 * One block per stage for a first look and for a model that the budget cannot hold: results begin at once, and one
 * block is in memory. A few large stages, kept, for a model that is used again: nothing is loaded twice. Where
 * nothing can be kept, or there would be sessions by the block and an arena for each, as many sequences go through a
 * block together as there is room for, so that it is made once for all of them; else each goes for itself.
 */
export function chooseDial(load: Load): Dial {
  const { anatomy, tokens, again } = load;
  if (!again) return { keep: false, blocksPerStage: 1, sequences: 1 };
  if (load.inside || !fitsWhole(load)) return { keep: false, blocksPerStage: 1, sequences: sequencesTogether(load) };
  const patternBytes = 4 * headsOf(anatomy) * tokens * tokens;
  const patternsThatFit = load.patterns ? Math.max(1, Math.floor(maxPatternBytes / patternBytes)) : anatomy.layers;
  const blocksPerStage = Math.min(Math.ceil(anatomy.layers / keptStages), patternsThatFit);
  return { keep: true, blocksPerStage, sequences: 1 };
}

/** A kept session holds its weights, the copies it prepacks, and an arena that has grown to what a block needs. */
function fitsWhole(load: Load): boolean {
  const { anatomy, weightBytes, tokens, memory, stages = keptStages } = load;
  const kept = 2 * weightBytes + stages * blockBytes(anatomy, tokens);
  return kept + logitBytes(load) + heldBytes(load) + processBytes <= memory;
}

/**
 * The last blocks of stages that give statistics in the place of tensors: the first block by itself, so that results
 * begin early, then all others, or as many whose patterns have room.
 */
export function reducedEnds(anatomy: Anatomy, tokens: number, patterns: boolean): number[] {
  const { layers } = anatomy;
  const patternBytes = 4 * headsOf(anatomy) * tokens * tokens;
  const blocks = patterns ? Math.max(1, Math.floor(reducedPatternBytes / patternBytes)) : layers;
  const ends = [1];
  for (let end = 1 + blocks; end < layers; end += blocks) ends.push(end);
  return layers > 1 ? [...ends, layers] : ends;
}

/**
 * How many sequences fit that go through the blocks together, up to where more gain nothing. A block and the logits
 * are not computed at one time.
 */
export function sequencesTogether(load: Load): number {
  const { anatomy, tokens, memory } = load;
  const room = memory - Math.max(blockBytes(anatomy, tokens), logitBytes(load));
  return Math.max(1, Math.min(Math.floor(room / heldBytes(load)), Math.ceil(enoughTokens / tokens)));
}

const heldBytes = ({ anatomy, tokens, held = stateBytes(anatomy, tokens) }: Load) => held;

const logitBytes = ({ anatomy, memory, logits }: Load) =>
  logits ? liveLogits * 4 * logitRows(anatomy, memory) * vocabularyOf(anatomy) : 0;
