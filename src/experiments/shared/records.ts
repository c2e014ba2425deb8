/** Files of records, of which one column is the text: JSON Lines (`.jsonl`), a record on each line, and Parquet (`.parquet`). */
import { createReadStream, existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { Engine } from '../../engine/host/engine.js';
import { grouped, SinkscopeError } from '../../errors.js';
import { notUtf8, unnamedColumn, unreadable } from '../../reading.js';
import type { NamedText } from '../values.js';

/** A file of records, and the column that holds the texts; undefined where the records are to tell. */
export interface RecordsAt {
  readonly file: string;
  readonly column: string | undefined;
}

/** What reads Parquet: in its process, for the file is somebody else's. */
export type RecordReader = Pick<Engine, 'records'>;

/** What a path means: `data.jsonl`, or `data.parquet#body` for the column `body`; undefined for other files. */
export function recordsAt(path: string): RecordsAt | undefined {
  const [, file, column] = /^(.*\.(?:jsonl|parquet))(?:#(.+))?$/is.exec(path) ?? [];
  if (file === undefined) return undefined;
  // A file may be called so.
  return column !== undefined && existsSync(path) ? undefined : { file, column };
}

/**
 * The texts of a file of records, in order, some at a time.
 *
 * @param most bytes of a line
 * @throws SinkscopeError `file` where it cannot be read, `input` for a record that has no text in the column or is none,
 *   and where no column is named and several could be meant
 */
export function readRecords(at: RecordsAt, most: number, reader: RecordReader): AsyncGenerator<NamedText> {
  return /\.parquet$/i.test(at.file) ? readParquet(at, reader) : readLines(at, most);
}

async function* readParquet({ file: path, column }: RecordsAt, reader: RecordReader): AsyncGenerator<NamedText> {
  const file = resolve(path);
  for (let from = 0; ; ) {
    const { texts, rows, column: found } = await reader.records({ file, column, from });
    if (rows === 0) throw new SinkscopeError({ code: 'input', file, message: `${file} has no records.` });
    for (const [i, text] of texts.entries()) {
      const number = from + i + 1;
      if (text === null) {
        const message = `Record ${number} of ${file} has no text in the column ${found}.`;
        throw new SinkscopeError({ code: 'input', file, message });
      }
      yield { name: `${basename(file)}:${number}`, text };
    }
    if (texts.length === 0) return;
    from += texts.length;
  }
}

/** Line by line; empty lines are left out. */
async function* readLines({ file: path, column }: RecordsAt, most: number): AsyncGenerator<NamedText> {
  const file = resolve(path);
  const fail = (message: string) => new SinkscopeError({ code: 'input', file, message });
  let wanted = column;
  let number = 0;
  for await (const line of linesOf(file, most)) {
    number++;
    if (/^\s*$/.test(line)) continue;
    const record = recordIn(line);
    if (!record) throw fail(`Line ${number} of ${file} is no JSON object; a record on each line is read.`);
    wanted ??= columnOf(record);
    if (wanted === undefined) {
      const columns = Object.keys(record);
      throw fail(unnamedColumn(file, columns, columns[0] ?? 'text'));
    }
    const text = record[wanted];
    if (typeof text !== 'string') throw fail(`Line ${number} of ${file} has no text in the column ${wanted}.`);
    yield { name: `${basename(file)}:${number}`, text };
  }
  if (wanted === undefined) throw fail(`${file} has no records.`);
}

/** `text`, also where this record has none in it, or the only column that holds one. */
function columnOf(record: Readonly<Record<string, unknown>>): string | undefined {
  if ('text' in record) return 'text';
  const texts = Object.keys(record).filter((name) => typeof record[name] === 'string');
  return texts.length === 1 ? texts[0] : undefined;
}

function recordIn(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    // Without a prototype, so that no column is there that the file has not.
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return Object.assign(Object.create(null), value);
  } catch {
    return undefined;
  }
}

/** Lines without their ends, UTF-8. */
async function* linesOf(file: string, most: number): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let parts: string[] = [];
  let length = 0;
  try {
    for await (const bytes of createReadStream(file) as AsyncIterable<Buffer>) {
      const [first = '', ...rest] = decoder.decode(bytes, { stream: true }).split('\n');
      parts.push(first);
      length += first.length;
      if (length > most) throw new Error(`a line has more than the ${grouped(most)} characters that are taken`);
      for (const next of rest) {
        yield parts.join('');
        parts = [next];
        length = next.length;
      }
    }
    decoder.decode();
  } catch (error) {
    if (error instanceof TypeError && 'code' in error && error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
      throw notUtf8(file, error);
    }
    throw new SinkscopeError({ code: 'file', file, message: unreadable(file, error) }, { cause: error });
  }
  if (length > 0) yield parts.join('');
}
