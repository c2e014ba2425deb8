/** An analysis as experiments' results are: the sentence, what it depends on, and the tables behind it. */
import type { Analysis } from './analysis.js';
import { caveats, ownConditions } from './conditions.js';
import { formatRatio } from './format.js';
import { layerName, textLabel } from './label.js';
import { massiveActivations, ratio } from './massive.js';
import { outputHeading, outputLines } from './outputs.js';
import { type Presentation, presented, type Setting, type TablePart } from './presentation.js';
import { sinks } from './sinks.js';
import { summaryText, tokenName } from './summary.js';
import type { Thresholds } from './thresholds.js';

/** Lines of an output that are listed, where it is not whole: the JSON has all. */
const mostLines = 24;

/**
 * What is shown of an analysis where it is written out, for people and for agents: tables that have no row are left out.
 *
 * @param name of what was analysed, such as a document's
 * @param whole whether every line of an output and every token is listed, for who takes rows as they are needed
 */
export function presentAnalysis(
  analysis: Analysis,
  thresholds: Thresholds,
  { name, whole = false }: { readonly name?: string | undefined; readonly whole?: boolean } = {},
): Presentation {
  const parts = [
    massiveTable(analysis, thresholds),
    sinkTable(analysis, thresholds),
    layerTable(analysis),
    predictionTable(analysis),
    ...outputTables(analysis, whole),
    ...(whole ? [tokenTable(analysis)] : []),
  ];
  return presented({
    title: name === undefined ? 'Analysis' : `Analysis of ${name}`,
    sentence: summaryText(analysis, thresholds),
    settings: analysisSettings(analysis, thresholds),
    warnings: [...(analysis.problem ? [analysis.problem.message] : []), ...caveats(analysis)],
    parts: parts.filter(({ rows }) => rows.length > 0),
  });
}

/** What the figures of a run depend on. */
export const analysisSettings = (analysis: Analysis, thresholds: Thresholds): Setting[] =>
  ownConditions(analysis, thresholds).map((value, i) => ({ name: i === 0 ? 'model' : '', value }));

function massiveTable(analysis: Analysis, thresholds: Thresholds): TablePart {
  return {
    kind: 'table',
    heading: `Massive and large activations (large: ≥ ${formatRatio(thresholds.soft)} median)`,
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
  const allFinite = analysis.layers.every(({ nonFinite }) => nonFinite === 0);
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
      ...(allFinite ? [] : [{ name: 'not finite', format: 'plain' } as const]),
    ],
    rows: analysis.layers.map((statistics, layer) => {
      const { top, median } = statistics;
      const [first] = top;
      const more = allFinite ? [] : [statistics.nonFinite];
      return first
        ? [
            layerName(layer),
            first.value,
            first.dim,
            tokenName(analysis, first.token),
            median,
            ratio(first.value, statistics),
            ...more,
          ]
        : [layerName(layer), null, null, null, median, null, ...more];
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

function outputTables(analysis: Analysis, whole: boolean): TablePart[] {
  return (analysis.outputs?.outputs ?? []).map((output) => {
    const lines = outputLines(output, output.rows.length > 1 ? { most: 1 } : {});
    const most = whole ? lines.length : mostLines;
    const more = lines.length > most ? ` (${most} of ${lines.length} lines)` : '';
    return {
      kind: 'table',
      heading: `Output ${outputHeading(output)}${more}`,
      columns: [{ name: 'token', format: 'words' }, { name: 'what' }, { name: 'share' }, { name: 'value' }],
      rows: lines
        .slice(0, most)
        .map(({ token, label, share, value }) => [
          token === undefined ? '' : tokenName(analysis, token),
          label,
          share,
          value,
        ]),
    };
  });
}

/** Where every token is, by which it is asked for. */
function tokenTable(analysis: Analysis): TablePart {
  return {
    kind: 'table',
    heading: 'Tokens',
    columns: [
      { name: 'token', format: 'words' },
      { name: 'index', format: 'plain' },
      { name: 'id', format: 'plain' },
    ],
    rows: (analysis.tokens?.tokens ?? []).map(({ id }, index) => [tokenName(analysis, index), index, id]),
  };
}
