import { type Answerer, checkIndex } from '../inside.js';

export const answerPattern: Answerer<'pattern'> = async (run, { layer, head, cross = false }) => {
  const { heads, queries, keys, values } = await run.pattern(layer, cross);
  checkIndex('head', head, 0, heads - 1);
  return { queries, keys, values: values.slice(head * queries * keys, (head + 1) * queries * keys) };
};
