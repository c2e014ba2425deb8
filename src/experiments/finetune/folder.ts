/** The folder that a fine-tuned model is written into. */
import { mkdir, readdir, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileReason, SinkscopeError } from '../../errors.js';
import { checkTarget } from '../../saving.js';

/** What is written into it, beside tokenizer and configuration. */
export const adapterFile = 'adapter_model.safetensors';
const written = [adapterFile, 'adapter_config.json', 'model.onnx', 'model.onnx.data'];

/**
 * Makes the folder, where it is not there.
 *
 * @param beside names of folders inside that are to come
 * @returns takes it away again where nothing was written into it
 * @throws SinkscopeError `save` where it cannot be written to, or holds a fine-tuned model: nothing is written over
 */
export async function makeFolder(folder: string, beside: readonly string[] = []): Promise<() => Promise<void>> {
  const refused = (why: string, cause?: unknown) =>
    new SinkscopeError({ code: 'save', file: folder, message: `${folder} cannot be written: ${why}.` }, { cause });
  const there = await stat(folder).catch(() => undefined);
  if (there && !there.isDirectory()) throw refused('it is not a folder; give the name of one');
  if (!there) {
    const parent = dirname(resolve(folder));
    if (!(await stat(parent).catch(() => undefined)))
      throw refused(`the folder ${parent} does not exist; make it first, or save elsewhere`);
    await mkdir(folder).catch((error: unknown) => {
      throw refused(`${fileReason(error)}; save elsewhere`, error);
    });
  }
  const taken = (await readdir(folder)).find((name) => written.includes(name) || beside.includes(basename(name)));
  if (taken !== undefined)
    throw refused(`it holds ${taken} already, and nothing is written over; give the name of a new folder`);
  await checkTarget(join(folder, adapterFile));
  return async () => {
    // One with files in it stays.
    if (!there) await rmdir(folder).catch(() => undefined);
  };
}
