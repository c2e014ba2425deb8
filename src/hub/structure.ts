/**
 * What a model is before it is downloaded: a copy of its file is made in which all is there but the weights, which are
 * holes, and the engine reads that as any model. Of a file of gigabytes that is some megabytes.
 *
 * The bytes are a stranger's, and only lengths are read here, each held against the bytes that exist; all else is read in
 * the engine's process.
 */
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import type { Inspection } from '../engine/contract/inspection.js';
import type { Engine } from '../engine/host/engine.js';
import { SinkscopeError } from '../errors.js';
import { makeFolders } from '../saving.js';
import { inside, unwritten } from './cache.js';
import { fileNamed } from './download.js';
import type { HubFile, HubModel, Listing } from './repository.js';
import { type Hub, network, openFile, stopped, why } from './server.js';

/** What is asked for at once: at least, and at most where it goes on without a gap. */
const blockBytes = 2 ** 16;
const mostAtOnce = 2 ** 22;
/** More structure than any real model has; bounds for files that are made to have them all asked for. */
const mostBytes = 2 ** 28;
const mostFields = 10_000_000;
const mostLevels = 64;
/** Weights of more are holes, as the engine reads no more of them either (`inlineBytes`). */
const wholeUpTo = 1024;
/** Of configurations beside a model, which say how long texts may be. */
const described = new Set(['config.json', 'genai_config.json']);
const smallBytes = 4 * 2 ** 20;

/**
 * What the engine finds in a model of a hub, without its weights.
 *
 * @param said called with the bytes that have come, each time there are more
 * @throws SinkscopeError as the engine where it is no model that can be read, and as a download
 */
