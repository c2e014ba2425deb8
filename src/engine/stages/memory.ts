/** What fits the memory budget. Estimates, on the safe side, of what a run holds beside the weights of a block. */
import type { Anatomy } from '../../anatomy/anatomy.js';

/** Hidden states that are alive in a block at once: residuals, normed, Q, K, V, what the runtime copies. */
const liveStates = 12;
/** MLP intermediates alive at once: gate, up, their product. */
const liveIntermediates = 4;
/** Attention maps alive at once: scores, masked, pattern, the fetched copy. */
const liveMaps = 4;

/** Bytes that running one block over `tokens` tokens takes beside its weights. */
export function blockBytes(anatomy: Anatomy, tokens: number): number {
  const hidden = anatomy.hidden ?? 1024;
  const wide = anatomy.mlpHidden ?? 4 * hidden;
  const heads = anatomy.heads ?? 16;
  return 4 * tokens * (liveStates * hidden + liveIntermediates * wide + liveMaps * heads * tokens);
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
  const states = 4 * (anatomy.layers + 1) * tokens * (anatomy.hidden ?? 1024);
  return states + blockBytes(anatomy, tokens) <= memory;
}

/** How the blocks are spread over stages. */
export interface Dial {
  /** Whether sessions are kept for the next run. */
  readonly keep: boolean;
  readonly blocksPerStage: number;
}

/**
 * One block per stage for a first look and for a model that the budget cannot hold: results begin at once and one
 * block is in memory. A few large stages, kept, for a model that is used again: nothing is loaded twice.
 */
export function chooseDial(
  anatomy: Anatomy,
  weightBytes: number,
  tokens: number,
  patterns: boolean,
  memory: number,
  usedBefore: boolean,
): Dial {
  // A kept session holds its weights, the copies it prepacks, and an arena that has grown to what a block needs.
  const kept = 2 * weightBytes + keptStages * blockBytes(anatomy, tokens) + processBytes;
  const keep = usedBefore && kept <= memory;
  if (!keep) return { keep, blocksPerStage: 1 };
  const patternBytes = 4 * (anatomy.heads ?? 16) * tokens * tokens;
  const patternsThatFit = patterns ? Math.max(1, Math.floor(maxPatternBytes / patternBytes)) : anatomy.layers;
  return { keep, blocksPerStage: Math.min(Math.ceil(anatomy.layers / keptStages), patternsThatFit) };
}

/** Node.js and ONNX Runtime themselves. */
const processBytes = 100e6;
/** Few enough that their cost is not felt, enough that a run shows progress. */
const keptStages = 4;
/** Patterns that one stage may give back at once. */
const maxPatternBytes = 2 ** 28;
