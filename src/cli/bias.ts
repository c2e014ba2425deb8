import { Command, Option } from 'commander';
import { formatNumber, formatShare } from '../analysis/format.js';
import { defaultThresholds } from '../analysis/thresholds.js';
import type { Engine } from '../engine/host/engine.js';
import { type BiasResult, implicitBias } from '../experiments/bias/compute.js';
import { presentBias } from '../experiments/bias/present.js';
import { runJson } from './facts.js';
import { finished } from './progress.js';
import {
  fitting,
  type PromptOptions,
  parseIndices,
  promptJson,
  promptName,
  promptRequest,
  withPromptOptions,
} from './prompt.js';
import { columns, section } from './table.js';
import { print } from './words.js';

interface Options extends PromptOptions {
  readonly tokens?: readonly number[];
}

export function biasCommand(engine: Engine, signal: AbortSignal): Command {
  return withPromptOptions(new Command('bias'))
    .description('split attention outputs into what massive tokens add and the rest: the implicit attention bias')
    .addOption(
      new Option('--tokens <indices>', 'the tokens, as in 0,3 (default: the massive ones)').argParser(parseIndices),
    )
    .action(async (model: string, options: Options) => {
      const request = {
        ...(await promptRequest(model, options)),
        tokens: options.tokens,
        thresholds: defaultThresholds,
      };
      const result = await fitting(finished(implicitBias(engine, request, signal)));
      print(options.json, presentBias(result, promptName(options)), toJson(result, options), tables(result));
    });
}

function toJson(result: BiasResult, options: PromptOptions) {
  const { thresholds, reason, chosen, names, blocks } = result;
  return {
    ...runJson(result),
    ...promptJson(options),
    thresholds: { absolute: thresholds.absolute, ratio: thresholds.ratio },
    /** Indices of tokens, or `extra`. */
    chosen,
    names,
    reason,
    blocks: blocks.map(({ layer, counted, heads, projected, participation, norms, keyNorm, valueNorm }) => ({
      layer,
      /** The queries that count: from this token on. */
      queries_from: counted.from,
      queries: counted.queries,
      heads,
      projected: projected ?? null,
      /** [chosen, others] */
      participation: { input: participation.input, normed: participation.normed ?? null },
      norm: { input: norms.input, normed: norms.normed ?? null, key: keyNorm ?? null, value: valueNorm },
    })),
  };
}

function tables(result: BiasResult): string[] {
  const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
  const rows = result.blocks.map(({ layer, heads, projected }) => {
    const of = (part: 'chosen' | 'rest') =>
      projected?.[part] ?? {
        norm: mean(heads.map((head) => head[part].norm)),
        cosine: mean(heads.map((head) => head[part].cosine)),
      };
    const share = formatShare(mean(heads.map((head) => head.share)));
    const [chosen, rest] = [of('chosen'), of('rest')];
    return [
      `${layer}`,
      share,
      ...[chosen.norm, rest.norm].map(formatNumber),
      chosen.cosine.toFixed(3),
      rest.cosine.toFixed(3),
    ];
  });
  const pair = (values: readonly [number, number] | undefined) => (values ?? []).map(formatNumber).join(' / ');
  const chain = result.blocks.map(({ layer, participation, norms, keyNorm, valueNorm }) => {
    const of = (norm: BiasResult['blocks'][number]['keyNorm']) =>
      norm && pair([mean(norm.map(([chosen]) => chosen)), mean(norm.map(([, others]) => others))]);
    return [
      `${layer}`,
      pair(participation.input),
      pair(participation.normed),
      pair(norms.input),
      pair(norms.normed),
      of(keyNorm) ?? '',
      of(valueNorm) ?? '',
    ];
  });
  const who = result.names.join(', ');
  return [
    section(
      `Value update of ${who} against the rest, all heads through the output projection`,
      columns(['layer', 'attention', 'norm', 'rest', 'cosine'], 'rest', rows),
    ),
    section(
      `${who} / other tokens: dimensions that take part before and after the norm, and L2 norms`,
      columns(['layer', 'dims in', 'dims normed', 'input', 'normed', 'keys'], 'values', chain),
    ),
  ];
}
