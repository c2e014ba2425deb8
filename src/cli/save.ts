import { rename, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { SinkscopeError } from '../errors.js';

/**
 * Writes a value as JSON, whole or not at all.
 *
 * @throws SinkscopeError `save`
 */
export async function saveJson(path: string, value: unknown): Promise<void> {
  const file = resolve(path);
  const partial = `${file}.${process.pid}.partial`;
  try {
    await writeFile(partial, `${JSON.stringify(value, undefined, 1)}\n`);
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    const cause = error instanceof Error ? error.message : String(error);
    throw new SinkscopeError(
      { code: 'save', file, message: `${file} could not be written: ${cause}.` },
      { cause: error },
    );
  }
}
