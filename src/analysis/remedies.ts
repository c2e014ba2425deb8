/** What a person can do about a problem, beside what its sentence says. */
import type { Problem, ProblemCode } from '../errors.js';

/** Commands of the extension, by their names in it. */
export const remedyNames = ['chooseModel', 'analyzeIds', 'showLog'] as const;
export type Remedy = (typeof remedyNames)[number];

/** Problems that another model may not have. */
const ofTheModel: ReadonlySet<ProblemCode> = new Set([
  'file',
  'external-data',
  'graph',
  'not-a-transformer',
  'tokenizer',
  'runtime',
]);

/** What helps, the likeliest first; nothing where the sentence says it all. */
export function remediesFor({ code }: Pick<Problem, 'code'>): Remedy[] {
  if (code === 'cancelled' || code === 'input' || code === 'too-long') return [];
  return [
    ...(ofTheModel.has(code) ? (['chooseModel'] as const) : []),
    ...(code === 'tokenizer' ? (['analyzeIds'] as const) : []),
    'showLog',
  ];
}
