import { Command, Option } from 'commander';
import { formatRatio, formatShare, formatValue } from '../analysis/format.js';
import { defaultThresholds } from '../analysis/thresholds.js';
import type { Engine } from '../engine/host/engine.js';
import { SinkscopeError } from '../errors.js';
import { type Compared, type CompareResult, compare } from '../experiments/compare/compute.js';
import { presentCompare } from '../experiments/compare/present.js';
import { readText } from '../experiments/shared/files.js';
import { runJson } from './facts.js';
import { modelFile } from './model.js';
import { finished } from './progress.js';
import { columns, section } from './table.js';
import { budget, whole, withRunOptions } from './text.js';
import { print } from './words.js';

interface Options {
  readonly text: readonly string[];
  readonly file: readonly string[];
  readonly window: number;
  readonly tokens?: number;
  readonly bos?: boolean;
  readonly memory: number;
  readonly json?: boolean;
}

export function compareCommand(engine: Engine, signal: AbortSignal): Command {
  const collect = (value: string, known: readonly string[]) => [...known, value];
  return withRunOptions(new Command('compare'))
    .description('set models or texts side by side: top activations, sink rates, perplexity, and their differences')
    .argument('<models...>', 'paths of .onnx files, or names of bundled models')
    .addOption(new Option('--text <text>', 'a text itself; may be repeated').argParser(collect).default([], 'none'))
    .addOption(new Option('--file <path>', 'a UTF-8 text file; may be repeated').argParser(collect).default([], 'none'))
    .addOption(
      new Option('--window <tokens>', 'tokens of a text that are run, and of each window that is scored')
        .argParser(whole('tokens'))
        .default(256),
    )
    .addOption(new Option('--tokens <N>', 'score only the first N tokens of a text').argParser(whole('tokens')))
    .action(async (names: readonly string[], options: Options) => {
      const result = await finished(compare(engine, await requestOf(names, options), signal));
      print(options.json, presentCompare(result), toJson(result, options), tables(result));
    });
}

/** What is given: texts as they are, and files under their paths. */
function textsOf({ text: texts, file: files }: Options) {
  return [
    ...texts.map((text, i) => ({ name: `text ${i + 1}`, file: null, text })),
    ...files.map((file) => ({ name: file, file, text: null })),
  ];
}

async function requestOf(names: readonly string[], options: Options) {
  const { window, tokens, bos } = options;
  const texts = await Promise.all(
    textsOf(options).map(async ({ name, file, text }) => ({ name, text: text ?? (await readText(file ?? '')) })),
  );
  if (texts.length === 0)
    throw new SinkscopeError({ code: 'input', message: 'There is no text: give --text or --file.' });
  const models = await Promise.all(names.map(modelFile));
  return { models, texts, window, tokens, bos, thresholds: defaultThresholds, ...budget(options) };
}

function toJson(result: CompareResult, options: Options) {
  const { runs, thresholds, axes, differences } = result;
  return {
    texts: textsOf(options),
    window: options.window,
    /** Of each text's first tokens, so many are scored; null: all. */
    scored: options.tokens ?? null,
    thresholds: { absolute: thresholds.absolute, ratio: thresholds.ratio, epsilon: thresholds.epsilon },
    axes,
    runs: runs.map((run) => ({
      ...runJson(run),
      text: run.text,
      prefix: run.prefix ?? null,
      massive: run.massive ?? null,
      layers: run.layers,
      token_max: run.tokenMax.map((row) => Array.from(row)),
      sinks: { rate: run.sinks.rate ?? null, extra_rate: run.sinks.extraRate ?? null, heads: run.sinks.heads },
      /** [layer - 1]: by head, mean attention on token 0 and on the extra columns. */
      alpha: run.alpha.map((block) => block && { first: block.first, extra: block.extra ?? null }),
      perplexity: typeof run.perplexity === 'string' ? { missing: run.perplexity } : run.perplexity,
    })),
    differences: differences.map(({ of, from, ratio, sink, tokens, tokenMax }) => ({
      of,
      from,
      log10_ratio: ratio ?? null,
      sink: sink ?? null,
      /** The tokens that both have, and at them the difference. */
      tokens: tokens ?? null,
      token_max: tokenMax?.map((row) => Array.from(row)) ?? null,
    })),
  };
}

function tables(result: CompareResult): string[] {
  const { runs, axes, differences } = result;
  const manyTexts = new Set(runs.map(({ text }) => text)).size > 1;
  const names = runs.map((run, i) => `${i + 1} ${run.name}${manyTexts ? ` on ${run.text}` : ''}`);
  const layers = Array.from({ length: axes.layers + 1 }, (_, k) => [
    `${k}`,
    ...runs.map(({ layers }) => largestAt(layers[k])),
  ]);
  const facts = runs.map((run, i) => {
    const { perplexity, sinks, prefix, tokens } = run;
    const share = (rate: number | undefined) => (rate === undefined ? '' : formatShare(rate));
    const value = typeof perplexity === 'string' ? '' : perplexity.perplexity.toFixed(2);
    return [
      share(sinks.rate),
      share(sinks.extraRate),
      value,
      `${tokens}`,
      prefix === undefined ? 'none' : `token ${prefix}`,
      names[i],
    ];
  });
  const apart = differences.flatMap(({ of, ratio }) => (ratio ? [{ of, ratio }] : []));
  const differing = Array.from({ length: axes.layers + 1 }, (_, k) => [
    `${k}`,
    ...apart.map(({ ratio }) => formatRatio(10 ** (ratio[k] ?? 0))),
  ]);
  return [
    section(
      'Largest activation and its ratio to the median, by layer',
      columns(['layer', ...names.slice(0, -1)], names.at(-1) ?? '', layers),
    ),
    section(
      'Share of heads drawn to the first token and the extra column',
      columns(['first', 'extra', 'perplexity', 'T', 'prefix'], 'run', facts),
    ),
    section(
      'Ratio to the median, as a multiple of the first run’s',
      columns(
        ['layer', ...apart.slice(0, -1).map(({ of }) => names[of] ?? '')],
        names[apart.at(-1)?.of ?? 0] ?? '',
        apart.length > 0 ? differing : [],
      ),
    ),
  ];
}

function largestAt(layer: Compared['layers'][number] | undefined): string {
  if (!layer) return '';
  return `${formatValue(layer.top[0]?.value ?? 0)} (${formatRatio(layer.ratio)})`;
}
