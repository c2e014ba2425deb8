/**
 * The safetensors format (github.com/huggingface/safetensors): eight bytes with the header's length, a JSON header,
 * then the tensors' bytes, little-endian, row-major and without gaps.
 */
import { type FileHandle, open, stat } from 'node:fs/promises';
import * as v from 'valibot';
import { fileReason, SinkscopeError } from '../errors.js';
import { beginSaving, endSaving, giveUpSaving, unwritable } from '../saving.js';
import { named, quoted } from '../visible.js';

const ELEMENT_BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const;

export type SafetensorsType = keyof typeof ELEMENT_BYTES;

export interface SafetensorsTensor {
  readonly dtype: SafetensorsType;
  readonly shape: readonly number[];
  /** Owns its buffer, so any typed array can be laid over it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** An opened file: its header is read and checked, tensors are read when asked for. */
export interface Safetensors {
  readonly names: readonly string[];
  /** @throws SinkscopeError `input` where there is no such tensor, `file` where the file has changed or gone. */
  tensor(name: string): Promise<SafetensorsTensor>;
}

/** One on the disk, of whose tensors parts can be read. */
export interface SafetensorsFile extends Safetensors {
  /** Type and shape of a tensor, which is not read; undefined where there is none. */
  known(name: string): Pick<SafetensorsTensor, 'dtype' | 'shape'> | undefined;
  /**
   * Along its first axis from … to - 1 of a tensor, as it lies there.
   *
   * @throws SinkscopeError as `tensor` does, and `input` where there are no such rows
   */
  rows(name: string, from: number, to: number): Promise<SafetensorsTensor>;
}

/** The format's own limit for headers. */
const MAX_HEADER = 100_000_000;
/** Some systems refuse larger single reads and writes. */
const CHUNK = 1 << 28;

const extent = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const headerEntry = v.object({
  dtype: v.string(),
  shape: v.array(extent),
  data_offsets: v.tuple([extent, extent]),
});

interface Range {
  readonly dtype: SafetensorsType;
  readonly shape: readonly number[];
  /** Bytes from the start of the file. */
  readonly begin: number;
  readonly length: number;
}

/**
 * Opens a `.safetensors` file, which is not trusted: every size and offset is checked against the file before use.
 *
 * @throws SinkscopeError `file` where it cannot be read or is not what it says.
 */
export async function openSafetensors(file: string): Promise<SafetensorsFile> {
  const ranges = await reading(file, async (handle) => readHeader(file, handle));
  const rangeOf = (name: string): Range => {
    const range = ranges.get(name);
    if (range) return range;
    throw new SinkscopeError({ code: 'input', file, message: `${file} has no tensor ${quoted(name)}.` });
  };
  return {
    names: [...ranges.keys()],
    known: (name) => ranges.get(name),
    async tensor(name) {
      const { dtype, shape, begin, length } = rangeOf(name);
      return { dtype, shape, bytes: await reading(file, (handle) => readExactly(file, handle, begin, length)) };
    },
    async rows(name, from, to) {
      const { dtype, shape, begin, length } = rangeOf(name);
      const [all = 1, ...rest] = shape;
      if (!(from >= 0 && from < to && to <= all)) {
        const message = `${file} has no rows ${from} to ${to - 1} of tensor ${quoted(name)}.`;
        throw new SinkscopeError({ code: 'input', file, message });
      }
      const row = length / all;
      const bytes = await reading(file, (handle) => readExactly(file, handle, begin + from * row, (to - from) * row));
      return { dtype, shape: [to - from, ...rest], bytes };
    },
  };
}

async function readHeader(file: string, handle: FileHandle): Promise<Map<string, Range>> {
  const { size } = await handle.stat();
  if (size < 8) throw invalid(file, 'it is shorter than the eight bytes every such file begins with');
  const start = await readExactly(file, handle, 0, 8);
  if (Buffer.from(start).toString('latin1', 1, 6) === 'NUMPY')
    throw invalid(file, 'it is a .npy, whose tensor has no name: save it with numpy.savez, as .npz');
  const length = Number(new DataView(start.buffer).getBigUint64(0, true));
  if (length > MAX_HEADER || length > size - 8) {
    throw invalid(file, `its header claims ${length} bytes and the file has ${size}`);
  }
  const data = 8 + length;
  const ranges = new Map<string, Range>();
  for (const [name, entry] of Object.entries(parse(file, await readExactly(file, handle, 8, length)))) {
    if (name !== '__metadata__') ranges.set(name, checkedRange(file, name, entry, data));
  }
  let end = data;
  for (const [name, { begin, length }] of [...ranges].sort(
    ([, a], [, b]) => a.begin - b.begin || a.length - b.length,
  )) {
    if (begin < end) throw invalid(file, `tensor ${quoted(name)} overlaps another`);
    if (begin > end) throw invalid(file, `there is a gap before tensor ${quoted(name)}`);
    end = begin + length;
  }
  if (end > size) throw invalid(file, `it is cut off: ${end} bytes are announced and ${size} are there`);
  if (end < size) throw invalid(file, `${size - end} bytes at its end belong to no tensor`);
  return ranges;
}

function parse(file: string, header: Uint8Array): object {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(header));
  } catch (error) {
    throw invalid(file, 'its header is not JSON', error);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw invalid(file, 'its header is not a JSON object');
  }
  return parsed;
}

