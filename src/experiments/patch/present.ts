import { layerName, textLabel } from '../../analysis/label.js';
import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { finite, greatest } from '../../statistics/numbers.js';
import { byHead } from '../shared/heatmaps.js';
import { type PatchResult, patchConclusion } from './compute.js';

export function presentPatch(result: PatchResult): Presentation {
  const { model, at, clean, corrupt, bos, answers, cleanDifference, corruptDifference, layers, recovered } = result;
  const size = greatest(recovered.flat().filter(Number.isFinite).map(Math.abs), 1);
  const heads = greatest(recovered.map((row) => row.length));
  const token = (i: number) => {
    const [to, from] = [corrupt[i], clean[i]].map((one) => (one ? textLabel(one.text, one.id) : ''));
    return to === from ? `${to}` : `${to} ← ${from}`;
  };
  const cells =
    at === 'head'
      ? byHead(layers, heads, (row, head) => finite(recovered[row]?.[head] ?? Number.NaN))
      : ({
          kind: 'heatmap',
          rows: { name: 'layer', labels: layers.map(layerName) },
          columns: { name: 'token', labels: corrupt.map((_, i) => token(i)) },
          values: recovered.flat().map(finite),
        } as const);
  return {
    title: 'Activation patching',
    sentence: patchConclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'T', value: `${corrupt.length} tokens` },
      { name: 'BOS', value: bos ? 'on' : 'off' },
      { name: 'at', value: at },
      { name: 'answers', value: answers.map(({ text }) => JSON.stringify(text)).join(' against ') },
    ],
    warnings: [],
    parts: [
      {
        heading: at === 'head' ? 'Recovered by head, at all tokens' : `Recovered by ${at}: layer × token`,
        ...cells,
        value: { name: '(patched − corrupt) ÷ (clean − corrupt)', format: 'fixed' },
        scale: 'diverging',
        range: [-size, size],
      },
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
