import { counted, formatNumber, formatShare } from '../../analysis/format.js';
import type { HeatmapPart, Presentation } from '../../analysis/presentation.js';
import { greatest } from '../../statistics/numbers.js';
import { byHead } from '../shared/heatmaps.js';
import { sinkSettings, windowSettings } from '../shared/settings.js';
import type { DomainsResult, HeadByDomain } from './compute.js';

/** Heads that the table shows; the heatmaps have all. */
const shown = 20;

/** @param wanted what was asked for: sequences of each corpus, and tokens of each */
export function presentDomains(
  result: DomainsResult,
  wanted: { readonly sequences: number; readonly length: number },
): Presentation {
  const { model, corpora, length, prefix, thresholds, heads } = result;
  const layers = [...new Set(heads.map(({ layer }) => layer))];
  const columns = greatest(heads.map(({ head }) => head)) + 1;
  const headAt = new Map(heads.map((one) => [`${one.layer} ${one.head}`, one]));
  const cells = (heading: string, of: (head: HeadByDomain) => number) => ({
    heading,
    ...byHead(layers, columns, (row, head) => {
      const found = headAt.get(`${layers[row]} ${head}`);
      return found && of(found);
    }),
  });
  const onCorpus = (index: 0 | 1): HeatmapPart => ({
    ...cells(`Attention on the sink: ${corpora[index].name}`, ({ shares }) => shares[index].mean),
    value: { name: 'share of attention', format: 'share' },
    scale: 'linear',
    range: [0, 1],
  });
  const byDifference = [...heads].sort((a, b) => Math.abs(differenceOf(b)) - Math.abs(differenceOf(a)));
  const few = corpora.filter(({ sequences }) => sequences < wanted.sequences);
  return {
    title: 'Heads by domain',
    sentence: conclusion(result),
    settings: [
      { name: 'model', value: model.name },
      { name: 'corpora', value: corpora.map(({ name }) => name).join(' and ') },
      { name: 'sequences', value: corpora.map(({ sequences }) => formatNumber(sequences)).join(' and ') },
      ...windowSettings({ window: length, asked: wanted.length, prefix }),
      ...sinkSettings(thresholds),
    ],
    warnings: few.map(
      ({ name, sequences }) => `${name} has only ${counted(sequences, 'sequence')} of ${counted(length, 'token')}.`,
    ),
    parts: [
      {
        ...cells(`Difference: ${corpora[0].name} − ${corpora[1].name}`, differenceOf),
        value: { name: 'difference of shares', format: 'fixed' },
        scale: 'diverging',
      },
      onCorpus(0),
      onCorpus(1),
      {
        kind: 'table',
        heading: 'Heads that differ most',
        columns: [
          { name: 'head' },
          { name: corpora[0].name, format: 'share' },
          { name: 'standard error', format: 'share' },
          { name: corpora[1].name, format: 'share' },
          { name: 'standard error', format: 'share' },
          { name: '' },
        ],
        rows: byDifference
          .slice(0, shown)
          .map(({ layer, head, shares: [a, b], switches }) => [
            `L${layer} H${head}`,
            a.mean,
            a.error ?? null,
            b.mean,
            b.error ?? null,
            switches ?? '',
          ]),
        layers: byDifference.slice(0, shown).map(({ layer }) => layer),
      },
    ],
  };
}

/** Of attention on the sink, first corpus less second. */
const differenceOf = ({ shares: [a, b] }: HeadByDomain) => a.mean - b.mean;

function conclusion({ heads, corpora, thresholds }: DomainsResult): string {
  const [a, b] = corpora.map(({ name }) => name);
  const switching = heads.filter(({ switches }) => switches !== undefined);
  const dormant = heads.filter(({ shares }) => shares.every(({ mean }) => mean > thresholds.epsilon)).length;
  const most = heads.reduce((best, head) =>
    Math.abs(differenceOf(head)) > Math.abs(differenceOf(best)) ? head : best,
  );
  const [first, second] = most.shares;
  const example = `L${most.layer} H${most.head} differs most: ${formatShare(first.mean)} of its attention is on the sink on ${a}, ${formatShare(second.mean)} on ${b}.`;
  const both = `${counted(dormant, 'head')} of ${heads.length} ${dormant === 1 ? 'is' : 'are'} dormant on both.`;
  if (switching.length === 0) return `No head is dormant on one corpus and active on the other. ${both} ${example}`;
  const onFirst = switching.filter(({ switches }) => switches === 'dormant then active').length;
  const parts = [
    ...(onFirst > 0 ? [`${onFirst} dormant on ${a}`] : []),
    ...(switching.length > onFirst ? [`${switching.length - onFirst} dormant on ${b}`] : []),
  ];
  return `${counted(switching.length, 'head')} of ${heads.length} ${switching.length === 1 ? 'switches' : 'switch'} with the corpus (${parts.join(', ')}, active on the other). ${both} ${example}`;
}
