/** What is known of one token, layer or head of a run, as parts of a presentation. Pure. */
import type { AnswerTo } from '../engine/contract/questions.js';
import type { Analysis } from './analysis.js';
import { expertsOf } from './experts.js';
import { layerName, textLabel } from './label.js';
import { kindOf, ratio } from './massive.js';
import type { Part } from './presentation.js';
import { tokenName } from './summary.js';
import type { Thresholds } from './thresholds.js';

/** By layer: how long and how large a token's state is, and how much attention it draws. */
export function tokenParts(analysis: Analysis, token: number, thresholds: Thresholds): Part[] {
  const mixture = analysis.routing.some((found) => found !== undefined);
  const rows = analysis.layers.map((layer, k) => {
    const max = layer.tokenMax[token] ?? Number.NaN;
    const pattern = analysis.attention[k - 1];
    const alphas = Array.from({ length: pattern?.heads ?? 0 }, (_, head) => {
      return pattern?.alpha[head * pattern.tokens + token] ?? 0;
    });
    const best = alphas.reduce((at, alpha, head) => (alpha > (alphas[at] ?? 0) ? head : at), 0);
    const experts = expertsOf(analysis, token, k);
    return [
      layerName(k),
      layer.tokenNorm[token] ?? null,
      max,
      layer.tokenMaxDim[token] ?? null,
      ratio(max, layer),
      kindOf(max, layer, thresholds) ?? '',
      alphas.length === 0 ? null : alphas.filter((alpha) => alpha > thresholds.epsilon).length,
      alphas.length === 0 ? null : (alphas[best] ?? null),
      alphas.length === 0 ? null : best,
      ...(mixture ? [experts?.map(({ expert }) => `${expert}`).join(', ') ?? ''] : []),
    ];
  });
  return [
    {
      kind: 'table',
      heading: `${tokenName(analysis, token)} by layer`,
      columns: [
        { name: 'layer' },
        { name: 'L2 norm' },
        { name: 'largest |h|' },
        { name: 'at dim', format: 'plain' },
        { name: '× median', format: 'ratio' },
        { name: 'kind' },
        { name: `heads with α > ${thresholds.epsilon} on it`, format: 'plain' },
        { name: 'greatest α' },
        { name: 'of head', format: 'plain' },
        ...(mixture ? [{ name: 'experts' }] : []),
      ],
      rows,
      layers: rows.map((_, k) => k),
    },
  ];
}

/** The largest entries of h_`layer`, and what each head of the block that leaves it is drawn to most. */
export function layerParts(analysis: Analysis, layer: number, thresholds: Thresholds): Part[] {
  const state = analysis.layers[layer];
  const pattern = analysis.attention[layer - 1];
  const entries: Part[] = state
    ? [
        {
          kind: 'table',
          heading: `Largest entries of h_${layer}`,
          columns: [
            { name: 'token' },
            { name: 'index', format: 'plain' },
            { name: 'dim', format: 'plain' },
            { name: 'value', format: 'value' },
            { name: '× median', format: 'ratio' },
            { name: 'kind' },
          ],
          rows: state.top.map(({ token, dim, value }) => {
            const kind = kindOf(value, state, thresholds) ?? '';
            return [tokenName(analysis, token), token, dim, value, ratio(value, state), kind];
          }),
        },
      ]
    : [];
  if (!pattern) return entries;
  const heads: Part = {
    kind: 'table',
    heading: `Heads of block ${layer}: the token that each is drawn to most`,
    columns: [{ name: 'head' }, { name: 'token' }, { name: 'index', format: 'plain' }, { name: 'α' }],
    rows: Array.from({ length: pattern.heads }, (_, head) => {
      const alpha = pattern.alpha.subarray(head * pattern.tokens, (head + 1) * pattern.tokens);
      const best = alpha.reduce((at, value, token) => (value > (alpha[at] ?? 0) ? token : at), 0);
      return [`${head}`, tokenName(analysis, best), best, alpha[best] ?? null];
    }),
  };
  return [...entries, heads];
}

/** One head: what its attention goes to over all queries, and from one of them. */
export function headParts(
  analysis: Analysis,
  at: { readonly layer: number; readonly head: number; readonly query?: number },
  { queries, keys, values }: AnswerTo<'pattern'>,
): Part[] {
  const { layer, head, query } = at;
  const tokens = analysis.tokens?.tokens.length ?? 0;
  // Columns that belong to no token stand before or after the tokens' own.
  const first = analysis.attention[layer - 1]?.extra?.side === 'first' ? keys - tokens : 0;
  const name = (key: number) => {
    const token = key - first;
    return token >= 0 && token < tokens ? tokenName(analysis, token) : 'the extra column';
  };
  const row = (one: number) => Array.from(values.subarray(one * keys, (one + 1) * keys));
  const sorted = (weights: readonly number[]) =>
    weights.map((weight, key) => ({ weight, key })).sort((a, b) => b.weight - a.weight || a.key - b.key);
  const rows = Array.from({ length: queries }, (_, one) => {
    const [best] = sorted(row(one));
    return [tokenName(analysis, one), one, best ? name(best.key) : '', best?.weight ?? null];
  });
  const parts: Part[] = [
    {
      kind: 'table',
      heading: `Head ${head} of block ${layer}: what each token looks at most`,
      columns: [
        { name: 'token' },
        { name: 'index', format: 'plain' },
        { name: 'looks at' },
        { name: 'weight', format: 'share' },
      ],
      rows,
    },
  ];
  if (query === undefined) return parts;
  const own: Part = {
    kind: 'table',
    heading: `What ${tokenName(analysis, query)} looks at, in head ${head} of block ${layer}`,
    columns: [{ name: 'token' }, { name: 'index', format: 'plain' }, { name: 'weight', format: 'share' }],
    rows: sorted(row(query)).map(({ weight, key }) => [name(key), key - first, weight]),
  };
  return [own, ...parts];
}

/** What would come after a token. */
export function predictedPart(analysis: Analysis, { token, top }: AnswerTo<'predictions'>): Part {
  return {
    kind: 'table',
    heading: `Next token after ${tokenName(analysis, token)}`,
    columns: [{ name: 'token' }, { name: 'id', format: 'plain' }, { name: 'probability', format: 'share' }],
    rows: top.map(({ id, text, probability }) => [textLabel(text, id), id, probability]),
  };
}
