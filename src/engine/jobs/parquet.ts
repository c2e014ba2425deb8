/** Texts of a Parquet file, a row group at a time: what the file says is held against bounds before anything is unpacked. */
import { open, stat } from 'node:fs/promises';
import zlib from 'node:zlib';
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
} from 'hyparquet';
import { decompressLz4, decompressLz4Raw, decompressZstd } from 'hyparquet-compressors';
import { fileReason, grouped, SinkscopeError } from '../../errors.js';
import { unnamedColumn } from '../../reading.js';
import { named } from '../../visible.js';
import type { RecordsAnswer } from '../contract/records.js';

/** Of the part of a file that says where everything is, and of one column of one row group, packed or not. */
const most = { footer: 64 * 2 ** 20, chunk: 512 * 2 ** 20, rows: 1_000_000 };
/** Characters that are given at once, beside the text that goes beyond them. */
const together = 4 * 2 ** 20;

/** The row group that was read last: texts are asked for one after another. */
let last: { readonly key: string; readonly start: number; readonly texts: readonly (string | null)[] } | undefined;

/**
 * The texts of records from one on: at least one, unless there are no more.
 *
 * @throws SinkscopeError `file` where it cannot be read or is no Parquet file; `input` where the column is not there, holds
 *   no texts, or is not named and several could be meant
 */
export async function parquetTexts(file: string, column: string | undefined, from: number): Promise<RecordsAnswer> {
  const fail = (message: string, cause?: unknown) => new SinkscopeError({ code: 'file', file, message }, { cause });
  const status = await stat(file).catch((error: unknown) => {
    throw fail(`${file} could not be read: ${fileReason(error)}.`, error);
  });
  if (!status.isFile()) throw fail(`${file} is no plain file; give a Parquet file.`);
  const buffer = bufferOf(file, status.size);
  const metadata = await readMetadata(buffer, file);
  const wanted = columnOf(metadata, column, file);
  const rows = Number(metadata.num_rows);
  const key = `${file} ${status.size} ${status.mtimeMs} ${wanted}`;
  if (last?.key !== key || from < last.start || from >= last.start + last.texts.length) {
    const group = groupAt(metadata, from, wanted, file);
    last = undefined;
    if (!group) return { texts: [], rows, column: wanted };
    last = { key, start: group.start, texts: await textsOf(buffer, metadata, group, wanted, file) };
  }
  const texts: (string | null)[] = [];
  let characters = 0;
  for (const text of last.texts.slice(from - last.start)) {
    texts.push(text);
    characters += text?.length ?? 0;
    if (characters > together) break;
  }
  return { texts, rows, column: wanted };
}

/** Reads that stay within the file. */
function bufferOf(file: string, byteLength: number): AsyncBuffer {
  return {
    byteLength,
    async slice(start, end = byteLength) {
      const length = end - start;
      if (!(start >= 0 && length >= 0 && end <= byteLength && length <= most.chunk))
        throw new Error('its parts do not lie in it');
      const handle = await open(file, 'r');
      try {
        const bytes = new Uint8Array(length);
        let read = 0;
        while (read < length) {
          const { bytesRead } = await handle.read(bytes, read, length - read, start + read);
          if (bytesRead === 0) throw new Error('it ends too early');
          read += bytesRead;
        }
        return bytes.buffer;
      } finally {
        await handle.close();
      }
    },
  };
}

async function readMetadata(buffer: AsyncBuffer, file: string): Promise<FileMetaData> {
  const damaged = (error: unknown) =>
    new SinkscopeError(
      { code: 'file', file, message: `${file} is no Parquet file, or is damaged: ${named(reasonOf(error))}.` },
      { cause: error },
    );
  try {
    if (buffer.byteLength < 12) throw new Error('it is too short');
    const tail = new DataView(await buffer.slice(buffer.byteLength - 8));
    if (tail.getUint32(4, true) !== 0x31524150) throw new Error('it does not end as one');
    if (tail.getUint32(0, true) > Math.min(most.footer, buffer.byteLength - 8))
      throw new Error('its footer is larger than is taken');
    return await parquetMetadataAsync(buffer);
  } catch (error) {
    throw damaged(error);
  }
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error)).replace(/^parquet /, '');

