import { checkCausal, evictedShare } from '../../stages/windowed.js';
import { columnsOf } from '../../tensors/site.js';
import type { Answerer } from '../inside.js';

export const answerEvicted: Answerer<'evicted'> = async (run, { layer, windows }) => {
  const pattern = await run.pattern(layer);
  const columns = columnsOf(pattern);
  checkCausal(columns, run.loaded);
  return { shares: windows.map((kept) => evictedShare(pattern, columns, kept)) };
};
