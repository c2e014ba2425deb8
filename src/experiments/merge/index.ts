/** What a job array made, as one survey. */
import { basename } from 'node:path';
import { define } from '../experiment.js';
import { mergeParts } from '../shared/merge.js';
import { presentSurvey, surveyJson, surveyTable } from '../shared/survey-view.js';

export const merge = define({
  id: 'merge',
  title: 'Merge surveys',
  about: 'massive',
  command: 'Merge Surveys…',
  description:
    'The parts of a survey that was run elsewhere, written by sinkscope survey --save, as the whole they make.',
  help: 'put the parts of a survey together',
  saves: 'write the whole to a .json file, or its records to a .parquet file',
  inputs: {
    parts: {
      kind: 'files',
      label: 'Parts',
      flag: '<parts...>',
      help: 'files written by sinkscope survey --shard i/n --save',
      one: 'part',
      extensions: ['json'],
    },
  },
  run: ({ engine }, { parts }, signal) => mergeParts(engine, parts, signal),
  present: (result, { parts }) => presentSurvey(result, parts.map((file) => basename(file)).join(', ')),
  json: (result, { parts }) => ({ ...surveyJson(result), parts }),
  file: (result, { parts }) => ({ ...result, parts }),
  rows: surveyTable,
});
