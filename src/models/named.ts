import { stat } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { fileReason, SinkscopeError } from '../errors.js';
import { quoted } from '../visible.js';
import { findModels } from './find.js';

/** The demo models lie beside the bundle's folder, one folder each. */
export const bundled = join(__dirname, '..', 'media', 'models');

/** Models of a folder that an error names. */
const named = 5;

/**
 * Absolute path of the model somebody named: a file, a folder with one, or a bundled model by the name that it has
 * everywhere.
 *
 * @throws SinkscopeError `file` that names the models there are, where it is neither.
 */
export async function modelFile(name: string): Promise<string> {
  const path = resolve(name);
  const fail = (message: string, cause?: unknown) =>
    new SinkscopeError({ code: 'file', file: path, message }, { cause });
  const there = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (absent.has(error.code ?? '')) return undefined;
    throw fail(`${path} cannot be opened: ${fileReason(error)}. Check the path and that you may read it.`, error);
  });
  if (there && !there.isDirectory()) return path;
  const { models: own } = await findModels({ folders: [], settings: [], bundled });
  const one = own.find((model) => model.name === name);
  if (one) return one.file;
  const choice = `give the path of a .onnx file, or one of: ${own.map((model) => model.name).join(', ')}`;
  if (!there) throw fail(`There is no file ${path} and no bundled model called ${quoted(name)}; ${choice}.`);
  const { models, left } = await findModels({ folders: [path], settings: [] });
  const [only] = models;
  if (only && models.length === 1) return only.file;
  const other = only ? undefined : await otherFolder(path);
  if (other) throw fail(`${path} is ${other}, not an ONNX model; give the path of an ONNX export in its place.`);
  if (!only) throw fail(`${path} is a folder without models; ${choice}.`);
  const files = models.slice(0, named).map(({ file }) => relative(path, file));
  const more = models.length > named ? ` and ${models.length - named} more` : '';
  throw fail(
    `${path} is a folder; give one of its models: ${files.join(', ')}${more}.${left.map((one) => ` ${one}`).join('')}`,
  );
}

/** There is no such file, or cannot be. */
const absent = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ERR_INVALID_ARG_VALUE']);

/** Folders that are models of other programs, by what lies in them. */
const folderFormats: readonly (readonly [what: string, ...files: string[]])[] = [
  ['a Core ML package (.mlpackage)', 'Manifest.json', 'Data/com.apple.CoreML'],
  ['a compiled Core ML model (.mlmodelc)', 'coremldata.bin'],
  ['a SavedModel of TensorFlow', 'saved_model.pb'],
  ['a SavedModel of TensorFlow', 'saved_model.pbtxt'],
  ['a model of OpenVINO', 'openvino_model.xml'],
  ['a model of transformers in safetensors files', 'config.json', 'model.safetensors'],
  ['a model of transformers in safetensors files', 'config.json', 'model.safetensors.index.json'],
  ['a model of transformers in PyTorch’s own format', 'config.json', 'pytorch_model.bin'],
  ['a model of transformers in PyTorch’s own format', 'config.json', 'pytorch_model.bin.index.json'],
];

/** What a folder without ONNX files is, where it is a model all the same. */
async function otherFolder(path: string): Promise<string | undefined> {
  const has = (file: string) =>
    stat(join(path, file)).then(
      () => true,
      () => false,
    );
  for (const [what, ...files] of folderFormats)
    if ((await Promise.all(files.map(has))).every((there) => there)) return what;
  return undefined;
}
