/** Results that `--save` writes. */
import { resolve } from 'node:path';
import { checkTarget, saveText } from '../saving.js';
import { jsonOf } from '../visible.js';

/**
 * Looks before a run whether its result can be written, so that it is not run for nothing.
 *
 * @throws SinkscopeError `save` that says what is in the way
 */
export async function checkSaves(path: string | undefined): Promise<void> {
  if (path !== undefined) await checkTarget(resolve(path));
}

/**
 * Writes a value as JSON, whole or not at all; nothing without a path.
 *
 * @throws SinkscopeError `save`
 */
export async function saveJson(path: string | undefined, value: unknown): Promise<void> {
  if (path !== undefined) await saveText(resolve(path), `${jsonOf(value, 1)}\n`);
}
