/** A call from outside, to its answer in words. */
import { SinkscopeError, toProblem } from '../errors.js';
import type { Progress } from '../experiments/experiment.js';
import type { Desk } from './desk.js';
import { readGiven } from './given.js';
import type { Tool } from './tool.js';
import { failureInWords, inWords, rowsInWords } from './words.js';

/**
 * Calls a tool when those called before have ended, and returns its answer as Markdown.
 *
 * @param args as they came
 * @throws SinkscopeError where they do not fit, and with what the tool throws, in a message for the one that called
 */
export async function* call(
  desk: Desk,
  tool: Tool,
  args: unknown,
  signal: AbortSignal,
): AsyncGenerator<Progress, string, void> {
  const end = await desk.inTurn();
  try {
    if (signal.aborted) throw new SinkscopeError({ code: 'cancelled', message: 'The call was stopped.' });
    const given = await readGiven(tool.inputs, args, { ...desk.around, engine: desk.engine });
    const { presentation, analysed, from, next } = yield* tool.run(desk, given, signal);
    if (from) return rowsInWords(presentation, from);
    const id = desk.keep({ presentation, analysed });
    return [inWords(presentation, id), ...(next === undefined ? [] : [next.replaceAll('RESULT', id)])].join('\n\n');
  } catch (error) {
    const problem = toProblem(error);
    throw new SinkscopeError({ ...problem, message: failureInWords(problem.message) }, { cause: error });
  } finally {
    end();
  }
}
