/** How far sequences are that go through the blocks together. */
import type { Anatomy } from '../../anatomy/anatomy.js';
import type { ProgressEvent } from '../contract/measure.js';
import type { Dial } from '../stages/memory.js';
import type { Stage } from '../stages/plan.js';

/**
 * Says, once for every stage that it is told of, where the sequences `from` to before `to` are. Those whose sessions
 * are kept go through few stages, each by itself: their results say it all.
 */
export function progressOf({ layers }: Anatomy, { keep }: Dial, from: number, to: number) {
  let reached = -1;
  return ({ first }: Stage): ProgressEvent[] => {
    if (keep || first <= reached) return [];
    reached = first;
    return [{ type: 'progress', from, to, done: Math.max(0, first - 1), of: layers }];
  };
}
