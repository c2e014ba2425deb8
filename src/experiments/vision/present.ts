import { basename } from 'node:path';
import { formatNumber } from '../../analysis/format.js';
import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { massiveSettings } from '../shared/settings.js';
import { type VisionResult, visionConclusion } from './compute.js';

export function presentVision(result: VisionResult, { images }: { readonly images: readonly string[] }): Presentation {
  const { model, tokens, thresholds, seed, layer, dims, entries, rows } = result;
  return {
    title: 'Fix-mean in a vision model',
    sentence: visionConclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'images', value: formatNumber(images.length) },
      { name: 'T', value: `${formatNumber(tokens)} patches and registers` },
      { name: 'dims', value: `${dims.join(', ')} of h_${layer}` },
      ...massiveSettings(thresholds),
      { name: 'seed', value: `${seed}` },
    ],
    warnings: [],
    parts: [
      {
        kind: 'bars',
        heading: 'Change of the output',
        value: { name: '‖changed − as is‖ ÷ ‖as is‖', format: 'share' },
        log: false,
        reference: 0,
        bars: rows.map(({ name, change }) => ({ name, value: change })),
      },
      {
        kind: 'table',
        heading: 'Output with and without',
        columns: [
          { name: 'entries set to' },
          { name: 'change', format: 'share' },
          { name: 'mean cosine' },
          { name: 'least cosine' },
          { name: 'same largest output', format: 'share' },
        ],
        rows: rows.map(({ name, change, cosine, leastCosine, sameTop }) => [
          name,
          change,
          cosine,
          leastCosine,
          sameTop,
        ]),
      },
      {
        kind: 'table',
        heading: `Entries of h_${layer} that were set`,
        columns: [
          { name: 'image' },
          { name: 'token', format: 'plain' },
          { name: 'dim', format: 'plain' },
          { name: 'value', format: 'value' },
        ],
        rows: entries.flatMap((list, i) =>
          list.map(({ token, dim, value }) => [basename(images[i] ?? `${i}`), token, dim, value]),
        ),
      },
    ],
  };
}
