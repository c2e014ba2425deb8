import { counted, formatNumber, formatShare } from '../../analysis/format.js';
import { textLabel, tokenLabels } from '../../analysis/label.js';
import type { Part, Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { greatest, mean } from '../../statistics/numbers.js';
import { byLayer } from '../shared/heatmaps.js';
import { massiveSettings, sinkSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import type { WritingResult, WrittenToken } from './compute.js';
import { likeTheFirst, middleLayers, secondarySinks } from './secondary.js';

const endings: Readonly<Record<WritingResult['ended'], string>> = {
  tokens: '',
  end: ' Then the model ended the text.',
  context: ' Then there was no room for more: the context is full.',
  stopped: ' Then something went wrong; what had been written is kept.',
};

export function presentWriting(result: WritingResult, { text }: { readonly text: NamedText }): Presentation {
  const { model, sampling, thresholds, begun, written, cache, problem } = result;
  const { temperature, topK, topP, seed } = sampling;
  const drawn = [
    { name: 'temperature', value: `${temperature}` },
    { name: 'top k', value: topK === 0 ? 'all' : `${topK}` },
    { name: 'top p', value: `${topP}` },
    { name: 'seed', value: `${seed}` },
  ];
  return {
    title: 'Writing on',
    sentence: `${writingInWords(written)}${secondaryInWords(result)}${endings[result.ended]}`,
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'prompt', value: `${text.name}, ${counted(begun.prompt.tokens.length, 'token')}` },
      { name: 'BOS', value: begun.bos === undefined ? 'as given' : begun.bos ? 'on' : 'off' },
      ...(temperature === 0 ? [{ name: 'tokens', value: 'the most likely' }] : drawn),
      { name: 'cache', value: cache === undefined ? '' : cacheInWords(cache) },
      ...massiveSettings(thresholds),
      ...sinkSettings(thresholds),
    ].filter(({ value }) => value !== ''),
    warnings: warningsOf(result, problem),
    parts: [
      { kind: 'text', heading: 'Text', paragraphs: result.text.split('\n') },
      tokenTable(result),
      ...(written.length > 0 ? [largestMap(result)] : []),
      ...secondaryTable(result),
    ],
  };
}

/** What was written, and what became of sinks. */
function writingInWords(written: readonly WrittenToken[]): string {
  const surprisals = written.map(({ surprisal }) => surprisal);
  const massive = written.filter((token) => token.massive.length > 0).length;
  const sinks = written.at(-1)?.sinks ?? [];
  const kept = sinks[0] ? `the token that draws most heads is number ${sinks[0].token}` : 'no token is a sink';
  return (
    `${counted(written.length, 'token')} written, at ${formatNumber(mean(surprisals))} nats each on average; ` +
    `${massive === 0 ? 'none of them has' : `${massive} of them ${massive === 1 ? 'has' : 'have'}`} massive activations, and ${kept}.`
  );
}

/** Which tokens are secondary sinks; nothing where none is. */
function secondaryInWords({ begun, written, thresholds }: WritingResult): string {
  const found = secondarySinks(begun, written, thresholds);
  if (found.length === 0) return '';
  const [one] = found;
  const which =
    found.length === 1 && one
      ? `token ${one.token} is a secondary sink`
      : `${formatNumber(found.length)} tokens are secondary sinks`;
  return ` In the middle layers ${which}: like the first token (cosine above ${likeTheFirst}).`;
}

/** Where they are, in the layers in which the first token's entry is massive. */
function secondaryTable({ begun, written, thresholds }: WritingResult): Part[] {
  const found = secondarySinks(begun, written, thresholds);
  if (found.length === 0) return [];
  const all = labelsOf(begun, written);
  const middle = middleLayers(begun, thresholds);
  const drawn = new Map((written.at(-1)?.sinks ?? begun.sinks).map(({ token, heads }) => [token, heads]));
  return [
    {
      kind: 'table',
      heading: `Secondary sinks: like the first token in layers of ${middle[0]}–${middle.at(-1)}`,
      columns: [
        { name: 'number', format: 'plain' },
        { name: 'token', format: 'words' },
        { name: 'layers', format: 'words' },
        { name: 'largest cosine', format: 'fixed' },
        { name: 'heads drawn' },
      ],
      rows: found.map(({ token, layers, cosine }) => [
        token,
        all[token] ?? '',
        layers.join(', '),
        cosine,
        drawn.get(token) ?? 0,
      ]),
    },
  ];
}

function warningsOf({ begun, cache, sampling }: WritingResult, problem: string | undefined): string[] {
  const { tokens, total } = begun.prompt;
  return [
    ...(total !== undefined && tokens.length >= total
      ? []
      : [
          `Only ${formatNumber(tokens.length)} of the prompt’s ${total === undefined ? '' : `${formatNumber(total)} `}tokens were run: it leaves no room.`,
        ]),
    ...(sampling.temperature === 0 && (sampling.topK > 0 || sampling.topP < 1)
      ? ['At temperature 0 the most likely token is taken and none is drawn: top k and top p make no difference.']
      : []),
    ...(cache?.without === undefined
      ? []
      : [
          `The whole text was run again for ${cache.tokens === 0 ? 'every token' : 'the last tokens'}: ${cache.without}.`,
        ]),
    ...(problem === undefined ? [] : [problem]),
  ];
}

const cacheInWords = ({ tokens, bytes, without }: NonNullable<WritingResult['cache']>): string =>
  without === undefined || tokens > 0 ? `of the model, ${formatNumber(bytes)} bytes` : 'none';

function tokenTable({ written, begun }: WritingResult): Part {
  const heads = begun.heads;
  return {
    kind: 'table',
    heading: 'Tokens',
    columns: [
      { name: 'token', format: 'words' },
      { name: 'surprisal (nats)', format: 'fixed' },
      { name: 'entropy (nats)', format: 'fixed' },
      { name: 'most likely', format: 'words' },
      { name: 'largest |h|', format: 'number' },
      { name: 'massive entries' },
      { name: 'sinks', format: 'words' },
    ],
    rows: written.map(({ text, id, surprisal, entropy, alternatives, largest, massive, sinks }) => [
      textLabel(text, id),
      surprisal,
      entropy,
      alternatives
        .slice(0, 3)
        .map((one) => `${textLabel(one.text, one.id)} ${formatShare(one.probability)}`)
        .join(', '),
      greatest(largest),
      massive.length,
      sinks.map((sink) => `${sink.token} (${formatShare(sink.heads / heads)} of heads)`).join(', '),
    ]),
  };
}

/** Of all tokens, those of the prompt and what was written. */
const labelsOf = (begun: WritingResult['begun'], written: readonly WrittenToken[]): string[] => [
  ...tokenLabels({ tokens: begun.prompt.tokens, source: 'text' }),
  ...written.map(({ text, id }) => textLabel(text, id)),
];

/** The largest entry of every token at every layer, prompt and what was written. */
function largestMap({ begun, written }: WritingResult): Part {
  const { tokens } = begun.prompt;
  return {
    kind: 'heatmap',
    heading: `Largest entry by token and layer; written from token ${tokens.length} on`,
    rows: byLayer(begun.states.map((_, layer) => layer)),
    columns: { name: 'token', labels: labelsOf(begun, written) },
    value: { name: 'largest |h|', format: 'number' },
    scale: 'log',
    values: begun.states.flatMap(({ tokenMax }, layer) => [
      ...tokenMax,
      ...written.map(({ largest }) => largest[layer] ?? Number.NaN),
    ]),
  };
}
