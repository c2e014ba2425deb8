/** Finding models on disk. */
import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, extname, isAbsolute, join, resolve } from 'node:path';
import { grouped } from '../errors.js';
import { type CacheFolders, packageCaches, snapshots } from './caches.js';
import { exportName } from './folder.js';

/** `machine`: in a folder in which another program keeps models. */
export type Origin = 'bundled' | 'settings' | 'workspace' | 'machine';

export interface FoundModel {
  /** Absolute path of the `.onnx` file. */
  readonly file: string;
  /** For people: the model's folder, and which of its files: `gpt2`, `gpt2 · q4`. */
  readonly name: string;
  readonly origin: Origin;
  /** Of the file and of the weights beside it that go by its name. */
  readonly bytes: number;
}

/** Where to look. Paths that do not exist, or may not be read, are passed over. */
export interface Places {
  /** Workspace folders, absolute. */
  readonly folders: readonly string[];
  /** Files or folders somebody named, absolute or from the home folder (`~/models`). */
  readonly settings: readonly string[];
  /** The folder with one demo model per folder; undefined: they are not asked for. */
  readonly bundled?: string;
  /** Where other programs keep models. */
  readonly caches?: CacheFolders;
}

export interface Found {
  readonly models: readonly FoundModel[];
  /** What was not looked at or is not listed, a sentence each. */
  readonly left: readonly string[];
}

/** A workspace can be a whole disk: beyond these a search ends with what it has, and says so. */
const limits = { depth: 8, folders: 20_000, models: 500 };
const skipped = new Set(['node_modules', '__pycache__', 'site-packages']);

/**
 * The models in these places: bundled, then named in the settings, then the workspace's, then those of other programs,
 * each by name; each file once, though links give it several names. Every `.onnx` file is one, several of one export too.
 */
export async function findModels({ folders, settings, bundled, caches }: Places): Promise<Found> {
  const places: [Origin, readonly string[]][] = [
    ['bundled', bundled === undefined ? [] : [bundled]],
    ['settings', settings.map(expandHome)],
    ['workspace', folders.flatMap((folder) => [folder, ...packageCaches(folder)])],
    ['machine', caches ? [...(await snapshots(caches.hub)), ...caches.folders] : []],
  ];
  const found = new Map<string, FoundModel>();
  const left: string[] = [];
  for (const [origin, paths] of places) {
    const searched = await Promise.all(paths.map((path) => onnxFiles(resolve(path))));
    for (const search of searched) if (search.left !== undefined) left.push(search.left);
    const all = [...new Set(searched.flatMap(({ files }) => files))].filter((file) => !found.has(file));
    const once = origin === 'machine' ? await onceEach(all, [...found.keys()]) : all;
    // Of a machine's caches there are many roots, each of which is bounded by itself.
    const fresh = origin === 'machine' ? once.slice(0, limits.models) : once;
    if (fresh.length < once.length)
      left.push(
        `Of ${once.length} models of other programs on this machine, the first ${limits.models} are listed; name the folder of another one.`,
      );
    const listed = listingOnce();
    const models = (await Promise.all(fresh.map((file) => describe(file, origin, listed)))).filter(
      (model) => model !== undefined,
    );
    models.sort((a, b) => a.name.localeCompare(b.name) || a.file.localeCompare(b.file));
    for (const model of models) found.set(model.file, model);
  }
  return { models: [...found.values()], left };
}

/**
 * Files without those that are links to one of them, or of `known`, by the same name: two versions of a repository,
 * where a file is the same in both, have it by a link each.
 */
async function onceEach(files: readonly string[], known: readonly string[]): Promise<string[]> {
  const contentOf = async (file: string) => `${await realpath(file).catch(() => file)} ${modelName(file)}`;
  const [before, contents] = await Promise.all([known, files].map((list) => Promise.all(list.map(contentOf))));
  const seen = new Set(before);
  return files.filter((_, i) => {
    const content = contents?.[i] ?? '';
    if (seen.has(content)) return false;
    seen.add(content);
    return true;
  });
}

/** What settings say of models: names of bundled ones, and paths as people write them. */
export interface NamedModels {
  readonly model: string;
  readonly models: readonly string[];
}

/**
 * The bundled models and those that settings name.
 *
 * @param folder what relative paths start from; undefined where there is no such folder, or none that is trusted: then
 *   they name nothing
 */
export async function findNamed({ model, models }: NamedModels, bundled: string, folder?: string): Promise<Found> {
  const own = await findModels({ bundled, settings: [], folders: [] });
  // The name of a bundled model is no path, whatever lies in the folder.
  const named = own.models.some(({ name }) => name === model) ? models : [...models, model];
  const settings = named.map((path) => namedPath(path, folder)).filter((path) => path !== undefined);
  return settings.length === 0 ? own : findModels({ bundled, settings, folders: [] });
}

/** A path as people write it in settings: from the home folder, absolute, or from `folder`. */
export function namedPath(path: string, folder: string | undefined): string | undefined {
  const expanded = expandHome(path);
  if (isAbsolute(expanded)) return resolve(expanded);
  return folder === undefined ? undefined : join(folder, expanded);
}

/** `~` and what follows it, in the home folder. */
export function expandHome(path: string): string {
  return /^~(?=$|[/\\])/.test(path) ? join(homedir(), path.slice(1)) : path;
}

/** Whether a file is the export of its folder, and no variant of it. */
export const isMain = (file: string): boolean => basename(file) === 'model.onnx';

/** The folder of the export a file belongs to, and which of its files it is unless that is plain `model.onnx`. */
export function modelName(file: string): string {
  const home = exportName(file);
  const variant = basename(file, extname(file));
  return variant === 'model' ? home : `${home} · ${variant.replace(/^model_/, '')}`;
}

/** The `.onnx` files of a path: itself, or what lies below it, nearest first; and what was left out of them. */
async function onnxFiles(path: string): Promise<{ readonly files: readonly string[]; readonly left?: string }> {
  const info = await stat(path).catch(() => undefined);
  if (info?.isFile()) return { files: isOnnx(path) ? [path] : [] };
  if (!info?.isDirectory()) return { files: [] };

  const files: string[] = [];
  let level = [path];
  let seen = 0;
  let unseen = false;
  for (let depth = 0; level.length > 0 && depth <= limits.depth && files.length < limits.models; depth++) {
    unseen ||= level.length > limits.folders - seen;
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
  return { files: files.slice(0, limits.models), left: leftOut(path, files.length, unseen, level.length > 0) };
}

/**
 * @param count models that were found
 * @param unseen whether there were more folders than are looked into
 * @param deeper whether there are folders below the last that were
 */
function leftOut(path: string, count: number, unseen: boolean, deeper: boolean): string | undefined {
  if (count > limits.models || (count === limits.models && deeper)) {
    const all = `${deeper ? 'at least ' : 'the '}${grouped(count)}`;
    return `Of ${all} models in ${path}, the first ${grouped(limits.models)} are listed; name the folder of another one.`;
  }
  if (unseen) return `Of the folders in ${path}, ${grouped(limits.folders)} were looked into; name another one.`;
  if (deeper) return `Folders more than ${limits.depth} levels below ${path} were not looked into; name one of them.`;
  return undefined;
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
