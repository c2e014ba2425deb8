import { access, constants, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { SinkscopeError } from '../errors.js';

/**
 * Looks before a run whether its result can be written, so that it is not run for nothing.
 *
 * @throws SinkscopeError `save` that says what is in the way
 */
export async function checkTarget(path: string | undefined): Promise<void> {
  if (path === undefined) return;
  const file = resolve(path);
  const why = await obstacle(file);
  if (why !== undefined)
    throw new SinkscopeError({ code: 'save', file, message: `${file} cannot be written: ${why}.` });
}

async function obstacle(file: string): Promise<string | undefined> {
  const folder = dirname(file);
  const [own, parent] = await Promise.all([file, folder].map((path) => stat(path).catch(() => undefined)));
  if (own?.isDirectory()) return 'it is a folder; give the name of a file';
  if (!parent) return `the folder ${folder} does not exist; make it first, or save elsewhere`;
  if (!parent.isDirectory()) return `${folder} is not a folder; save elsewhere`;
  const writable = await access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
  return writable ? undefined : `the folder ${folder} may not be written to; save elsewhere`;
}

/**
 * Writes a value as JSON, whole or not at all; nothing without a path.
 *
 * @throws SinkscopeError `save`
 */
export async function saveJson(path: string | undefined, value: unknown): Promise<void> {
  if (path === undefined) return;
  const file = resolve(path);
  const partial = `${file}.${process.pid}.partial`;
  try {
    await writeFile(partial, `${JSON.stringify(value, undefined, 1)}\n`);
    await rename(partial, file);
  } catch (error) {
    // What cannot be written cannot always be looked at either; the first error is the one to tell.
    await rm(partial, { force: true }).catch(() => undefined);
    const cause = error instanceof Error ? error.message : String(error);
    throw new SinkscopeError(
      { code: 'save', file, message: `${file} could not be written: ${cause}.` },
      { cause: error },
    );
  }
}
