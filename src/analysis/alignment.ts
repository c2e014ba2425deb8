/** Which tokens of one run are those of another: the same prompt with another prefix, after an edit, or mostly another. */
import { diffArrays } from 'diff';
import type { Token } from '../tokens/token.js';
import type { Analysis } from './analysis.js';

/** A token's index before, and that of the same token after. */
export type Pair = readonly [before: number, after: number];

/** Tokens that were put in or taken out, up to which texts are aligned in between; texts farther apart share nothing there. */
const farthest = 2048;

/**
 * Pairs of tokens that are the same in two runs, in ascending order: those of a longest common subsequence, found
 * between what both begin and end with. Tokens are the same where their texts are, where they have none their ids; what
 * is put before the text is the same whatever a model calls it.
 */
export function sameTokens(before: Analysis, after: Analysis): Pair[] {
  const [old, now] = [keysOf(before), keysOf(after)];
  const least = Math.min(old.length, now.length);
  let head = 0;
  while (head < least && old[head] === now[head]) head++;
  let tail = 0;
  while (tail < least - head && old[old.length - 1 - tail] === now[now.length - 1 - tail]) tail++;
  const between = commonBetween(old.slice(head, old.length - tail), now.slice(head, now.length - tail));
  return [
    ...Array.from({ length: head }, (_, i): Pair => [i, i]),
    ...between.map(([i, j]): Pair => [head + i, head + j]),
    ...Array.from({ length: tail }, (_, i): Pair => [old.length - tail + i, now.length - tail + i]),
  ];
}

function commonBetween(old: string[], now: string[]): Pair[] {
  const pairs: Pair[] = [];
  let [i, j] = [0, 0];
  for (const { count, added, removed } of diffArrays(old, now, { maxEditLength: farthest }) ?? []) {
    if (!added && !removed) for (let k = 0; k < count; k++) pairs.push([i + k, j + k]);
    if (!added) i += count;
    if (!removed) j += count;
  }
  return pairs;
}

const keysOf = ({ tokens }: Analysis) => (tokens?.tokens ?? []).map(keyOf);

function keyOf({ id, text, start, end, special }: Token, index: number): string {
  if (special && index === 0 && start === 0 && end === 0) return 'prefix';
  return text === '' ? `id ${id}` : `${special ? 'special' : 'text'} ${text}`;
}
