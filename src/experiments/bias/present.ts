import { formatNumber } from '../../analysis/format.js';
import type { HeatmapPart, LinesPart, Presentation } from '../../analysis/presentation.js';
import type { AnswerTo } from '../../engine/contract/questions.js';
import { finite, greatest, mean } from '../../statistics/numbers.js';
import { byHead } from '../shared/heatmaps.js';
import { massiveSettings, partWarnings, runSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import { type BiasResult, biasConclusion } from './compute.js';

export function presentBias(result: BiasResult, { text }: { readonly text: NamedText }): Presentation {
  const { blocks, names, thresholds } = result;
  const heads = greatest(blocks.map((block) => block.heads.length));
  const x = { name: 'layer', values: blocks.map(({ layer }) => layer) };
  const updates = (part: 'chosen' | 'rest', of: 'norm' | 'cosine') =>
    blocks.map(({ projected, heads }) => finite(projected?.[part][of] ?? mean(heads.map((head) => head[part][of]))));
  const lines = (heading: string, of: 'norm' | 'cosine', log: boolean): LinesPart => ({
    kind: 'lines',
    heading,
    x,
    y: { name: of === 'norm' ? 'mean L2 norm' : 'mean cosine similarity', log },
    lines: [
      { name: chosenName(names), values: updates('chosen', of) },
      { name: 'all other tokens', values: updates('rest', of) },
    ],
  });
  const cells = (heading: string, of: (head: Head) => number | null) => ({
    heading,
    ...byHead(x.values, heads, (row, head) => {
      const found = blocks[row]?.heads[head];
      return found && of(found);
    }),
  });
  const alike = (part: 'chosen' | 'rest', who: string): HeatmapPart => ({
    ...cells(`How alike value updates are by head: ${who}`, (head) => finite(head[part].cosine)),
    value: { name: 'mean cosine similarity', format: 'fixed' },
    scale: 'diverging',
    range: [-1, 1],
  });
  // A single key's updates differ in length alone.
  const oneKey = blocks.every((block) => block.heads.every(({ chosen }) => chosen.cosine > 0.9999));
  return {
    title: 'Implicit attention bias',
    sentence: biasConclusion(result),
    settings: [
      ...runSettings(result),
      { name: 'text', value: text.name },
      { name: 'keys', value: names.join(', ') },
      ...massiveSettings(thresholds),
    ],
    warnings: partWarnings(result),
    parts: [
      lines('How alike value updates are between queries', 'cosine', false),
      lines('How large value updates are', 'norm', true),
      {
        ...cells(`Attention on ${chosenName(names)}`, ({ share }) => share),
        value: { name: 'share of attention', format: 'share' },
        scale: 'linear',
      },
      {
        ...cells(`How large value updates are by head: ${chosenName(names)} ÷ the rest`, ({ chosen, rest }) =>
          finite(Math.log10(chosen.norm / rest.norm)),
        ),
        value: { name: 'log₁₀ of mean L2 norm, chosen ÷ rest', format: 'signed' },
        scale: 'diverging',
      },
      ...(oneKey
        ? [alike('rest', `all other tokens (${chosenName(names)}, a single key: 1 everywhere)`)]
        : [alike('chosen', chosenName(names)), alike('rest', 'all other tokens')]),
      {
        kind: 'table',
        heading: 'From the norm’s input to K and V: chosen | others',
        columns: [
          { name: 'layer' },
          ...['L2 of input', 'L2 of normed', 'participation of input', '… of normed', 'L2 of K', 'L2 of V'].map(
            (name) => ({ name }),
          ),
        ],
        rows: blocks.map(({ layer, norms, participation, keyNorm, valueNorm }) => [
          `${layer}`,
          pair(norms.input),
          pair(norms.normed),
          pair(participation.input),
          pair(participation.normed),
          pair(keyNorm && meanPair(keyNorm)),
          pair(meanPair(valueNorm)),
        ]),
      },
    ],
  };
}

type Head = BiasResult['blocks'][number]['heads'][number];

const chosenName = (names: readonly string[]) => (names.length > 3 ? `${names.length} tokens` : names.join(', '));

type Pair = AnswerTo<'bias'>['norms']['input'];

const meanPair = (pairs: readonly Pair[]): Pair => [mean(pairs.map(([a]) => a)), mean(pairs.map(([, b]) => b))];

const pair = (values: Pair | undefined) => (values ? values.map(formatNumber).join(' | ') : null);
