/** Parts of a survey, put together by the engine: what files hold is read in its process alone. */
import type { MergeEvent, Survey } from '../../engine/contract/surveys.js';
import type { Engine } from '../../engine/host/engine.js';
import type { Run } from '../experiment.js';
import { follow } from './text.js';

/**
 * The whole of which files hold the parts, or that shard of it.
 *
 * @throws SinkscopeError `file` where a part cannot be read; `input` where it is none, or where they do not belong
 *   together
 */
export async function* mergeParts(
  engine: Engine,
  parts: readonly string[],
  signal?: AbortSignal,
  making?: Survey['shard'],
): Run<Survey> {
  let head: Extract<MergeEvent, { type: 'merged' }> | undefined;
  const records: Survey['records'][number][] = [];
  for await (const event of follow(engine.run('merge', { parts, shard: making }, signal))) {
    if (event.type === 'merged') head = event;
    else for (const record of event.records) records.push(record);
    yield { phase: 'sequence', done: records.length, of: head?.settings.sequences ?? 0 };
  }
  if (!head) throw new Error('nothing was merged');
  const { survey, settings, shard } = head;
  return { survey, settings, shard, records };
}
