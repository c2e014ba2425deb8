import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { definitionJson, runJson } from '../shared/json.js';
import type { NamedText } from '../values.js';
import { type CompareResult, compareRuns } from './compute.js';
import { presentCompare } from './present.js';

export const compare = define({
  id: 'compare',
  title: 'Compare models or texts',
  about: 'models',
  command: 'Compare Models or Texts…',
  description: 'Models or texts side by side: activations by layer, sink rates, perplexity, and differences.',
  help: 'set models or texts side by side: top activations, sink rates, perplexity, and their differences',
  inputs: {
    texts: {
      kind: 'texts',
      label: 'Texts',
      flag: '--file <path>',
      help: 'a UTF-8 text file, records (.jsonl, .parquet), or a folder with such; may be repeated',
      document: 'open',
      typed: true,
    },
    models: {
      kind: 'models',
      label: 'Models',
      flag: '<models...>',
      help: 'paths of .onnx files, or names of bundled models',
      default: 'bundled',
    },
    window: { ...shared.window, help: 'tokens of a text that are run, and of each window that is scored' },
    tokens: { ...shared.tokens, help: 'score only the first N tokens of a text' },
  },
  async *run({ engine, ...setup }, { texts: corpus, ...values }, signal) {
    const texts: NamedText[] = [];
    for await (const text of corpus.texts) texts.push(text);
    return yield* compareRuns(engine, { ...setup, ...values, texts }, signal);
  },
  present: presentCompare,
  json({ texts, runs, thresholds, axes, differences }, { window, tokens }) {
    return {
      texts: texts.map(({ name, file, text }) => {
        return { name, file: file ?? null, text: file === undefined ? text : null };
      }),
      window,
      /** Of each text's first tokens, so many are scored; null: all. */
      scored: tokens ?? null,
      thresholds: { ...definitionJson(thresholds), epsilon: thresholds.epsilon },
      axes,
      runs: runs.map(comparedJson),
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
  },
});

function comparedJson(run: CompareResult['runs'][number]) {
  const { text, prefix, massive, layers, tokenMax, sinks, alpha, perplexity } = run;
  return {
    ...runJson(run),
    text,
    prefix: prefix ?? null,
    massive: massive ?? null,
    layers,
    token_max: tokenMax.map((row) => Array.from(row)),
    sinks: { rate: sinks.rate ?? null, extra_rate: sinks.extraRate ?? null, heads: sinks.heads },
    /** [layer - 1]: by head, mean attention on token 0 and on the extra columns. */
    alpha: alpha.map((block) => block && { first: block.first, extra: block.extra ?? null }),
    perplexity: typeof perplexity === 'string' ? { missing: perplexity } : perplexity,
  };
}
