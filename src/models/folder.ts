/** Which files belong to a model. */
import { statSync } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';

/** The files that tell about a model, by the conventions of the tools that write them; absolute or as the model's path was. */
export interface ModelFolder {
  readonly tokenizer?: string;
  readonly tokenizerConfig?: string;
  readonly config?: string;
  readonly generationConfig?: string;
  readonly preprocessorConfig?: string;
  readonly processorConfig?: string;
  readonly genaiConfig?: string;
  readonly chatTemplate?: string;
  readonly chatTemplateJson?: string;
}

/** Names of the files that tell about a model. */
export const besideModel = [
  'tokenizer.json',
  'tokenizer_config.json',
  'config.json',
  'generation_config.json',
  'preprocessor_config.json',
  'processor_config.json',
  'genai_config.json',
  'chat_template.jinja',
  'chat_template.json',
] as const;

/**
 * What lies beside a model: in its own folder or, where that folder is called `onnx` (transformers.js, Optimum),
 * one level up. `file` need not exist.
 */
export function modelFolder(file: string): ModelFolder {
  const own = dirname(file);
  const folders = isVariantFolder(own) ? [own, dirname(own)] : [own];
  const find = (name: (typeof besideModel)[number]) => folders.map((folder) => join(folder, name)).find(isThere);
  return {
    tokenizer: find('tokenizer.json'),
    tokenizerConfig: find('tokenizer_config.json'),
    config: find('config.json'),
    generationConfig: find('generation_config.json'),
    preprocessorConfig: find('preprocessor_config.json'),
    processorConfig: find('processor_config.json'),
    genaiConfig: find('genai_config.json'),
    chatTemplate: find('chat_template.jinja'),
    chatTemplateJson: find('chat_template.json'),
  };
}

/** True for the folder in which an export keeps its `.onnx` files apart from tokenizer and configuration. */
export function isVariantFolder(folder: string): boolean {
  return basename(folder).toLowerCase() === 'onnx';
}

/**
 * What an export is called: its folder, or in Hugging Face's cache, where a snapshot's folder is named by a checksum, its
 * repository (`owner/name`) and the folder inside of that.
 */
export function exportName(file: string): string {
  const own = dirname(file);
  const folder = isVariantFolder(own) ? dirname(own) : own;
  const [, repository, inner] =
    /(?:^|\/)models--([^/]+)\/snapshots\/[^/]+((?:\/.+)?)$/.exec(folder.split(sep).join('/')) ?? [];
  // Neither an owner's name nor a repository's holds two dashes in a row.
  return repository === undefined ? basename(folder) : repository.replace('--', '/') + (inner ?? '');
}

/** False too for what cannot be looked at. */
export function isFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  } catch {
    return false;
  }
}

/** True too for what cannot be looked at, as a link to itself: whoever reads it says so. */
function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === false;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && (error.code === 'ENAMETOOLONG' || error.code === 'ENOTDIR'));
  }
}