function checkedRange(file: string, name: string, entry: unknown, data: number): Range {
  const parsed = v.safeParse(headerEntry, entry);
  if (!parsed.success) throw invalid(file, `the header's entry for tensor ${quoted(name)} is malformed`);
  const { dtype, shape, data_offsets } = parsed.output;
  if (!isKnown(dtype))
    throw invalid(file, `tensor ${quoted(name)} has the type ${named(dtype)}, which is not supported`);
  const [begin, end] = data_offsets;
  const length = shape.reduce((product, extent) => product * extent, ELEMENT_BYTES[dtype]);
  if (end - begin !== length) {
    throw invalid(file, `tensor ${quoted(name)} needs ${length} bytes for its shape and has ${end - begin}`);
  }
  return { dtype, shape, begin: data + begin, length };
}

function isKnown(dtype: string): dtype is SafetensorsType {
  return Object.hasOwn(ELEMENT_BYTES, dtype);
}

async function reading<T>(file: string, read: (handle: FileHandle) => Promise<T>): Promise<T> {
  let handle: FileHandle | undefined;
  try {
    // Opening a pipe would wait for a writer.
    if (!(await stat(file)).isFile()) throw invalid(file, 'it is no ordinary file');
    handle = await open(file, 'r');
    return await read(handle);
  } catch (error) {
    if (error instanceof SinkscopeError) throw error;
    throw new SinkscopeError(
      { code: 'file', file, message: `${file} could not be read: ${fileReason(error)}.` },
      { cause: error },
    );
  } finally {
    await handle?.close();
  }
}

async function readExactly(file: string, handle: FileHandle, position: number, length: number) {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(CHUNK, length - done), position + done);
    if (bytesRead === 0) throw invalid(file, 'it ended while it was being read');
    done += bytesRead;
  }
  return bytes;
}

function invalid(file: string, why: string, cause?: unknown): SinkscopeError {
  return new SinkscopeError(
    {
      code: 'file',
      file,
      message: `${file} is not a valid safetensors file: ${why}. Write it again or choose another.`,
    },
    { cause },
  );
}

/** Decimal digits of the largest number a header can hold. */
const DIGITS = 16;
const MAX_RANK = 4;

/**
 * Writes float32 tensors one by one as they are produced; the file appears under its name when all is well.
 *
 * Room for the header is kept at the front (the format lets it end in spaces), so nothing is copied or held.
 * Every failure removes what was written and is a SinkscopeError `save`; src/saving.ts says what a killed process leaves.
 */
export class SafetensorsWriter {
  private readonly entries: Record<string, { dtype: 'F32'; shape: readonly number[]; data_offsets: [number, number] }> =
    {};
  private position = 0;

  private constructor(
    private readonly file: string,
    private readonly handle: FileHandle,
    private readonly announced: ReadonlySet<string>,
    private readonly headerBytes: number,
  ) {}

  /** Begins the file. `names` are all that may be appended; those that never come are simply absent. */
  static async create(file: string, names: Iterable<string>): Promise<SafetensorsWriter> {
    const announced = new Set(names);
    let room = '{}'.length;
    for (const name of announced) {
      room += Buffer.byteLength(JSON.stringify(name)) + ':{"dtype":"F32","shape":[],"data_offsets":[,]},'.length;
      room += MAX_RANK * (DIGITS + 1) + 2 * DIGITS;
    }
    return new SafetensorsWriter(file, await beginSaving(file), announced, 8 * Math.ceil(room / 8));
  }

  /**
   * Appends a tensor of at most four axes, row-major; in parts where it is too large to be held.
   *
   * @throws RangeError where the name was not announced or came before, or the values do not fill the shape.
   */
  async append(
    name: string,
    shape: readonly number[],
    values: Float32Array | Iterable<Float32Array> | AsyncIterable<Float32Array>,
  ): Promise<void> {
    if (!this.announced.has(name) || Object.hasOwn(this.entries, name) || shape.length > MAX_RANK) {
      throw new RangeError(`Tensor ${name} [${shape}] was not announced, or was written before`);
    }
    const begin = this.position;
    for await (const part of values instanceof Float32Array ? [values] : values) await this.write(part);
    const expected = shape.reduce((product, extent) => product * extent, Float32Array.BYTES_PER_ELEMENT);
    if (this.position - begin !== expected) {
      throw new RangeError(`Tensor ${name} [${shape}] needs ${expected} bytes and got ${this.position - begin}`);
    }
    this.entries[name] = { dtype: 'F32', shape, data_offsets: [begin, this.position] };
  }

  /** Writes the header, makes sure that all is on the disk, and gives the file its name. */
  async finish(): Promise<void> {
    const start = Buffer.alloc(8 + this.headerBytes, ' ');
    start.writeBigUInt64LE(BigInt(this.headerBytes));
    start.write(JSON.stringify(this.entries), 8);
    try {
      await writeExactly(this.handle, start, 0);
    } catch (error) {
      await this.abort();
      throw unwritable(this.file, error);
    }
    await endSaving(this.file, this.handle);
  }

  /** Gives up: removes what was written and leaves a file that was there before as it is. */
  async abort(): Promise<void> {
    await giveUpSaving(this.file, this.handle);
  }

  private async write(values: Float32Array): Promise<void> {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    try {
      await writeExactly(this.handle, bytes, 8 + this.headerBytes + this.position);
    } catch (error) {
      await this.abort();
      throw unwritable(this.file, error);
    }
    this.position += bytes.length;
  }
}

async function writeExactly(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(CHUNK, bytes.length - done), position + done);
    done += bytesWritten;
  }
}
