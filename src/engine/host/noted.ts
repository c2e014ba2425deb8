/** What the guard of the engine's process says, as a problem. */
import * as v from 'valibot';
import type { Problem } from '../../errors.js';
import { type Note, note } from '../guard/note.js';

/** @param text what came from the guard; undefined where that is nothing, or not whole */
export function noteProblem(text: string): Problem | undefined {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), note), text);
  return parsed.success ? { code: 'crashed', message: inWords(parsed.output) } : undefined;
}

function inWords(said: Note): string {
  if (said.kind === 'time') {
    return `The engine process was ended: ${said.seconds} s had gone by while ${said.what}, with no end in sight. Check the files, or try a shorter text; the next run starts afresh.`;
  }
  const [bytes, limit] = [said.bytes, said.limit].map((count) => `${(count / 2 ** 30).toFixed(1)} GB`);
  return `The engine process was ended: it held ${bytes} while ${said.what}, and may hold ${limit}. Try a shorter text or a smaller file, or raise the memory setting; the next run starts afresh.`;
}
