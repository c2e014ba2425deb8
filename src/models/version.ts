/** Whether files are those that were looked at before. */
import { statSync } from 'node:fs';
import { fileReason, SinkscopeError } from '../errors.js';
import { modelFolder } from './folder.js';

/**
 * Tells whether what a model is made of has changed: its file, the `weights` beside it, and the tokenizer and
 * configuration that belong to it, also those that were not there before.
 *
 * @throws SinkscopeError `file` where the model cannot be found
 */
export function versionOf(file: string, weights: readonly string[]): string {
  try {
    if (!statSync(file, { throwIfNoEntry: false }))
      throw new SinkscopeError({ code: 'file', file, message: `${file} does not exist; choose another model.` });
  } catch (error) {
    if (SinkscopeError.is(error)) throw error;
    const message = `${file} cannot be opened: ${fileReason(error)}. Choose another model.`;
    throw new SinkscopeError({ code: 'file', file, message }, { cause: error });
  }
  const beside = Object.values(modelFolder(file)).filter((path) => path !== undefined);
  return [...new Set([file, ...weights, ...beside])].map(stampOf).join('\n');
}

/** Another one after every change of the file; what stands in the way where it cannot be looked at. */
export function stampOf(file: string): string {
  try {
    const { dev, ino, size, mtimeNs } = statSync(file, { bigint: true });
    return `${file} ${dev} ${ino} ${size} ${mtimeNs}`;
  } catch (error) {
    return `${file}: ${fileReason(error)}`;
  }
}
