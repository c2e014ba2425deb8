/** Text files: one, or those of a folder; and files of records. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { SinkscopeError } from '../../errors.js';
import { readUtf8, unreadable } from '../../reading.js';
import type { NamedText } from '../values.js';
import { type RecordReader, readRecords, recordsAt } from './records.js';

/** UTF-8 of the longest text that is tokenised, 2^24 UTF-16 units of at most three bytes, and a byte order mark. */
const maxBytes = 3 * 2 ** 24 + 3;

/** @throws SinkscopeError `file` where it cannot be read or is larger than 48 MB, `input` where it is not UTF-8. */
const readText = (path: string): Promise<string> => readUtf8(path, maxBytes);

/**
 * A file as one text: as it is, or the texts of its records with an empty line between them.
 *
 * @throws SinkscopeError `file` where it cannot be read or is larger than 48 MB, `input` where it is not UTF-8, and as
 *   {@link readRecords}
 */
export async function readDocument(path: string, reader: RecordReader): Promise<string> {
  const records = recordsAt(path);
  if (!records) return readText(path);
  const texts: string[] = [];
  let characters = 0;
  for await (const { text } of readRecords(records, maxBytes, reader)) {
    characters += text.length + 2;
    texts.push(text);
    // What is more than is tokenised of one text would be read for nothing.
    if (characters > maxBytes / 3) break;
  }
  return texts.join('\n\n');
}

/**
 * The texts of files, of the records in `.jsonl` and `.parquet` files, and of the files in folders by name, read one after another.
 * What a folder has beside files, and links to them, is left alone: a pipe would be waited for, and a device has no end.
 *
 * @throws SinkscopeError as {@link readText} and {@link readRecords}, and `input` for a folder without texts
 */
export async function* readTexts(
  paths: readonly string[],
  reader: RecordReader,
): AsyncGenerator<NamedText, void, void> {
  for (const path of paths) {
    for (const file of await textFilesAt(path)) {
      const records = recordsAt(file);
      if (records) yield* readRecords(records, maxBytes, reader);
      else yield { name: basename(file), file, text: await readText(file) };
    }
  }
}

/**
 * The file itself, or those of a folder that hold texts, by name.
 *
 * @throws SinkscopeError `file` for a folder that cannot be read, `input` for one without texts
 */
export async function textFilesAt(path: string): Promise<string[]> {
  const entry = await stat(path).catch(() => undefined);
  if (!entry?.isDirectory()) return [path];
  const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    const file = resolve(path);
    throw new SinkscopeError({ code: 'file', file, message: unreadable(file, error) }, { cause: error });
  });
  const named = entries
    .filter(({ name }) => /\.(txt|md|jsonl|parquet)$/i.test(name))
    .map(({ name }) => join(path, name));
  const isFile = await Promise.all(
    named.map((file) =>
      stat(file).then(
        (found) => found.isFile(),
        () => false,
      ),
    ),
  );
  const files = named.filter((_, i) => isFile[i]).sort();
  if (files.length > 0) return files;
  throw new SinkscopeError({
    code: 'input',
    file: resolve(path),
    message: `${resolve(path)} has no .txt, .md, .jsonl or .parquet file.`,
  });
}
