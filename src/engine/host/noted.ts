/** How the engine's process ended, as a problem. */
import * as v from 'valibot';
import type { Problem } from '../../errors.js';
import { type Note, note } from '../guard/note.js';

/**
 * Why the process ended that nobody had asked to.
 *
 * @param cause what ended it: a signal, an exit code, or why it could not be started
 * @param said what its guard said, lines of notes; anything else in it is left out
 * @param output what the process wrote last, for the log
 */
export function endProblem(cause: string, said: string, output: string): Problem {
  const notes = said.split('\n').flatMap((line) => {
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), note), line);
    return parsed.success ? [parsed.output] : [];
  });
  const message = inWords(notes.at(-1), cause);
  return { code: 'crashed', message, detail: output === '' ? undefined : output };
}

function inWords(said: Note | undefined, cause: string): string {
  if (said?.kind === 'time') {
    const time = said.of === 'work' ? `${said.seconds} s of processor time` : `${said.seconds} s`;
    return `The engine process was ended: ${time} had gone by while ${said.what}, with no end in sight. Check the files, or try a shorter text; the next run starts afresh.`;
  }
  if (said?.kind === 'memory') {
    const [bytes, limit] = [said.bytes, said.limit].map((count) => `${(count / 2 ** 30).toFixed(1)} GB`);
    return `The engine process was ended: it held ${bytes} while ${said.what}, and may hold ${limit}. Try a shorter text or a smaller file, or raise the memory setting; the next run starts afresh.`;
  }
  const memory = cause === 'SIGKILL' ? ', most likely because memory ran out' : '';
  const at = said ? ` while ${said.what}` : '';
  return `The engine process ended unexpectedly (${cause})${at}${memory}. Check the files, or try a shorter text or a lower memory setting; the next run starts afresh.`;
}
