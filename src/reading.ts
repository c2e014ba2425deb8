/** Text files that somebody else wrote, read as far as a limit. */
import { createReadStream } from 'node:fs';
import { basename, resolve } from 'node:path';
import { fileReason, SinkscopeError } from './errors.js';
import { named } from './visible.js';

/**
 * The text of a UTF-8 file, or of what a pipe gives until it ends.
 *
 * @param most bytes
 * @throws SinkscopeError `file` where it cannot be read or has more, `input` where it is not UTF-8
 */
export async function readUtf8(path: string, most: number): Promise<string> {
  const file = resolve(path);
  let bytes: Buffer;
  try {
    bytes = await readBounded(file, most);
  } catch (error) {
    throw new SinkscopeError({ code: 'file', file, message: unreadable(file, error) }, { cause: error });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw notUtf8(file, error);
  }
}

export function notUtf8(file: string, cause: unknown): SinkscopeError {
  const message = `${file} is not UTF-8 text; convert it first, or give a text file.`;
  return new SinkscopeError({ code: 'input', file, message }, { cause });
}

/** That a column of texts has to be named, `like` one of those that there are. */
export function unnamedColumn(file: string, columns: readonly string[], like: string): string {
  const example = `${basename(file)}#${named(like)}`;
  return `${file} has the columns ${columns.map(named).join(', ')}; name the one with the texts, as in ${example}.`;
}

/** Read to see how much there is: a pipe or a device has no size to look at before. */
async function readBounded(file: string, most: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of createReadStream(file) as AsyncIterable<Buffer>) {
    parts.push(part);
    bytes += part.length;
    if (bytes > most) throw new Error(`it has more than the ${most} bytes that are taken`);
  }
  return Buffer.concat(parts);
}

/** That a file or folder could not be read, with the cause in words. */
export function unreadable(file: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return `${file} does not exist; give the path of a file that does.`;
  if (code === 'EISDIR') return `${file} is a folder; give a file in it.`;
  return `${file} could not be read: ${fileReason(error)}.`;
}
