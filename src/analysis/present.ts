/** An analysis as experiments' results are: the sentence, what it depends on, and the tables behind it. */
import type { Analysis } from './analysis.js';
import { conditions } from './conditions.js';
import { layerName, textLabel } from './label.js';
import { massiveActivations, ratio } from './massive.js';
import { outputHeading, outputLines } from './outputs.js';
import { type Presentation, presented, type TablePart } from './presentation.js';
import { sinks } from './sinks.js';
import { summaryText, tokenName } from './summary.js';
import type { Thresholds } from './thresholds.js';

/** Tokens whose outputs are listed: the JSON has all. */
const mostLines = 24;

/**
 * What is shown of an analysis where it is written out: tables that have no row are left out.
 *
 * @param name of what was analysed, such as a document's
 */
export function presentAnalysis(analysis: Analysis, thresholds: Thresholds, name?: string): Presentation {
  const parts = [
    massiveTable(analysis, thresholds),
    sinkTable(analysis, thresholds),
    layerTable(analysis),
    predictionTable(analysis),
    ...outputTables(analysis),
  ];
  return presented({
    title: name === undefined ? 'Analysis' : `Analysis of ${name}`,
    sentence: summaryText(analysis, thresholds),
    settings: conditions(analysis, thresholds).map((value, i) => ({ name: i === 0 ? 'model' : '', value })),
    warnings: analysis.problem ? [analysis.problem.message] : [],
    parts: parts.filter(({ rows }) => rows.length > 0),
  });
}

function massiveTable(analysis: Analysis, thresholds: Thresholds): TablePart {
  return {
    kind: 'table',
    heading: 'Massive and large activations',
    columns: [
      { name: 'token', format: 'words' },
      { name: 'kind' },
      { name: 'dim', format: 'plain' },
      { name: 'value', format: 'value' },
      { name: '÷ median', format: 'ratio' },
      { name: 'layers' },
    ],
    rows: massiveActivations(analysis, thresholds).map(({ token, kind, dim, value, ratio, onset, last }) => [
      tokenName(analysis, token),
      kind,
      dim,
      value,
      ratio,
      onset === last ? layerName(onset) : `${layerName(onset)} to ${layerName(last)}`,
    ]),
  };
}

function sinkTable(analysis: Analysis, thresholds: Thresholds): TablePart {
  const { epsilon, heads, sinks: found } = sinks(analysis, thresholds);
  return {
    kind: 'table',
    heading: `Attention sinks (α > ${epsilon})`,
    columns: [
      { name: 'token', format: 'words' },
      { name: `of ${heads} heads`, format: 'plain' },
      { name: 'share', format: 'share' },
      { name: 'strongest α' },
      { name: 'where' },
    ],
    rows: found.map(({ token, heads: drawn, share, strongest }) => [
      token === undefined ? 'the extra column' : tokenName(analysis, token),
      drawn,
      share,
      strongest.alpha,
      `layer ${strongest.layer}, head ${strongest.head}`,
    ]),
  };
}

function layerTable(analysis: Analysis): TablePart {
  return {
    kind: 'table',
    heading: 'Largest activation by layer',
    columns: [
      { name: 'layer' },
      { name: 'value', format: 'value' },
      { name: 'dim', format: 'plain' },
      { name: 'token', format: 'words' },
      { name: 'median' },
      { name: '÷ median', format: 'ratio' },
    ],
    rows: analysis.layers.map((statistics, layer) => {
      const { top, median } = statistics;
      const [first] = top;
      return first
        ? [
            layerName(layer),
            first.value,
            first.dim,
            tokenName(analysis, first.token),
            median,
            ratio(first.value, statistics),
          ]
        : [layerName(layer), null, null, null, median, null];
    }),
  };
}

/** What would come next; without rows where the run does not say. */
export function predictionTable(analysis: Analysis): TablePart {
  const { predictions } = analysis;
  return {
    kind: 'table',
    heading: predictions ? `Next token after ${tokenName(analysis, predictions.token)}` : 'Next token',
    columns: [
      { name: 'token', format: 'words' },
      { name: 'id', format: 'plain' },
      { name: 'probability', format: 'share' },
    ],
    rows: (predictions?.top ?? []).map(({ id, text, probability }) => [textLabel(text, id), id, probability]),
  };
}

function outputTables(analysis: Analysis): TablePart[] {
  return (analysis.outputs?.outputs ?? []).map((output) => {
    const lines = outputLines(output, output.rows.length > 1 ? { most: 1 } : {});
    const more = lines.length > mostLines ? ` (${mostLines} of ${lines.length} lines)` : '';
    return {
      kind: 'table',
      heading: `Output ${outputHeading(output)}${more}`,
      columns: [{ name: 'token', format: 'words' }, { name: 'what' }, { name: 'share' }, { name: 'value' }],
      rows: lines
        .slice(0, mostLines)
        .map(({ token, label, share, value }) => [
          token === undefined ? '' : tokenName(analysis, token),
          label,
          share,
          value,
        ]),
    };
  });
}
