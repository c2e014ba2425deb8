import { statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** The files that tell about a model, by the conventions of the tools that write them; absolute or as the model's path was. */
export interface ModelFolder {
  readonly tokenizer?: string;
  readonly tokenizerConfig?: string;
  readonly config?: string;
  readonly generationConfig?: string;
  readonly preprocessorConfig?: string;
  readonly genaiConfig?: string;
}

const names: Readonly<Record<keyof ModelFolder, string>> = {
  tokenizer: 'tokenizer.json',
  tokenizerConfig: 'tokenizer_config.json',
  config: 'config.json',
  generationConfig: 'generation_config.json',
  preprocessorConfig: 'preprocessor_config.json',
  genaiConfig: 'genai_config.json',
};

/**
 * What lies beside a model: in its own folder or, where that folder is called `onnx` (transformers.js, Optimum),
 * one level up. `file` need not exist.
 */
export function modelFolder(file: string): ModelFolder {
  const own = dirname(file);
  const folders = isVariantFolder(own) ? [own, dirname(own)] : [own];
  const found: { -readonly [Key in keyof ModelFolder]: ModelFolder[Key] } = {};
  for (const key of Object.keys(names) as (keyof ModelFolder)[]) {
    found[key] = folders.map((folder) => join(folder, names[key])).find(isThere);
  }
  return found;
}

/** True for the folder in which an export keeps its `.onnx` files apart from tokenizer and configuration. */
export function isVariantFolder(folder: string): boolean {
  return basename(folder).toLowerCase() === 'onnx';
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === false;
}
