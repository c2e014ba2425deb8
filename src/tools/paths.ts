/**
 * Which files a tool may open. An agent is steered by texts that anybody may have written, so that a path in a call is
 * no wish of the user's: only what lies in folders that the user has named is opened, and models that are known.
 */
import { realpath } from 'node:fs/promises';
import { isAbsolute, relative, resolve } from 'node:path';
import { fileReason, SinkscopeError } from '../errors.js';
import { named } from '../visible.js';

/** Characters of a path, as Linux has it. */
const longest = 4096;

/**
 * The path of a file or folder in one of `folders`; links are followed first, so that none leads out of them.
 *
 * @param path absolute, or from the first of the folders
 * @throws SinkscopeError `file` where it is in none of them, is not there, or is no path
 */
export async function pathWithin(path: string, folders: readonly string[]): Promise<string> {
  if (path.length > longest) {
    const message = `${named(path)} is longer than any path.`;
    throw new SinkscopeError({ code: 'file', message });
  }
  const [first] = folders;
  const file = first === undefined ? resolve(path) : resolve(first, path);
  const real = await Promise.all(folders.map((folder) => realpath(folder).catch(() => folder)));
  const outside = () =>
    new SinkscopeError({
      code: 'file',
      file,
      message:
        folders.length === 0
          ? `${file} is not opened: no folder is given to tools. Give a text itself, or the name of a bundled model.`
          : `${file} is not opened: tools read files in ${folders.join(', ')} alone.`,
    });
  // What lies elsewhere is not even looked for.
  if (![...folders, ...real].some((folder) => isWithin(file, folder))) throw outside();
  const target = await realpath(file).catch((error: unknown) => {
    const message = `${file} cannot be used: ${fileReason(error)}. Check that it is there and that you may use it.`;
    throw new SinkscopeError({ code: 'file', file, message }, { cause: error });
  });
  if (!real.some((folder) => isWithin(target, folder))) throw outside();
  return file;
}

function isWithin(file: string, folder: string): boolean {
  const path = relative(folder, file);
  return path === '' || (!/^\.\.(?:[\\/]|$)/.test(path) && !isAbsolute(path));
}
