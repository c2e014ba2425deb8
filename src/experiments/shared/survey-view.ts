/** How surveys are shown, and their JSON. */
import { counted, formatNumber } from '../../analysis/format.js';
import { quotedText } from '../../analysis/label.js';
import type { Presentation } from '../../analysis/presentation.js';
import { type Survey, tokenKinds } from '../../engine/contract/surveys.js';
import type { SavedTable } from '../experiment.js';
import { massiveSettings, windowSettings } from './settings.js';
import { type SurveyRow, surveyConclusion, surveyRows } from './survey.js';

/** Dims that the heatmap shows; the table has all. */
const shown = 24;

/**
 * @param corpus what its texts are called
 * @param wanted sequences that were asked for, and tokens of each
 */
export function presentSurvey(
  result: Survey,
  corpus: string,
  wanted: Pick<Survey['settings'], 'sequences' | 'length'> = result.settings,
): Presentation {
  const { settings, shard, records } = result;
  const rows = surveyRows(result);
  const part = shard.of > 1 ? ` of ${formatNumber(settings.sequences)} (shard ${shard.index} of ${shard.of})` : '';
  const dims = [...new Set([...rows].sort((a, b) => b.sequences - a.sequences).map(({ dim }) => dim))].slice(0, shown);
  const share = (dim: number, kind: string) =>
    (rows.find((row) => row.dim === dim && row.kind === kind)?.sequences ?? 0) / records.length;
  return {
    title: 'Survey',
    sentence: surveyConclusion(result, rows),
    settings: [
      { name: 'model', value: settings.model.name },
      { name: 'corpus', value: corpus },
      { name: 'sequences', value: `${formatNumber(records.length)}${part}` },
      ...windowSettings({ window: settings.length, asked: wanted.length, prefix: settings.prefix }),
      { name: 'line ends', value: settings.lineEnds === 'lf' ? 'as LF' : 'as they are' },
      ...massiveSettings(settings.thresholds),
      { name: 'large', value: `≥ ${settings.thresholds.soft} × median` },
    ],
    warnings:
      settings.sequences < wanted.sequences
        ? [`The corpus has only ${counted(settings.sequences, 'sequence')} of ${counted(settings.length, 'token')}.`]
        : [],
    parts: [
      {
        kind: 'heatmap',
        heading: 'Share of sequences in which a dim stands out',
        rows: { name: 'token', labels: tokenKinds },
        columns: { name: 'dim', labels: dims.map(String), leads: { to: 'dim', values: dims } },
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
      { name: 'entries' },
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
        .map(({ text, entries }) => `${quotedText(text)} × ${formatNumber(entries)}`)
        .join(', '),
    ]),
  };
}

export function surveyJson(survey: Survey) {
  const { settings, shard, records } = survey;
  const { model, corpus, sequences, length, prefix, lineEnds, thresholds } = settings;
  return {
    survey: survey.survey,
    model,
    corpus,
    sequences,
    length,
    prefix,
    line_ends: lineEnds,
    thresholds,
    shard,
    run: records.length,
    rows: surveyRows(survey).map(({ massiveSequences, deviation, ...row }) => ({
      ...row,
      massive_sequences: massiveSequences,
      share: row.sequences / records.length,
      deviation: deviation ?? null,
    })),
  };
}

/** An entry of a sequence in each row; sequences in which nothing stands out have none. */
export function surveyTable({ survey, settings, shard, records }: Survey): SavedTable {
  const rows = records.flatMap(({ sequence, entries }) => entries.map((entry) => ({ sequence, ...entry })));
  return {
    about: { survey, settings, shard },
    columns: [
      { name: 'sequence', type: 'INT32', data: rows.map(({ sequence }) => sequence) },
      { name: 'dim', type: 'INT32', data: rows.map(({ dim }) => dim) },
      { name: 'kind', type: 'STRING', data: rows.map(({ kind }) => kind) },
      { name: 'token', type: 'STRING', data: rows.map(({ token }) => token) },
      { name: 'value', type: 'DOUBLE', data: rows.map(({ value }) => value) },
      { name: 'massive', type: 'BOOLEAN', data: rows.map(({ massive }) => massive) },
    ],
  };
}
