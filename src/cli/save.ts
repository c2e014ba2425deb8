/** Results that `--save` writes. */
import { resolve } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { SinkscopeError } from '../errors.js';
import type { Experiment, Outcome } from '../experiments/experiment.js';
import { checkTarget, saveWhole } from '../saving.js';
import { jsonOf } from '../visible.js';

/**
 * Looks before a run whether its result can be written, so that it is not run for nothing.
 *
 * @throws SinkscopeError `save` that says what is in the way
 */
export async function checkSaves(path: string | undefined): Promise<void> {
  if (path !== undefined) await checkTarget(resolve(path));
}

const isParquet = (path: string) => /\.parquet$/i.test(path);

/**
 * Looks before a run whether an experiment has what a file of this name holds.
 *
 * @throws SinkscopeError `input`
 */
export function checkForm(path: string | undefined, { id, hasRows }: Experiment): void {
  if (path === undefined || !isParquet(path) || hasRows) return;
  const message = `${id} has no table of records for a Parquet file; name a .json file.`;
  throw new SinkscopeError({ code: 'input', message });
}

/**
 * Writes what an experiment saves, whole or not at all: its records to a `.parquet` file, else JSON; nothing without a
 * path.
 *
 * @throws SinkscopeError `save`
 */
export async function saveOutcome(path: string | undefined, { file, rows }: Outcome): Promise<void> {
  if (path === undefined) return;
  if (rows && isParquet(path)) {
    const columnData = rows.columns.map(({ name, type, data }) => ({ name, type, data: [...data], nullable: false }));
    const kvMetadata = [{ key: 'sinkscope', value: jsonOf(rows.about) }];
    await saveWhole(resolve(path), new Uint8Array(parquetWriteBuffer({ columnData, kvMetadata })));
  } else await saveWhole(resolve(path), `${jsonOf(file, 1)}\n`);
}
