/** One file from a hub to the disk: in parts where the connection breaks, and checked at its end. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { constants, type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { grouped, type SinkscopeError } from '../errors.js';
import { makeFolders } from '../saving.js';
import { fileBytes, unwritten } from './cache.js';
import type { HubFile, Listing } from './repository.js';
import { type Hub, network, openFile, stopped, why } from './server.js';

/** Bytes after which it is said how far it is. */
const step = 2 ** 20;

/**
 * Downloads a file to `target`, which appears when it is whole and has the checksum that the Hub states. What arrives
 * lies in `target.incomplete`, as Hugging Face's tools have it, and is gone on from: at once where a connection breaks
 * that brought something, and by the next call where it was stopped or brought nothing more.
 *
 * @returns yields how many of its bytes are there
 * @throws SinkscopeError `network` or `save` that says what to do; `cancelled` when `signal` is aborted
 */
export async function* transfer(
  hub: Hub,
  listing: Listing,
  file: HubFile,
  target: string,
  signal: AbortSignal,
): AsyncGenerator<number, void, void> {
  const partial = `${target}.incomplete`;
  await makeFolders(dirname(target)).catch((error) => {
    throw unwritten(target, error);
  });
  const there = (await fileBytes(partial)) ?? 0;
  const kept = there <= file.size ? there : 0;
  let hash = await hashOf(file, partial, kept, signal);
  let at = kept;
  yield at;

  const flags = constants.O_WRONLY | constants.O_CREAT | (kept > 0 ? 0 : constants.O_TRUNC);
  const handle = await open(partial, flags).catch((error) => {
    throw unwritten(partial, error);
  });
  try {
    while (at < file.size) {
      const before = at;
      const { body, start } = await bodyFrom(hub, listing, file, at, signal);
      if (start !== at) {
        at = start;
        hash = newHash(file);
      }
      let broke: unknown;
      const read = () =>
        body.read().catch((error: unknown) => {
          broke = error;
          return { done: true, value: undefined } as const;
        });
      try {
        let said = at;
        for (let part = await read(); !part.done; part = await read()) {
          const { value } = part;
          if (at + value.length > file.size)
            throw network(`${file.path} is larger than its repository states; download it again later.`);
          await write(handle, value, at, partial);
          hash.update(value);
          at += value.length;
          if (at - said < step) continue;
          said = at;
          yield at;
        }
      } finally {
        await body.cancel().catch(() => undefined);
      }
      if (signal.aborted) throw stopped();
      // What broke and had brought something is gone on from at once.
      if (at <= before && at < file.size) throw broken(file, at, broke);
      yield at;
    }
    await handle.truncate(file.size);
    await handle.sync();
  } finally {
    await handle.close();
  }
  if (hash.digest('hex') !== file.checksum.hex) {
    await rm(partial, { force: true });
    throw network(
      `${file.path} does not have the checksum that its repository states, so what arrived was removed; download it again, and tell ${listing.repository.id} if it stays so.`,
    );
  }
  await rename(partial, target).catch(async (error) => {
    // Another program was faster.
    if ((await fileBytes(target)) !== file.size) throw unwritten(target, error);
  });
}

/** A stranger's bytes from `at` on, or from the beginning where the server gives no part of a file. */
async function bodyFrom(hub: Hub, listing: Listing, { path, size }: HubFile, at: number, signal: AbortSignal) {
  const { body, status, headers } = await openFile(hub, listing, path, { start: at, signal });
  if (body === null) throw network(`${path} came without its content; download it again later.`);
  const start = status === 206 ? at : 0;
  const range = headers.get('content-range');
  if (start > 0 && range !== `bytes ${at}-${size - 1}/${size}`) {
    await body.cancel();
    throw network(`${path} came as another part (${range ?? 'none'}) than was asked for; download it again later.`);
  }
  return { body: body.getReader(), start };
}

async function write(handle: FileHandle, bytes: Uint8Array, at: number, partial: string): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done).catch((error) => {
      throw unwritten(partial, error);
    });
    done += bytesWritten;
  }
}

/** What the Hub calls a checksum: that of the bytes, or as git makes it, with their number before them. */
function newHash({ checksum, size }: HubFile): Hash {
  return checksum.kind === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}

/** The checksum of the first bytes, that are there already. */
async function hashOf(file: HubFile, partial: string, bytes: number, signal: AbortSignal): Promise<Hash> {
  const hash = newHash(file);
  if (bytes === 0) return hash;
  for await (const part of createReadStream(partial, { end: bytes - 1 })) {
    if (signal.aborted) throw stopped();
    hash.update(part);
  }
  return hash;
}

function broken({ path, size }: HubFile, at: number, error: unknown): SinkscopeError {
  const cause = error === undefined ? 'its server ended it' : why(error);
  return network(
    `The connection broke at ${grouped(at)} of ${grouped(size)} bytes of ${path}: ${cause}. What has arrived is kept; download it again to go on from there.`,
    error,
  );
}
