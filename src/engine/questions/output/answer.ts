import { floats } from '../../tensors/value.js';
import type { Answerer } from '../inside.js';

export const answerOutput: Answerer<'output'> = async (run) => {
  const last = await run.state(run.loaded.anatomy.layers);
  const value = run.head ? await run.head.all(run.values, false) : last;
  return { shape: value.dims, values: floats(value).slice() };
};
