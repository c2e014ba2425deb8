import { counted } from '../../analysis/format.js';
import type { Presentation } from '../../analysis/presentation.js';
import type { NamedText } from '../values.js';
import { type ActivationResult, activationConclusion, thresholds } from './compute.js';

export const levelName = (threshold: number): string => threshold.toExponential().replace('e-', 'e-0');

export function presentActivation(
  result: ActivationResult,
  { text, against }: { readonly text: NamedText; readonly against: NamedText | undefined },
): Presentation {
  const { model, blocks, length, prefix, sequences } = result;
  const compared = blocks.some(({ similarity }) => similarity !== undefined);
  return {
    title: 'Activation level of parameters',
    sentence: activationConclusion(result),
    settings: [
      { name: 'model', value: model },
      { name: 'text', value: `${text.name}, ${counted(sequences, 'sequence')}` },
      ...(against ? [{ name: 'against', value: `${against.name}, ${counted(result.against ?? 0, 'sequence')}` }] : []),
      { name: 'T', value: `at most ${counted(length, 'token')}` },
      { name: 'BOS', value: prefix === undefined ? 'off' : `on (token ${prefix})` },
    ],
    warnings: [],
    parts: [
      {
        kind: 'lines',
        heading: 'Share of parameters above a level',
        x: { name: 'block', values: blocks.map(({ layer }) => layer) },
        y: { name: 'share', format: 'share', log: false },
        lines: thresholds.map((threshold, i) => ({
          name: `above ${levelName(threshold)}`,
          values: blocks.map(({ above }) => above[i] ?? null),
        })),
      },
      {
        kind: 'table',
        heading: 'Parameters by block',
        columns: [
          { name: 'block' },
          { name: 'parameters' },
          { name: 'mean level' },
          ...thresholds.map((threshold) => ({ name: `above ${levelName(threshold)}`, format: 'share' }) as const),
          ...(compared ? [{ name: 'similarity', format: 'fixed' } as const] : []),
        ],
        rows: blocks.map(({ layer, parameters, mean, above, similarity }) => [
          `${layer}`,
          parameters,
          mean,
          ...above,
          ...(compared ? [similarity ?? null] : []),
        ]),
        layers: blocks.map(({ layer }) => layer),
      },
    ],
  };
}
