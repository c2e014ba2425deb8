import { basename } from 'node:path';
import { counted } from '../../analysis/format.js';
import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { experiment } from '../before/experiment.js';
import { massiveSettings, windowSettings } from '../shared/settings.js';
import { type Survey, survey, tokenKinds } from './compute.js';
import { mergeSurveys, readSurveys, type SurveyRow, surveyConclusion, surveyRows } from './table.js';

/** Dims that the heatmap shows; the table has all. */
const shown = 24;

/**
 * @param texts names of model and corpus
 * @param wanted sequences that were asked for
 */
export function presentSurvey(
  result: Survey,
  texts: { readonly model: string; readonly text: string },
  wanted = result.settings.sequences,
): Presentation {
  const { settings, shard, records } = result;
  const rows = surveyRows(result);
  const part = shard.of > 1 ? ` of ${settings.sequences} (shard ${shard.index} of ${shard.of})` : '';
  const dims = [...new Set([...rows].sort((a, b) => b.sequences - a.sequences).map(({ dim }) => dim))].slice(0, shown);
  const share = (dim: number, kind: string) =>
    (rows.find((row) => row.dim === dim && row.kind === kind)?.sequences ?? 0) / records.length;
  return {
    title: 'Survey',
    sentence: surveyConclusion(result, rows),
    settings: [
      { name: 'model', value: texts.model },
      { name: 'corpus', value: texts.text },
      { name: 'sequences', value: `${records.length}${part}` },
      ...windowSettings({ window: settings.length, prefix: settings.prefix }),
      ...massiveSettings(settings.thresholds),
      { name: 'large', value: `≥ ${settings.thresholds.soft} × median` },
    ],
    warnings:
      settings.sequences < wanted
        ? [`The corpus has only ${counted(settings.sequences, 'sequence')} of ${settings.length} tokens.`]
        : [],
    parts: [
      {
        kind: 'heatmap',
        heading: 'Share of sequences in which a dim stands out',
        rows: { name: 'token', labels: tokenKinds },
        columns: { name: 'dim', labels: dims.map(String) },
        value: { name: 'share of sequences', format: 'share' },
        scale: 'linear',
        values: tokenKinds.flatMap((kind) => dims.map((dim) => share(dim, kind))),
      },
      table(rows, records.length),
    ],
  };
}

function table(rows: readonly SurveyRow[], sequences: number): Presentation['parts'][number] {
  return {
    kind: 'table',
    heading: 'Dims by kind of token',
    columns: [
      { name: 'dim' },
      { name: 'at' },
      { name: 'large in', format: 'share' },
      { name: 'massive in', format: 'share' },
      { name: 'mean', format: 'value' },
      { name: 'std' },
      { name: 'entries', format: 'plain' },
      { name: 'tokens' },
    ],
    rows: rows.map((row) => [
      `${row.dim}`,
      row.kind,
      row.sequences / sequences,
      row.massiveSequences / sequences,
      row.mean,
      row.deviation ?? null,
      row.entries,
      row.tokens
        .slice(0, 3)
        .map(({ text, entries }) => `${JSON.stringify(text)} × ${entries}`)
        .join(', '),
    ]),
  };
}

export const surveyExperiment = experiment({
  id: 'survey',
  title: 'Survey of a corpus',
  description: 'Whether the same dims are massive at the same kinds of token, whatever the text.',
  inputs: {
    texts: { kind: 'texts', label: 'Corpus' },
    sequences: { kind: 'whole', label: 'Sequences', least: 1, default: 100 },
    length: { kind: 'whole', label: 'Length (tokens)', least: 2, default: 128 },
  },
  async *steps({ engine, ...setup }, { texts: corpus, ...values }, signal) {
    const names = { model: modelName(setup.model), text: corpus.name };
    const request = { ...setup, ...values, texts: corpus.texts };
    for await (const { done, of, survey: result } of survey(engine, request, signal))
      yield {
        done,
        of,
        text: `sequence ${done} of ${of}`,
        presentation: result && presentSurvey(result, names, values.sequences),
      };
  },
});

/** What a job array made, as one survey. */
export const mergeExperiment = experiment({
  id: 'merge',
  title: 'Merge surveys',
  description:
    'The parts of a survey that was run elsewhere, written by sinkscope survey --save, as the whole they make.',
  onChosen: false,
  inputs: { parts: { kind: 'files', label: 'Parts', extensions: ['json'] } },
  async *steps(_setup, { parts: files }) {
    const result = mergeSurveys(await readSurveys(files));
    const text = files.map((file) => basename(file)).join(', ');
    const presentation = presentSurvey(result, { model: result.settings.model.name, text });
    yield { done: files.length, of: files.length, text: 'merged', presentation };
  },
});
