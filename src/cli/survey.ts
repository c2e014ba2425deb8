import { Command, InvalidArgumentError, Option } from 'commander';
import { formatNumber, formatValue } from '../analysis/format.js';
import { textLabel } from '../analysis/label.js';
import { defaultThresholds } from '../analysis/thresholds.js';
import type { Engine } from '../engine/host/engine.js';
import { readTexts } from '../experiments/shared/files.js';
import { type Survey, survey } from '../experiments/survey/compute.js';
import { presentSurvey } from '../experiments/survey/present.js';
import { mergeSurveys, readSurveys, type SurveyRow, surveyRows } from '../experiments/survey/table.js';
import { modelFile } from './model.js';
import { followed } from './progress.js';
import { checkTarget, saveJson } from './save.js';
import { columns, section } from './table.js';
import { budget, whole, withRunOptions } from './text.js';
import { print } from './words.js';

interface Options {
  readonly file: string;
  readonly sequences: number;
  readonly length: number;
  readonly shard?: Survey['shard'];
  readonly save?: string;
  readonly bos?: boolean;
  readonly memory: number;
  readonly json?: boolean;
}

export function surveyCommand(engine: Engine, signal: AbortSignal): Command {
  return withRunOptions(new Command('survey'))
    .description('find which dims are massive at which kinds of token, over many sequences')
    .argument('<model>', 'path of a .onnx file, or the name of a bundled model')
    .requiredOption('--file <path>', 'a UTF-8 text file, or a folder with .txt and .md files')
    .addOption(new Option('--sequences <N>', 'how many to run').argParser(whole('sequences')).default(100))
    .addOption(
      new Option('--length <tokens>', 'length of a sequence, prefix included').argParser(whole('tokens')).default(128),
    )
    .addOption(
      new Option(
        '--shard <i/n>',
        'run only every n-th sequence; shards 0 to n−1, or 1 to n, make up the whole',
      ).argParser(parseShard),
    )
    .option('--save <path>', 'write what was found to a file that sinkscope merge takes')
    .action(async (name: string, options: Options) => {
      await checkTarget(options.save);
      const request = {
        ...options,
        ...budget(options),
        model: await modelFile(name),
        texts: readTexts([options.file]),
        thresholds: defaultThresholds,
      };
      const last = await followed(survey(engine, request, signal), ({ done, of }) => ({ done, of, text: 'sequences' }));
      if (!last.survey) throw new Error('the survey has no end');
      const { file, json, save, sequences } = options;
      const shown = presentSurvey(last.survey, { model: last.survey.settings.model.name, text: file }, sequences);
      try {
        await saveJson(save, { ...last.survey, file });
      } finally {
        print(json, shown, { ...toJson(last.survey), file }, tables(last.survey));
      }
    });
}

export function mergeCommand(): Command {
  return new Command('merge')
    .description('put the parts of a survey together')
    .argument('<parts...>', 'files written by survey --shard i/n --save')
    .option('--save <path>', 'write the whole to a file')
    .option('--json', 'print the result as JSON')
    .action(async (files: string[], options: { readonly save?: string; readonly json?: boolean }) => {
      await checkTarget(options.save);
      const whole = mergeSurveys(await readSurveys(files));
      const shown = presentSurvey(whole, { model: whole.settings.model.name, text: files.join(', ') });
      try {
        await saveJson(options.save, { ...whole, parts: files });
      } finally {
        print(options.json, shown, { ...toJson(whole), parts: files }, tables(whole));
      }
    });
}

/** `i/n`; both ways to count shards make up the whole, because shard n is shard 0. */
function parseShard(value: string): Survey['shard'] {
  const [, i, n] = (/^(\d{1,6})\/([1-9]\d{0,5})$/.exec(value) ?? []).map(Number);
  if (i === undefined || n === undefined || i > n) {
    throw new InvalidArgumentError('It is a shard and their number, as in 0/4 … 3/4.');
  }
  return { index: i % n, of: n };
}

function toJson(survey: Survey) {
  const { settings, shard, records } = survey;
  const { model, corpus, sequences, length, prefix, thresholds } = settings;
  const rows = surveyRows(survey);
  return {
    survey: survey.survey,
    model,
    corpus,
    sequences,
    length,
    prefix,
    thresholds,
    shard,
    run: records.length,
    rows: rows.map(({ massiveSequences, deviation, ...row }) => ({
      ...row,
      massive_sequences: massiveSequences,
      share: row.sequences / records.length,
      deviation: deviation ?? null,
    })),
  };
}

function tables(survey: Survey): string[] {
  const { settings, records } = survey;
  const lines = surveyRows(survey).map((row) => [
    `${row.dim}`,
    row.kind,
    `${row.sequences} of ${records.length}`,
    `${row.massiveSequences}`,
    formatValue(row.mean),
    row.deviation === undefined ? '–' : formatNumber(row.deviation),
    tokensOf(row),
  ]);
  return [
    section(
      `Entries of at least ${settings.thresholds.soft} × the median`,
      columns(['dim', 'kind of token', 'sequences', 'massive', 'mean', '±'], 'tokens', lines),
    ),
  ];
}

function tokensOf({ tokens }: SurveyRow): string {
  const named = tokens.slice(0, 3).map(({ text, entries }) => `${textLabel(text)} ${entries}`);
  return [...named, ...(tokens.length > 3 ? [`${tokens.length - 3} others`] : [])].join(', ');
}
