import type { Survey } from '../../engine/contract/surveys.js';
import { SinkscopeError } from '../../errors.js';
import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { presentSurvey, surveyJson, surveyTable } from '../shared/survey-view.js';
import { runSurvey } from './units.js';

const wanted = 'It is a shard and their number, as in 0/4 … 3/4.';

export const survey = define({
  id: 'survey',
  title: 'Survey of a corpus',
  about: 'massive',
  command: 'Survey a Corpus',
  description: 'Whether the same dims are massive at the same kinds of token, whatever the text.',
  help: 'find which dims are massive at which kinds of token, over many sequences',
  saves: 'write what was found to a .json file that sinkscope merge takes, or its records to a .parquet file',
  inputs: {
    model: shared.model,
    texts: shared.corpus,
    sequences: {
      kind: 'whole',
      label: 'Sequences',
      flag: '--sequences <N>',
      help: 'how many to run',
      unit: 'sequences',
      least: 1,
      default: 100,
    },
    length: { ...shared.window, label: 'Length (tokens)', flag: '--length <tokens>', least: 1, default: 128 },
    shard: {
      kind: 'words',
      label: 'Shard',
      flag: '--shard <i/n>',
      help: 'run only every n-th sequence; shards 0 to n−1, or 1 to n, make up the whole',
      pattern: { source: '\\d{1,6}/[1-9]\\d{0,5}', wanted },
      open: 'all',
    },
    workers: {
      kind: 'whole',
      label: 'Processes',
      flag: '--workers <k>',
      help: 'how many processes share the sequences',
      unit: 'processes',
      least: 1,
      most: 256,
      default: 1,
    },
    parts: {
      kind: 'words',
      label: 'Folder for parts',
      flag: '--parts <folder>',
      help: 'keep what is done in this folder, and do not run again what is there',
      writes: true,
      open: 'none',
    },
  },
  run({ engine, ...setup }, { texts, shard, ...values }, signal) {
    const part = shard === undefined ? undefined : shardOf(shard);
    return runSurvey(engine, { ...setup, ...values, texts: texts.texts, shard: part }, signal);
  },
  present: (result, { texts, ...wanted }) => presentSurvey(result, texts.name, wanted),
  json: (result, { texts }) => ({ ...surveyJson(result), file: texts.name }),
  file: (result, { texts }) => ({ ...result, file: texts.name }),
  rows: surveyTable,
});

/** `i/n`; both ways to count shards make up the whole, because shard n is shard 0. */
function shardOf(words: string): Survey['shard'] {
  const [i = 0, n = 0] = words.split('/').map(Number);
  if (i > n) throw new SinkscopeError({ code: 'input', message: wanted });
  return { index: i % n, of: n };
}
