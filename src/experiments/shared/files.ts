/** Text files: one, or those of a folder. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { SinkscopeError } from '../../errors.js';
import type { NamedText } from '../values.js';

/** @throws SinkscopeError `file` where it cannot be read, `input` where it is not UTF-8. */
export async function readText(path: string): Promise<string> {
  const file = resolve(path);
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
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

function unreadable(file: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return `${file} does not exist; give the path of a file that does.`;
  if (code === 'EISDIR') return `${file} is a folder; give a file in it.`;
  return `${file} could not be read: ${error instanceof Error ? error.message : String(error)}.`;
}

/**
 * The texts of files, and of the files in folders by name, read one after another.
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
  const entries = await readdir(path, { withFileTypes: true });
  const names = entries
    .flatMap((one) => (!one.isDirectory() && /\.(txt|md)$/i.test(one.name) ? [one.name] : []))
    .sort();
  if (names.length > 0) return names.map((name) => join(path, name));
  throw new SinkscopeError({
    code: 'input',
    file: resolve(path),
    message: `${resolve(path)} has no .txt or .md file.`,
  });
}
