/** Records of a Parquet file, of which one column holds texts: read where files are read, and given some at a time. */
import * as v from 'valibot';
import { maybe, type Sent, text, whole } from '../../schemas.js';
import { path } from './request.js';

export const recordsRequest = v.object({
  file: path,
  /** The column with the texts; undefined: `text`, or the only one that holds texts. */
  column: maybe(text),
  /** From this one on, counted from 0. */
  from: whole,
});

export const recordsAnswer = v.object({
  /** Null where a record has none. */
  texts: v.array(v.nullable(text)),
  /** Of the whole file. */
  rows: whole,
  column: text,
});
export type RecordsAnswer = Sent<typeof recordsAnswer>;
