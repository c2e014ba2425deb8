/** What a person can do about a problem, beside what its sentence says. */
import type { Problem, ProblemCode } from '../errors.js';

/** Commands of the extension, by their names in it. */
export const helpNames = ['chooseTokenizer', 'chooseModel', 'analyzeIds', 'showLog'] as const;
export type Help = (typeof helpNames)[number];

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
export function helpFor({ code }: Pick<Problem, 'code'>): Help[] {
  if (code === 'cancelled' || code === 'input' || code === 'too-long') return [];
  return [
    ...(code === 'tokenizer' ? (['chooseTokenizer'] as const) : []),
    ...(ofTheModel.has(code) ? (['chooseModel'] as const) : []),
    ...(code === 'tokenizer' ? (['analyzeIds'] as const) : []),
    'showLog',
  ];
}
