/** Questions about the inside of the run that finished last, for what is too big to stream: how they are asked and answered. */
import * as v from 'valibot';
import type { Sent } from '../../schemas.js';
import { questions } from '../questions/questions.js';

export { questions };

type Questions = typeof questions;
export type QuestionType = keyof Questions;
export type QuestionOf<T extends QuestionType> = Sent<Questions[T]['schema']>;
export type AnswerTo<T extends QuestionType> = Sent<Questions[T]['answer']>;
export type Question = QuestionOf<QuestionType>;

export const question = v.variant(
  'type',
  Object.values(questions).map(({ schema }) => schema),
);

/** What the tensors answer that lie beside a saved result, without model and text. */
export const savedQuestion = v.variant('type', [questions.magnitudes.schema, questions.pattern.schema]);
export type SavedQuestion = Sent<typeof savedQuestion>;

/** The types that views of the panel may ask. */
export type ViewQuestionType = {
  [T in QuestionType]: Questions[T]['fromWebview'] extends true ? T : never;
}[QuestionType];

export const viewQuestion = v.variant(
  'type',
  Object.values(questions)
    .filter((one) => one.fromWebview)
    .map(({ schema }) => schema),
);

const answers: { readonly [T in QuestionType]: { readonly answer: v.GenericSchema<unknown, AnswerTo<T>> } } = questions;

/** The schema of answers to a type of question. */
export function answerSchema<T extends QuestionType>(type: T): v.GenericSchema<unknown, AnswerTo<T>> {
  const { answer }: { readonly answer: v.GenericSchema<unknown, AnswerTo<T>> } = answers[type];
  return answer;
}
