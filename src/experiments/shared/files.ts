/** Text files: one, or those of a folder. */
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fileReason, SinkscopeError } from '../../errors.js';
import type { NamedText } from '../values.js';

/** A text is held whole, and more often than once. */
const maxBytes = 256 * 2 ** 20;

/** @throws SinkscopeError `file` where it cannot be read or is larger than 256 MB, `input` where it is not UTF-8. */
export async function readText(path: string): Promise<string> {
  const file = resolve(path);
  let bytes: Buffer;
  try {
    bytes = await readBounded(file);
  } catch (error) {
    throw new SinkscopeError({ code: 'file', file, message: unreadable(file, error) }, { cause: error });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    const message = `${file} is not UTF-8 text; convert it first, or give a text file.`;
    throw new SinkscopeError({ code: 'input', file, message }, { cause: error });
  }
}

/** Bytes of a file, or of what a pipe gives until it ends: that has no size to look at before. */
async function readBounded(file: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of createReadStream(file) as AsyncIterable<Buffer>) {
    parts.push(part);
    bytes += part.length;
    if (bytes > maxBytes) throw new Error(`it has more than the ${maxBytes} bytes that are taken`);
  }
  return Buffer.concat(parts);
}

function unreadable(file: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return `${file} does not exist; give the path of a file that does.`;
  if (code === 'EISDIR') return `${file} is a folder; give a file in it.`;
  return `${file} could not be read: ${fileReason(error)}.`;
}

/**
 * The texts of files, and of the files in folders by name, read one after another. What a folder has beside files, and
 * links to them, is left alone: a pipe would be waited for, and a device has no end.
 *
 * @throws SinkscopeError as {@link readText}, and `input` for a folder without texts
 */
export async function* readTexts(paths: readonly string[]): AsyncGenerator<NamedText, void, void> {
  for (const path of paths) {
    for (const file of await filesAt(path)) yield { name: basename(file), file, text: await readText(file) };
  }
}

async function filesAt(path: string): Promise<string[]> {
  const entry = await stat(path).catch(() => undefined);
  if (!entry?.isDirectory()) return [path];
  const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    const file = resolve(path);
    throw new SinkscopeError({ code: 'file', file, message: unreadable(file, error) }, { cause: error });
  });
  const named = entries.filter(({ name }) => /\.(txt|md)$/i.test(name)).map(({ name }) => join(path, name));
  const isFile = await Promise.all(
    named.map((file) =>
      stat(file).then(
        (found) => found.isFile(),
        () => false,
      ),
    ),
  );
  const files = named.filter((_, i) => isFile[i]).sort();
  if (files.length > 0) return files;
  throw new SinkscopeError({
    code: 'input',
    file: resolve(path),
    message: `${resolve(path)} has no .txt or .md file.`,
  });
}