/** The names of columns of texts at the top. */
function columnOf({ schema }: FileMetaData, column: string | undefined, file: string): string {
  const [root, ...elements] = schema;
  // Each stands before what is in it.
  const top: (typeof elements)[number][] = [];
  for (let i = 0; i < elements.length && top.length < (root?.num_children ?? 0); i++) {
    const element = elements[i];
    if (!element) break;
    top.push(element);
    for (let inside = element.num_children ?? 0; inside > 0; inside--) {
      i++;
      inside += elements[i]?.num_children ?? 0;
    }
  }
  const isText = ({ type, converted_type, logical_type, num_children }: (typeof elements)[number]) =>
    num_children === undefined &&
    type === 'BYTE_ARRAY' &&
    (converted_type === 'UTF8' || logical_type?.type === 'STRING');
  const texts = top.filter(isText).map(({ name }) => name);
  const fail = (message: string) => new SinkscopeError({ code: 'input', file, message });
  const columns = top.map(({ name }) => name);
  const names = columns.map(named).join(', ');
  if (column !== undefined) {
    if (texts.includes(column)) return column;
    const there = top.some(({ name }) => name === column);
    throw fail(
      `${file} has ${there ? `no texts in the column ${named(column)}` : `no column ${named(column)}`}; its columns are ${names}.`,
    );
  }
  const [only, ...others] = texts;
  if (texts.includes('text')) return 'text';
  if (only !== undefined && others.length === 0) return only;
  if (only === undefined) throw fail(`${file} has no column of texts; its columns are ${names}.`);
  throw fail(unnamedColumn(file, columns, only));
}

interface Group {
  readonly start: number;
  readonly end: number;
}

/** The row group that holds a row; undefined behind the last. */
function groupAt({ row_groups }: FileMetaData, row: number, column: string, file: string): Group | undefined {
  let start = 0;
  for (const { num_rows, columns } of row_groups) {
    const end = start + Number(num_rows);
    if (row < end && end > start) {
      const chunk = columns.find(({ meta_data }) => meta_data?.path_in_schema[0] === column)?.meta_data;
      const sizes = [chunk?.total_compressed_size, chunk?.total_uncompressed_size].map(Number);
      // Numbers of a stranger: NaN, too.
      if (!(end - start <= most.rows && sizes.every((size) => size >= 0 && size <= most.chunk))) {
        const message = `${file} has more than ${grouped(most.rows)} rows or 512 MB of texts in one row group; write it with smaller row groups.`;
        throw new SinkscopeError({ code: 'input', file, message });
      }
      return { start, end };
    }
    start = end;
  }
  return undefined;
}

async function textsOf(
  file: AsyncBuffer,
  metadata: FileMetaData,
  { start, end }: Group,
  column: string,
  path: string,
): Promise<(string | null)[]> {
  try {
    const rows = await parquetReadObjects({
      file,
      metadata,
      columns: [column],
      rowStart: start,
      rowEnd: end,
      compressors,
    });
    if (rows.length !== end - start) throw new Error('it has fewer rows than it says');
    return rows.map((row) => {
      const text: unknown = row[column];
      if (text === null || text === undefined) return null;
      if (typeof text !== 'string') throw new Error(`the column ${column} holds more than texts`);
      return text;
    });
  } catch (error) {
    throw new SinkscopeError(
      { code: 'file', file: path, message: `${path} cannot be read as Parquet: ${named(reasonOf(error))}.` },
      { cause: error },
    );
  }
}

/**
 * To no more than what was promised: by Node.js itself where all its versions can, else by a library; snappy is the
 * reader's own.
 */
const compressors: Compressors = {
  GZIP: (input, outputLength) => zlib.gunzipSync(input, { maxOutputLength: bounded(outputLength) }),
  BROTLI: (input, outputLength) => zlib.brotliDecompressSync(input, { maxOutputLength: bounded(outputLength) }),
  ZSTD: (input, outputLength) => decompressZstd(input, new Uint8Array(bounded(outputLength))),
  LZ4: (input, outputLength) => decompressLz4(input, bounded(outputLength)),
  LZ4_RAW: (input, outputLength) => decompressLz4Raw(input, bounded(outputLength)),
};

const bounded = (length: number) => Math.max(1, Math.min(length, most.chunk));
