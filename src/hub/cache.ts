/**
 * The Hub's cache as Hugging Face's tools keep it: for each repository `blobs`, named by checksum, `snapshots/<commit>`
 * with links to them by the files' own names, and `refs`, which say what commit a branch is at. What one tool has
 * downloaded, all have.
 */
import { lstat, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileReason, SinkscopeError } from '../errors.js';
import { makeFolders } from '../saving.js';
import type { HubFile, Listing } from './repository.js';

/** The folder of a repository in the cache `hub`. */
export const repositoryFolder = (hub: string, { repository }: Pick<Listing, 'repository'>) =>
  inside(hub, `models--${repository.id.replace('/', '--')}`);

/** Where the content of a file lies, or will. */
export const blobOf = (hub: string, listing: Listing, { checksum }: HubFile) =>
  inside(join(repositoryFolder(hub, listing), 'blobs'), checksum.hex);

/** Where a file is under its own name. */
export const fileIn = (hub: string, listing: Listing, path: string) =>
  inside(join(repositoryFolder(hub, listing), 'snapshots', listing.commit), path);

/**
 * A path in a folder. Names are a stranger's, and were looked at when they came: this holds whatever they are.
 *
 * @throws SinkscopeError `save` where it would be outside
 */
export function inside(folder: string, path: string): string {
  const root = resolve(folder);
  const found = resolve(root, ...path.split('/'));
  if (found.startsWith(root + sep)) return found;
  throw new SinkscopeError({
    code: 'save',
    file: folder,
    message: `${path} would be written outside of ${folder}, so it is refused; open another repository.`,
  });
}

/** Whether a file is there, whole and under its own name. */
export async function isCached(hub: string, listing: Listing, file: HubFile): Promise<boolean> {
  return (await fileBytes(fileIn(hub, listing, file.path))) === file.size;
}

/** In bytes; undefined for what is no file. */
export async function fileBytes(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ? found.size : undefined;
}

/**
 * Gives the content of a file, which is there, its own name: by a link or, where the system allows none (Windows without
 * developer mode), by being there itself, as Hugging Face's tools do it too.
 *
 * @throws SinkscopeError `save`
 */
export async function nameFile(hub: string, listing: Listing, file: HubFile): Promise<void> {
  const [blob, path] = [blobOf(hub, listing, file), fileIn(hub, listing, file.path)];
  try {
    await makeFolders(dirname(path));
    const target = relative(dirname(path), blob);
    const before = await lstat(path).catch(() => undefined);
    if (before?.isSymbolicLink() && (await readlink(path)) === target) return;
    // A link that led nowhere, a part of what it should be.
    if (before) await rm(path);
    await symlink(target, path, 'file').catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPERM') throw error;
      await rename(blob, path);
    });
  } catch (error) {
    throw unwritten(path, error);
  }
}

/**
 * Says what commit the revision is at that was asked for, as it is now.
 *
 * @throws SinkscopeError `save`
 */
export async function nameCommit(hub: string, listing: Listing): Promise<void> {
  const { repository, commit } = listing;
  if (repository.revision === commit) return;
  const path = inside(join(repositoryFolder(hub, listing), 'refs'), repository.revision);
  try {
    await makeFolders(dirname(path));
    await writeFile(path, commit);
  } catch (error) {
    throw unwritten(path, error);
  }
}

export function unwritten(file: string, error: unknown): SinkscopeError {
  if (SinkscopeError.is(error)) return error;
  return new SinkscopeError(
    {
      code: 'save',
      file,
      message: `${file} cannot be written: ${fileReason(error)}. What has arrived is kept; make room, or set HF_HOME to another place, and download again.`,
    },
    { cause: error },
  );
}
