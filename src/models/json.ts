/** JSON and text files that somebody else wrote. */
import { readFileSync, statSync } from 'node:fs';
import * as v from 'valibot';
import { fileReason, type ProblemCode, SinkscopeError } from '../errors.js';

/** Fails with a sentence that begins with the file and goes on with the cause. */
const failing =
  (file: string, code: ProblemCode) =>
  (cause: string, error?: unknown): never => {
    const detail = error instanceof Error ? error.message : undefined;
    throw new SinkscopeError({ code, file, detail, message: `${file} ${cause}` }, { cause: error });
  };

/**
 * What is in a UTF-8 file that somebody else wrote: a regular file of at most `maxBytes`.
 *
 * @throws SinkscopeError of the given code, naming the file and the cause.
 */
export function readTextFile(file: string, maxBytes: number, code: ProblemCode): string {
  const fail = failing(file, code);
  try {
    // Before it is opened: reading a pipe or a device may never end.
    const stat = statSync(file);
    if (!stat.isFile()) return fail('is no regular file; replace it with the one the model was published with.');
    if (stat.size > maxBytes) {
      return fail(`is larger (${stat.size} bytes) than any such file should be (${maxBytes}); replace it.`);
    }
    // Some editors put a byte order mark first, which JSON does not allow.
    return readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    if (error instanceof SinkscopeError) throw error;
    return fail(`cannot be read: ${fileReason(error)}. Check that it exists and that you may read it.`, error);
  }
}

/**
 * The object in a JSON file that somebody else wrote: a regular file of at most `maxBytes`.
 *
 * @throws SinkscopeError of the given code, naming the file and the cause.
 */
export function readJson(file: string, maxBytes: number, code: ProblemCode): Record<string, unknown> {
  const fail = failing(file, code);
  const text = readTextFile(file, maxBytes, code);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return fail('is not valid JSON; download or export it again.', error);
  }
  return v.is(jsonObject, value) ? value : fail('holds no JSON object; download or export it again.');
}

/** Unlike `v.record`, none for arrays. */
export const jsonObject = v.custom<Record<string, unknown>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
);
