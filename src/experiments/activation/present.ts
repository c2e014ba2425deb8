import { counted, formatShare } from '../../analysis/format.js';
import type { Presentation } from '../../analysis/presentation.js';
import type { NamedText } from '../values.js';
import { type ActivationResult, activationConclusion, thresholds } from './compute.js';

export const levelName = (threshold: number): string => threshold.toExponential().replace('e-', 'e-0');

export function presentActivation(
  result: ActivationResult,
  { text, against }: { readonly text: NamedText; readonly against: NamedText | undefined },
): Presentation {
  const { model, blocks, length, prefix, sequences, pruning } = result;
  const compared = blocks.some(({ similarity }) => similarity !== undefined);
  const halved = blocks.some(({ within }) => within !== undefined);
  const byBlock = (of: 'similarity' | 'within' | 'between') => blocks.map((block) => block[of] ?? null);
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
          ...(halved
            ? ([
                { name: 'of halves', format: 'fixed' },
                { name: 'as much of the other', format: 'fixed' },
              ] as const)
            : []),
          ...(pruning ? [{ name: 'pruned', format: 'share' } as const] : []),
        ],
        rows: blocks.map(({ layer, parameters, mean, above, similarity, within, between }, i) => [
          `${layer}`,
          parameters,
          mean,
          ...above,
          ...(compared ? [similarity ?? null] : []),
          ...(halved ? [within ?? null, between ?? null] : []),
          ...(pruning ? [pruning.shares[i] ?? null] : []),
        ]),
        layers: blocks.map(({ layer }) => layer),
      },
      ...(compared
        ? [
            {
              kind: 'lines',
              heading: 'How alike signed products are',
              x: { name: 'block', values: blocks.map(({ layer }) => layer) },
              y: { name: 'similarity', format: 'fixed', log: false },
              lines: [
                { name: 'the two texts', values: byBlock('similarity') },
                ...(halved
                  ? [
                      { name: 'two halves of the text', values: byBlock('within') },
                      { name: 'a half and as much of the other', values: byBlock('between') },
                    ]
                  : []),
              ],
            } as const,
          ]
        : []),
      ...(pruning
        ? [
            {
              kind: 'bars',
              heading: `Perplexity with ${formatShare(pruning.share)} of the parameters pruned`,
              value: { name: 'perplexity' },
              log: false,
              reference: pruning.asIs.perplexity,
              bars: [
                { name: 'as it is', value: pruning.asIs.perplexity },
                { name: 'uniformly', value: pruning.uniform.perplexity },
                { name: 'by sparsity', value: pruning.bySparsity.perplexity },
              ],
            } as const,
          ]
        : []),
    ],
  };
}