export async function inspectRemote(
  hub: Hub,
  listing: Listing,
  model: HubModel,
  { engine, signal, said }: { readonly engine: Engine; readonly signal: AbortSignal; said(bytes: number): void },
): Promise<Inspection> {
  const folder = await mkdtemp(join(tmpdir(), 'sinkscope-'));
  try {
    // As the cache has it, so that it is called the same.
    const root = join(folder, `models--${listing.repository.id.replace('/', '--')}`, 'snapshots', listing.commit);
    const copies = new Map<string, Copy>();
    let total = 0;
    const fetchPart = async (file: HubFile, start: number, end: number) => {
      if (total + end - start > mostBytes)
        throw network(`${file.path} has more structure than any model; download it.`);
      const bytes = await partOf(hub, listing, file, { start, end, signal });
      total += bytes.length;
      said(total);
      return bytes;
    };
    const copyOf = async (file: HubFile) => {
      const known = copies.get(file.path);
      if (known) return known;
      const path = inside(root, file.path);
      await makeFolders(dirname(path));
      const handle = await open(path, 'w+');
      const copy = new Copy(file, handle, fetchPart);
      copies.set(file.path, copy);
      // A hole, as long as the file.
      await handle.truncate(file.size);
      return copy;
    };
    const [own, ...others] = model.files;
    if (!own) throw new RangeError('a model has a file');
    try {
      for (const file of others) {
        if (!file.path.endsWith('.json')) await copyOf(file);
        else if (described.has(posix.basename(file.path)) && file.size <= smallBytes) {
          await (await copyOf(file)).need(0, file.size);
        }
      }
      const walk = new Walk(await copyOf(own));
      await walk.all();
      for (const { location, offset, length = wholeUpTo } of walk.elsewhere) {
        const file = fileNamed(listing, model, location);
        if (!file) continue;
        const copy = await copyOf(file);
        // Small ones are read with the graph: shapes, scales.
        if (length <= wholeUpTo) await copy.need(offset, Math.min(offset + length, file.size));
      }
      const found = await engine.inspect(inside(root, model.path), signal);
      // The copy is gone when this is read.
      const file = `${hub.endpoint}/${listing.repository.id}/blob/${listing.commit}/${model.path}`;
      return { ...found, model: { ...found.model, file }, weights: [] };
    } finally {
      for (const { handle } of copies.values()) await handle.close();
    }
  } catch (error) {
    if (signal.aborted) throw stopped();
    throw error instanceof Error && 'syscall' in error ? unwritten(folder, error) : error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

type Fetch = (file: HubFile, start: number, end: number) => Promise<Uint8Array>;

/** A file of which what was asked for is there, and the rest are holes. */
class Copy {
  private readonly present = new Set<number>();
  /** First block after the last that was asked for, and how many those were. */
  private next = 0;
  private run = 0;
  private window = Buffer.alloc(0);
  private windowStart = 0;

  constructor(
    readonly file: HubFile,
    readonly handle: FileHandle,
    private readonly fetch: Fetch,
  ) {}

  /** Has the bytes from `start` to before `end` there, with those around them. */
  async need(start: number, end: number): Promise<void> {
    const last = Math.ceil(end / blockBytes);
    for (let block = Math.floor(start / blockBytes); block < last; block++) {
      if (this.present.has(block)) continue;
      // What is asked for piece by piece is asked for in larger ones.
      const ahead = block === this.next ? Math.min(2 * this.run, mostAtOnce / blockBytes) : 1;
      const to = Math.min(Math.max(last, block + ahead), block + mostAtOnce / blockBytes);
      const from = block * blockBytes;
      const bytes = await this.fetch(this.file, from, Math.min(to * blockBytes, this.file.size));
      await this.handle.write(bytes, 0, bytes.length, from);
      for (let one = block; one < to; one++) this.present.add(one);
      this.next = to;
      this.run = to - block;
    }
  }

  /** The byte at `position`, where {@link load} has put it at hand; undefined elsewhere. */
  byte(position: number): number | undefined {
    return this.window[position - this.windowStart];
  }

  /** Puts the bytes from `position` on at hand: at least `count`, or to the end of the file. */
  async load(position: number, count: number): Promise<void> {
    const start = Math.floor(position / blockBytes) * blockBytes;
    const end = Math.min(Math.ceil((position + count) / blockBytes) * blockBytes, this.file.size);
    await this.need(start, end);
    const window = Buffer.alloc(Math.max(0, end - start));
    await this.handle.read(window, 0, window.length, start);
    this.window = window;
    this.windowStart = start;
  }

  async bytes(start: number, end: number): Promise<Buffer> {
    await this.load(start, end - start);
    return this.window.subarray(start - this.windowStart, end - this.windowStart);
  }
}

/** Messages of ONNX by kind: which of their fields are messages that weights can be in. */
const messages = {
  model: { 7: 'graph', 25: 'function' },
  function: { 7: 'node' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  tensor: {},
} as const satisfies Readonly<Record<string, Readonly<Record<number, string>>>>;
type Kind = keyof typeof messages;

const [rawData, externalData] = [9, 13];
/** Bytes of a varint, and of what tells where a weight lies. */
const [varintBytes, entryBytes] = [10, 4096];

/** Where a weight lies that is in another file: its path from the model's on. */
interface Elsewhere {
  readonly location: string;
  readonly offset: number;
  /** Undefined where nothing is said. */
  readonly length: number | undefined;
}

/** Goes through a model field by field, so that all but its weights are there in the end. */
class Walk {
  readonly elsewhere: Elsewhere[] = [];
  private fields = 0;
  private next = 0;

  constructor(private readonly copy: Copy) {}

  all(): Promise<void> {
    return this.message('model', 0, this.copy.file.size, 0);
  }

  private async message(kind: Kind, start: number, end: number, level: number): Promise<void> {
    if (level > mostLevels) throw this.unreadable('it is nested without end');
    const inner: Readonly<Record<number, Kind>> = messages[kind];
    const entries = new Map<string, string>();
    for (let position = start; position < end; ) {
      if (++this.fields > mostFields) throw this.unreadable('it has more parts than any model');
      const key = await this.varint(position, end);
      const [number, type] = [Math.floor(key / 8), key % 8];
      const length = type === 2 ? await this.varint(this.next, end) : 0;
      const payload = this.next;
      let to = payload + length;
      if (type === 0) {
        await this.varint(payload, end);
        to = this.next;
      } else if (type === 1) to = payload + 8;
      else if (type === 5) to = payload + 4;
      else if (type !== 2) throw this.unreadable(`it has a field of an unknown kind at byte ${position}`);
      if (to > end) throw this.unreadable(`it states more bytes at byte ${position} than there are`);
      const within = type === 2 ? inner[number] : undefined;
      if (within !== undefined) await this.message(within, payload, to, level + 1);
      else if (kind === 'tensor' && number === externalData) await this.entry(payload, to, entries);
      else if (kind !== 'tensor' || number !== rawData || to - payload <= wholeUpTo) await this.copy.need(position, to);
      position = to;
    }
    const location = entries.get('location');
    if (location === undefined) return;
    const whole = (text: string | undefined) => (text && /^\d{1,15}$/.test(text) ? Number(text) : undefined);
    const [offset = 0, length] = [whole(entries.get('offset')), whole(entries.get('length'))];
    this.elsewhere.push({ location, offset, length });
  }

  /** A key and a value, of where a weight lies. */
  private async entry(start: number, end: number, into: Map<string, string>): Promise<void> {
    if (end - start > entryBytes) throw this.unreadable('the name of a data file is longer than any');
    const words: string[] = [];
    for (let position = start; position < end; ) {
      const key = await this.varint(position, end);
      const length = await this.varint(this.next, end);
      position = this.next + length;
      if (key % 8 !== 2 || position > end) throw this.unreadable('what tells where a weight lies is damaged');
      words[Math.floor(key / 8)] = (await this.copy.bytes(this.next, position)).toString('utf8');
    }
    if (words[1] !== undefined) into.set(words[1], words[2] ?? '');
  }

  /** The number at `position`, of up to 53 bits; `next` is behind it. */
  private async varint(position: number, end: number): Promise<number> {
    let value = 0;
    for (let i = 0; i < varintBytes && position + i < end; i++) {
      if (this.copy.byte(position + i) === undefined) await this.copy.load(position + i, varintBytes);
      const byte = this.copy.byte(position + i) ?? 0;
      // Of negative numbers, which have ten bytes, the value is of no interest.
      if (i < 7) value += (byte & 127) * 2 ** (7 * i);
      if (byte >= 128) continue;
      this.next = position + i + 1;
      return value;
    }
    throw this.unreadable(`it is damaged at byte ${position}`);
  }

  private unreadable(why: string): SinkscopeError {
    const { path } = this.copy.file;
    return new SinkscopeError({
      code: 'file',
      message: `${path} is no ONNX model that can be read: ${why}; choose another file.`,
    });
  }
}

/** Exactly these bytes of a file. */
async function partOf(
  hub: Hub,
  listing: Listing,
  { path, size }: HubFile,
  { start, end, signal }: { readonly start: number; readonly end: number; readonly signal: AbortSignal },
): Promise<Uint8Array> {
  const response = await openFile(hub, listing, path, { start, end, signal });
  if (response.status !== 206 && (start > 0 || end < size)) {
    await response.body?.cancel();
    throw network(
      `${hub.endpoint} gives no parts of files, so nobody can look into ${path} before it is here; download it.`,
    );
  }
  const bytes = Buffer.alloc(end - start);
  let got = 0;
  try {
    for await (const part of response.body ?? []) {
      if (got + part.length <= bytes.length) bytes.set(part, got);
      got += part.length;
      if (got > bytes.length) break;
    }
  } catch (error) {
    throw network(`The connection broke while ${path} was looked into: ${why(error)}. Try it again.`, error);
  }
  if (got === bytes.length) return bytes;
  throw network(`${path} came as another part than was asked for; try it again later.`);
}
