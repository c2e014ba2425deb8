/** Which tokens a prefix is made of that takes what stands out (PrefixQuant, arXiv:2410.05265). */
import { mean } from '../../statistics/numbers.js';

/** Windows, and which of their tokens stand out. */
export interface Calibrated {
  readonly calibration: readonly (readonly number[])[];
  /** By window and block, tokens whose largest magnitude at what the last product of its MLP reads stands out. */
  readonly calibrationOutliers: readonly (readonly (readonly number[])[])[];
  /** The token that every window begins with. */
  readonly prefix: number | undefined;
}

/** The most tokens that a prefix is made of. */
const mostTokens = 8;

/** Those that stand out in some block, in their order. */
export const outlierTokens = (blocks: readonly (readonly number[])[]) =>
  [...new Set(blocks.flat())].sort((a, b) => a - b);

/**
 * PrefixQuant's rule: as many tokens as stand out in a window of the block that has most of them, on average and rounded
 * up; the most frequent of those that do, and the first token last.
 */
export function prefixOf({ calibration, calibrationOutliers, prefix }: Calibrated) {
  const blocks = calibrationOutliers[0]?.length ?? 0;
  const counts = Array.from({ length: blocks }, (_, block) =>
    mean(calibrationOutliers.map((of) => of[block]?.length ?? 0)),
  );
  const count = Math.ceil(counts.reduce((most, value) => Math.max(most, value), 0));
  const frequency = new Map<number, number>();
  for (const [i, of] of calibrationOutliers.entries())
    for (const token of outlierTokens(of)) {
      const id = calibration[i]?.[token];
      if (id === undefined || (token === 0 && prefix !== undefined)) continue;
      frequency.set(id, (frequency.get(id) ?? 0) + 1);
    }
  const first = prefix === undefined ? [] : [prefix];
  const others = [...frequency].sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(([id]) => id);
  const wanted = Math.min(count, mostTokens) - first.length;
  return { lead: others.slice(0, Math.max(0, wanted)), count };
}
