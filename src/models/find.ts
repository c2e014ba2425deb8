/** Finding models on disk. */
import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { isVariantFolder } from './folder.js';

export type Origin = 'bundled' | 'workspace' | 'settings';

export interface FoundModel {
  /** Absolute path of the `.onnx` file. */
  readonly file: string;
  /** For people: the model's folder, and which of its files: `gpt2`, `gpt2 · q4`. */
  readonly name: string;
  readonly origin: Origin;
  /** Of the file and of the weights beside it that go by its name. */
  readonly bytes: number;
}

/** Where to look. Paths that do not exist are passed over. */
export interface Places {
  /** Workspace folders, absolute. */
  readonly folders: readonly string[];
  /** Files or folders somebody named, absolute or from the home folder (`~/models`). */
  readonly settings: readonly string[];
  /** The folder with one demo model per folder. */
  readonly bundled: string;
}

/** A workspace can be a whole disk: beyond these a search ends, with what it has. */
const limits = { depth: 8, folders: 20_000, models: 500 };
const skipped = new Set(['node_modules', '__pycache__', 'site-packages']);

/**
 * The models in these places: bundled, then named in the settings, then the workspace's, each by name; each file
 * once. Every `.onnx` file is one, several of one export too.
 */
export async function findModels({ folders, settings, bundled }: Places): Promise<FoundModel[]> {
  const places: [Origin, readonly string[]][] = [
    ['bundled', [bundled]],
    ['settings', settings.map(expandHome)],
    ['workspace', folders],
  ];
  const found = new Map<string, FoundModel>();
  for (const [origin, paths] of places) {
    const files = (await Promise.all(paths.map((path) => onnxFiles(resolve(path))))).flat();
    const fresh = [...new Set(files)].filter((file) => !found.has(file));
    const listed = listingOnce();
    const models = (await Promise.all(fresh.map((file) => describe(file, origin, listed)))).filter(
      (model) => model !== undefined,
    );
    models.sort((a, b) => a.name.localeCompare(b.name) || a.file.localeCompare(b.file));
    for (const model of models) found.set(model.file, model);
  }
  return [...found.values()];
}

/** `~` and what follows it, in the home folder. */
export function expandHome(path: string): string {
  return /^~(?=$|[/\\])/.test(path) ? join(homedir(), path.slice(1)) : path;
}

/** The folder of the export a file belongs to, and which of its files it is unless that is plain `model.onnx`. */
export function modelName(file: string): string {
  const folder = dirname(file);
  const home = basename(isVariantFolder(folder) ? dirname(folder) : folder);
  const variant = basename(file, extname(file));
  return variant === 'model' ? home : `${home} · ${variant.replace(/^model_/, '')}`;
}

/** The `.onnx` files of a path: itself, or what lies below it, nearest first. */
async function onnxFiles(path: string): Promise<string[]> {
  const info = await stat(path).catch(() => undefined);
  if (info?.isFile()) return isOnnx(path) ? [path] : [];
  if (!info?.isDirectory()) return [];

  const files: string[] = [];
  let level = [path];
  let seen = 0;
  for (let depth = 0; level.length > 0 && depth <= limits.depth && files.length < limits.models; depth++) {
    level = level.slice(0, limits.folders - seen);
    seen += level.length;
    const next: string[] = [];
    for (const { folder, entries } of await Promise.all(level.map(list))) {
      for (const entry of entries) {
        const inside = join(folder, entry.name);
        // Links to files are followed (download caches are made of them), links to folders are not: they may form loops.
        if (entry.isDirectory() && !entry.name.startsWith('.') && !skipped.has(entry.name)) next.push(inside);
        else if (isOnnx(inside) && (entry.isFile() || entry.isSymbolicLink())) files.push(inside);
      }
    }
    level = next;
  }
  return files.slice(0, limits.models);
}

/** A folder's entries; none where it may not be read. */
async function list(folder: string): Promise<{ folder: string; entries: Dirent[] }> {
  return { folder, entries: await readdir(folder, { withFileTypes: true }).catch(() => []) };
}

/** {@link list}, but each folder once: a folder may hold thousands of models. */
function listingOnce(): typeof list {
  const known = new Map<string, ReturnType<typeof list>>();
  return (folder) => {
    const before = known.get(folder);
    if (before) return before;
    const entries = list(folder);
    known.set(folder, entries);
    return entries;
  };
}

function isOnnx(file: string): boolean {
  return extname(file).toLowerCase() === '.onnx';
}

/** Undefined for what is gone, or turns out to be no file. */
async function describe(file: string, origin: Origin, listed: typeof list): Promise<FoundModel | undefined> {
  const own = await stat(file).catch(() => undefined);
  if (!own?.isFile()) return undefined;
  const { entries } = await listed(dirname(file));
  const name = basename(file);
  const weights = entries.filter(
    (entry) => entry.name.startsWith(`${name}.data`) || entry.name.startsWith(`${name}_data`),
  );
  const sizes = await Promise.all(
    weights.map(async (entry) => (await stat(join(dirname(file), entry.name)).catch(() => undefined))?.size ?? 0),
  );
  return { file, name: modelName(file), origin, bytes: sizes.reduce((sum, size) => sum + size, own.size) };
}
