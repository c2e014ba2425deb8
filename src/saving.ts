/**
 * Files that appear under their name when they are whole, and not at all otherwise. What is being written lies beside
 * its target, so that taking the target's place is one step; a process that was killed leaves it there, and the next
 * one that saves into that folder removes it.
 */
import { constants, readFileSync } from 'node:fs';
import { access, type FileHandle, lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileReason, SinkscopeError } from './errors.js';

/** Of the machine, for folders are shared between machines, where the same number is another process. */
const host = hostname().replace(/[^\w-]/g, '_');

/**
 * A process of this machine that may write files, by its number and, where the system tells it, when it began: numbers
 * are given again.
 */
export function writerOf(pid: number): string {
  const began = statusOf(pid)?.[19];
  return began === undefined ? `${pid}` : `${pid}-${began}`;
}

const self = writerOf(process.pid);

/** Where a process ({@link writerOf}) writes `file` until it is whole; by default this one. */
export function partialFile(file: string, writer = self): string {
  return join(dirname(file), `.${basename(file)}.${host}-${writer}.partial`);
}

const partial = new RegExp(`^\\..+\\.${host}-((\\d+)(?:-\\d+)?)\\.partial$`);

/** What Linux says of a process or a thread from its state on (`man 5 proc_pid_stat`); undefined where there is none. */
function statusOf(pid: number): readonly string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
  } catch {
    return undefined;
  }
}

/**
 * Looks whether a file may be written: its folder is there and takes files, and it is new or a regular file. What is saved takes the
 * place of its target, which would end a link or a device.
 *
 * @throws SinkscopeError `save` that says what is in the way
 */
export async function checkTarget(file: string): Promise<void> {
  const folder = dirname(file);
  const parent = await stat(folder).catch(() => undefined);
  if (!parent) throw refused(file, `the folder ${folder} does not exist; make it first, or save elsewhere`);
  if (!parent.isDirectory()) throw refused(file, `${folder} is not a folder; save elsewhere`);
  await access(folder, constants.W_OK).catch(() => {
    throw refused(file, `the folder ${folder} may not be written to; save elsewhere`);
  });
  const there = await lstat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw unwritable(file, error);
  });
  if (there?.isDirectory()) throw refused(file, 'it is a folder; give the name of a file');
  if (there && !there.isFile())
    throw refused(file, 'it is a link or a device, and neither is replaced; save elsewhere');
}

/**
 * Makes a folder with those above it, where they are not there. Not by `recursive` of `mkdir`, which tries for ever, in a
 * thread that no signal reaches, where a folder is there and knows of no folders that are to come: `/proc`.
 *
 * @throws Error of the system
 */
export async function makeFolders(folder: string): Promise<void> {
  const above = dirname(folder);
  const make = () =>
    mkdir(folder).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST' || !(await stat(folder)).isDirectory()) throw error;
    });
  await make().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' || above === folder) throw error;
    await makeFolders(above);
    await make();
  });
}

/**
 * Opens the partial file of `file`.
 *
 * @throws SinkscopeError `save`
 */
export async function beginSaving(file: string): Promise<FileHandle> {
  await checkTarget(file);
  await sweep(dirname(file)).catch(() => undefined); // a folder that cannot be listed may still be written to
  const path = partialFile(file);
  // Never through a link that somebody has put there.
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  try {
    // Of an earlier process of this number, if there is one: this one has just begun.
    await rm(path, { force: true });
    return await open(path, flags);
  } catch (error) {
    throw unwritable(file, error);
  }
}

/**
 * Makes sure that all is on the disk, and gives the file its name.
 *
 * @throws SinkscopeError `save`, with nothing left behind
 */
export async function endSaving(file: string, handle: FileHandle): Promise<void> {
  try {
    await handle.sync().catch((error: NodeJS.ErrnoException) => {
      // Node.js 26 allows it to no process under its permission model: then the system writes when it likes.
      if (error.code !== 'ERR_ACCESS_DENIED') throw error;
    });
    await handle.close();
    await checkTarget(file);
    await rename(partialFile(file), file);
  } catch (error) {
    await giveUpSaving(file, handle);
    throw SinkscopeError.is(error) ? error : unwritable(file, error);
  }
}

/** Removes what was written and leaves a file that was there before as it is. */
export async function giveUpSaving(file: string, handle: FileHandle): Promise<void> {
  await handle.close().catch(() => undefined); // closed already, or the disk's last complaint about lost data
  await rm(partialFile(file), { force: true }).catch(() => undefined); // the first error is the one to tell
}

/**
 * Writes a text or bytes, whole or not at all.
 *
 * @throws SinkscopeError `save`
 */
export async function saveWhole(file: string, content: string | Uint8Array): Promise<void> {
  const handle = await beginSaving(file);
  try {
    await handle.writeFile(content);
  } catch (error) {
    await giveUpSaving(file, handle);
    throw unwritable(file, error);
  }
  await endSaving(file, handle);
}

/** Removes what processes of this machine that are no more have left in a folder. */
async function sweep(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const [, writer, pid] = partial.exec(entry.name) ?? [];
    if (writer !== undefined && entry.isFile() && !isAlive(writer, Number(pid)))
      await rm(join(folder, entry.name), { force: true });
  }
}

/** Removes all that a process of this machine, which has been ended, was writing into a folder. */
export async function removePartials(folder: string, pid: number): Promise<void> {
  for (const name of await readdir(folder)) {
    if (Number(partial.exec(name)?.[2]) === pid) await rm(join(folder, name), { force: true });
  }
}

function isAlive(writer: string, pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
  // One that has ended and that nobody has asked about yet, in a container perhaps for ever, is there and does nothing.
  const [state = ''] = statusOf(pid) ?? [];
  return !/[ZX]/.test(state) && writerOf(pid) === writer;
}

function refused(file: string, why: string): SinkscopeError {
  return new SinkscopeError({ code: 'save', file, message: `${file} cannot be written: ${why}.` });
}

/** That a file could not be written, with the cause in words. */
export function unwritable(file: string, error: unknown): SinkscopeError {
  return new SinkscopeError(
    {
      code: 'save',
      file,
      message: `${file} could not be saved: ${fileReason(error)}. Nothing of it was left behind; choose another place or make room.`,
    },
    { cause: error },
  );
}
