import { layerName, textLabel, tokenLabels } from '../../analysis/label.js';
import type { BarsPart, Presentation, TextPart } from '../../analysis/presentation.js';
import { byToken } from '../shared/heatmaps.js';
import { partWarnings, runSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import { decidedAt, type LensPoint, type LensResult, lensConclusion, partName } from './compute.js';

export function presentLens(result: LensResult, { text }: { readonly text: NamedText }): Presentation {
  const { sequence, points, top } = result;
  const labels = tokenLabels({ tokens: sequence, source: 'text' });
  const last = sequence.length - 1;
  const decided = decidedAt(result);
  return {
    title: 'Logit lens',
    sentence: lensConclusion(result),
    settings: [...runSettings(result), { name: 'text', value: text.name }, { name: 'predictions', value: `${top}` }],
    warnings: partWarnings(result),
    parts: [
      {
        kind: 'heatmap',
        heading: 'Most likely next token at each residual point',
        rows: {
          name: 'layer',
          labels: points.map(pointName),
          leads: { to: 'layer', values: points.map(({ layer }) => layer) },
        },
        columns: byToken(labels),
        value: { name: 'probability', format: 'share' },
        scale: 'linear',
        values: points.flatMap(({ rows }) => labels.map((_, token) => rows[token]?.[0]?.probability ?? null)),
        texts: points.flatMap(({ rows }) => labels.map((_, token) => textLabel(rows[token]?.[0]?.text ?? ''))),
      },
      attributionPart(result),
      {
        kind: 'table',
        heading: 'First layer from which on the final prediction leads',
        columns: [{ name: 'token' }, { name: 'text' }, { name: 'layer', format: 'plain' }, { name: 'prediction' }],
        rows: labels.map((label, token) => [
          `${token}`,
          label,
          decided[token] ?? null,
          textLabel(points.at(-1)?.rows[token]?.[0]?.text ?? ''),
        ]),
      },
      {
        kind: 'table',
        heading: `Predictions after token ${last}, ${labels[last]}`,
        columns: [
          { name: 'layer' },
          ...Array.from({ length: top }, (_, rank) => [
            { name: `${rank + 1}.` },
            { name: 'probability', format: 'share' } as const,
          ]).flat(),
        ],
        rows: points.map((point) => [
          pointName(point),
          ...Array.from({ length: top }, (_, rank) => {
            const prediction = point.rows[last]?.[rank];
            return prediction ? [textLabel(prediction.text), prediction.probability] : [null, null];
          }).flat(),
        ]),
      },
    ],
  };
}

function attributionPart({ attribution }: LensResult): BarsPart | TextPart {
  if (typeof attribution === 'string')
    return { kind: 'text', heading: 'Direct logit attribution', paragraphs: [attribution] };
  const { parts, token, target } = attribution;
  return {
    kind: 'bars',
    heading: `What adds to the logit of ${JSON.stringify(target.text)} after token ${token}`,
    value: { name: 'logit', format: 'value' },
    log: false,
    reference: 0,
    bars: parts.map((part) => ({ name: partName(part), value: part.logit })),
  };
}

const pointName = ({ layer, point }: LensPoint) => (point === 'resid_mid' ? `${layer} mid` : layerName(layer));
