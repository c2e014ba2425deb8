/** A model from a hub into the cache, with all that belongs to it. */
import { realpath, statfs } from 'node:fs/promises';
import { dirname, posix, relative, sep } from 'node:path';
import type { Engine } from '../engine/host/engine.js';
import { grouped, SinkscopeError } from '../errors.js';
import { makeFolders } from '../saving.js';
import { blobOf, fileBytes, fileIn, isCached, nameCommit, nameFile, unwritten } from './cache.js';
import type { HubFile, HubModel, Listing } from './repository.js';
import { type Hub, network } from './server.js';
import { transfer } from './transfer.js';

/** How far a download is. */
export interface Transfer {
  /** Path in the repository of the file that is under way. */
  readonly path: string;
  /** Bytes of all files that are there, and how many there are to be. */
  readonly done: number;
  readonly of: number;
}

/**
 * Downloads a model into the Hub's cache, and what of it is not there yet alone. Weights whose files have names of their
 * own are known when the graph is there: the engine says which one it lacks.
 *
 * @param cache folder of the cache
 * @returns path of the `.onnx` file
 * @throws SinkscopeError `network`, `save` or `input` that says what to do; `cancelled` when `signal` is aborted, where
 *   what has arrived is kept
 */
export async function* download(
  hub: Hub,
  listing: Listing,
  model: HubModel,
  { cache, engine, signal }: { readonly cache: string; readonly engine: Engine; readonly signal: AbortSignal },
): AsyncGenerator<Transfer, string, void> {
  const files = [...model.files];
  await checkRoom(cache, listing, files);
  let done = 0;
  for (let i = 0; i < files.length; i++) {
    const file = files[i];
    if (!file) break;
    const total = files.reduce((sum, { size }) => sum + size, 0);
    if (!(await isCached(cache, listing, file))) {
      const blob = blobOf(cache, listing, file);
      if ((await fileBytes(blob)) !== file.size) {
        for await (const bytes of transfer(hub, listing, file, blob, signal))
          yield { path: file.path, done: done + bytes, of: total };
      }
      await nameFile(cache, listing, file);
    }
    done += file.size;
    yield { path: file.path, done, of: total };
    if (i < files.length - 1) continue;
    const lacked = await lackedBy(engine, fileIn(cache, listing, model.path), signal);
    const more = lacked === undefined ? undefined : fileNamed(listing, model, lacked);
    if (more && !files.includes(more)) {
      await checkRoom(cache, listing, [more]);
      files.push(more);
    }
  }
  await nameCommit(cache, listing);
  return fileIn(cache, listing, model.path);
}

/**
 * The file with weights that a model says it has and that is not there, from the model's folder on with `/` between
 * folders. What else is wrong with it is said when it is run.
 */
export async function lackedBy(engine: Engine, model: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    await engine.inspect(model, signal);
  } catch (error) {
    if (SinkscopeError.is(error, 'cancelled')) throw error;
    if (!SinkscopeError.is(error, 'external-data') || error.file === undefined) return undefined;
    if ((await fileBytes(error.file)) !== undefined) return undefined;
    return relative(dirname(await realpath(model)), error.file)
      .split(sep)
      .join('/');
  }
  return undefined;
}

/** A file of the listing, by its path from the model on. */
export function fileNamed({ files }: Listing, model: Pick<HubModel, 'path'>, path: string): HubFile | undefined {
  const wanted = posix.join(posix.dirname(model.path), path);
  return files.find((file) => file.path === wanted);
}

/** Bytes of files that the cache has not; of one whose download was stopped, the rest. */
export async function bytesToCome(cache: string, listing: Listing, files: readonly HubFile[]): Promise<number> {
  let wanted = 0;
  for (const file of files) {
    if (await isCached(cache, listing, file)) continue;
    const blob = blobOf(cache, listing, file);
    wanted += file.size - ((await fileBytes(blob)) ?? (await fileBytes(`${blob}.incomplete`)) ?? 0);
  }
  return wanted;
}

/** @throws SinkscopeError `save` where the disk has no room for what is to come */
async function checkRoom(cache: string, listing: Listing, files: readonly HubFile[]): Promise<void> {
  await makeFolders(cache).catch((error) => {
    throw unwritten(cache, error);
  });
  const wanted = await bytesToCome(cache, listing, files);
  const disk = await statfs(cache).catch(() => undefined);
  const room = disk && disk.bavail * disk.bsize;
  if (room === undefined || room >= wanted) return;
  const megabytes = (bytes: number) => grouped(Math.ceil(bytes / 1e6));
  throw new SinkscopeError({
    code: 'save',
    file: cache,
    message: `${cache} has room for ${megabytes(room)} MB, and ${megabytes(wanted)} MB are to come; make room, or set HF_HOME to another place.`,
  });
}

/**
 * The model that was named, or the only one.
 *
 * @throws SinkscopeError `input` where there is none, or several of which none was named
 */
export function chosenModel(listing: Listing, models: readonly HubModel[], path: string | undefined): HubModel {
  const { id } = listing.repository;
  const [first, ...more] = models;
  if (!first) {
    throw network(
      `${id} holds no .onnx file: look for an export of it (onnx-community has many), or export it (optimum-cli export onnx).`,
    );
  }
  const refuse = (why: string) => {
    const named = models.slice(0, 8).map((one) => one.path);
    const rest = models.length > named.length ? ` and ${models.length - named.length} more` : '';
    return new SinkscopeError({ code: 'input', message: `${id} ${why}: ${named.join(', ')}${rest}.` });
  };
  if (path !== undefined) {
    const found = models.find((one) => one.path === path);
    if (found) return found;
    throw refuse(`has no file ${path}; choose one of those it has`);
  }
  if (more.length > 0) throw refuse('holds several models, so choose one');
  return first;
}
