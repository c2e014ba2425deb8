import { statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { SinkscopeError } from '../errors.js';

/** The demo models lie beside the bundle's folder, one folder each. */
const bundled = join(__dirname, '..', 'media', 'models');

/**
 * Absolute path of the model somebody named: a file, or a bundled model.
 *
 * @throws SinkscopeError `file` that names the bundled models, where it is neither.
 */
export async function modelFile(name: string): Promise<string> {
  const path = resolve(name);
  if (isFile(path)) return path;
  const names = (await readdir(bundled).catch(() => [])).filter((entry) => isFile(modelOf(entry)));
  if (names.includes(name)) return modelOf(name);
  throw new SinkscopeError({
    code: 'file',
    file: path,
    message: `There is no file ${path} and no bundled model called "${name}"; give the path of a .onnx file, or one of: ${names.join(', ')}.`,
  });
}

function modelOf(name: string): string {
  return join(bundled, name, 'model.onnx');
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
