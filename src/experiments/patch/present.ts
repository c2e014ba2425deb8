import { counted } from '../../analysis/format.js';
import { textLabel } from '../../analysis/label.js';
import type { HeatmapPart, Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { finite, greatest } from '../../statistics/numbers.js';
import { byHead, byLayer, byToken } from '../shared/heatmaps.js';
import { type PatchResult, patchConclusion } from './compute.js';

export function presentPatch(result: PatchResult): Presentation {
  const { model, at, clean, corrupt, bos, answers, cleanDifference, corruptDifference, layers, recovered } = result;
  const { attribution } = result;
  const heads = greatest(recovered.map((row) => row.length));
  const token = (i: number) => {
    const [to, from] = [corrupt[i], clean[i]].map((one) => (one ? textLabel(one.text, one.id) : ''));
    return to === from ? `${to}` : `${to} ← ${from}`;
  };
  const cells = (heading: string, name: string, values: PatchResult['recovered']): HeatmapPart => {
    const size = greatest(values.flat().filter(Number.isFinite).map(Math.abs), 1);
    const grid =
      at === 'head'
        ? byHead(layers, heads, (row, head) => finite(values[row]?.[head] ?? Number.NaN))
        : ({
            kind: 'heatmap',
            rows: byLayer(layers),
            columns: byToken(corrupt.map((_, i) => token(i))),
            values: values.flat().map(finite),
          } as const);
    return { heading, ...grid, value: { name, format: 'fixed' }, scale: 'diverging', range: [-size, size] };
  };
  const of = at === 'head' ? 'by head, at all tokens' : `by ${at}: layer × token`;
  const has = (values: PatchResult['recovered']) => values.some((row) => row.some((value) => Number.isFinite(value)));
  const looked = cells(
    `First look ${of} (attribution patching)`,
    '(clean − corrupt) × gradient ÷ (clean − corrupt)',
    attribution.values,
  );
  const { correlation } = attribution;
  return {
    title: 'Activation patching',
    sentence: patchConclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'T', value: counted(corrupt.length, 'token') },
      { name: 'BOS', value: bos ? 'on' : 'off' },
      { name: 'at', value: at },
      { name: 'answers', value: answers.map(({ text }) => JSON.stringify(text)).join(' against ') },
      ...(correlation === undefined ? [] : [{ name: 'correlation of both', value: correlation.toFixed(3) }]),
    ],
    warnings: [...(attribution.why === undefined ? [] : [attribution.why]), ...attribution.remarks],
    parts: [
      ...(has(recovered) ? [cells(`Recovered ${of}`, '(patched − corrupt) ÷ (clean − corrupt)', recovered)] : []),
      ...(has(attribution.values) ? [looked] : []),
      {
        kind: 'table',
        heading: 'Logit difference after the last token',
        columns: [{ name: 'run' }, { name: 'logit difference', format: 'signed' }],
        rows: [
          ['clean', cleanDifference],
          ['corrupt', corruptDifference],
        ],
      },
    ],
  };
}
