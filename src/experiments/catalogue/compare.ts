import type { HeatmapPart, Presentation } from '../../analysis/presentation.js';
import { type Compared, type CompareResult, compare, conclusion } from '../compare.js';
import { experiment, type NamedText } from '../experiment.js';
import { presented } from './rows.js';
import { massiveSettings, sinkSettings } from './settings.js';

export function presentCompare(result: CompareResult): Presentation {
  const { runs, thresholds, axes, differences } = result;
  const texts = [...new Set(runs.map(({ text }) => text))];
  const name = (run: Compared) => (texts.length > 1 ? `${run.name} on ${run.text}` : run.name);
  const [first] = runs;
  const layers = Array.from({ length: axes.layers + 1 }, (_, k) => k);
  const lines = (value: (layer: Compared['layers'][number]) => number) =>
    runs.map((run) => ({ name: name(run), values: layers.map((k) => (run.layers[k] ? value(run.layers[k]) : null)) }));
  return {
    title: 'Compare models or texts',
    sentence: conclusion(result),
    settings: [
      { name: 'T', value: [...new Set(runs.map(({ tokens }) => tokens))].join(', ') },
      { name: 'text', value: texts.join(', ') },
      { name: 'BOS', value: runs.map((run) => `${name(run)} ${run.bos ? 'on' : 'off'}`).join(', ') },
      ...massiveSettings(thresholds),
      ...sinkSettings(thresholds),
    ],
    warnings: runs.flatMap((run) =>
      typeof run.perplexity === 'string' ? [`No perplexity of ${name(run)}: ${run.perplexity}`] : [],
    ),
    parts: [
      {
        kind: 'lines',
        heading: 'Largest activation by layer',
        x: { name: 'layer', values: layers },
        y: { name: 'largest |h|', log: true },
        lines: lines(({ top }) => Math.abs(top[0]?.value ?? 0)),
      },
      {
        kind: 'lines',
        heading: 'Largest activation over the layer’s median',
        x: { name: 'layer', values: layers },
        y: { name: 'largest |h| ÷ median', format: 'ratio', log: true },
        lines: lines(({ ratio }) => ratio),
      },
      {
        kind: 'table',
        heading: 'Side by side',
        columns: [
          { name: 'model' },
          { name: 'prefix' },
          { name: 'massive in layers' },
          { name: 'largest ratio', format: 'ratio' },
          { name: 'sink rate, first token', format: 'share' },
          { name: 'sink rate, extra column', format: 'share' },
          { name: 'perplexity', format: 'fixed' },
        ],
        rows: runs.map((run) => [
          name(run),
          run.bos ? `token ${run.prefix}` : 'none',
          run.massive ? `${run.massive[0]} to ${run.massive[1]}` : 'none',
          Math.max(...run.layers.map(({ ratio }) => ratio)),
          run.sinks.rate ?? null,
          run.sinks.extraRate ?? null,
          typeof run.perplexity === 'string' ? null : run.perplexity.perplexity,
        ]),
      },
      ...differences.flatMap(({ of, sink }): HeatmapPart[] =>
        sink
          ? [
              {
                kind: 'heatmap',
                heading: `Attention on sinks: ${name(runs[of])} minus ${name(first)}`,
                rows: { name: 'layer', labels: sink.map((_, i) => `${i + 1}`) },
                columns: { name: 'head', labels: Array.from({ length: axes.heads }, (_, head) => `${head}`) },
                value: { name: 'difference in α', format: 'signed' },
                scale: 'diverging',
                range: [-1, 1],
                values: sink.flatMap((row) => Array.from({ length: axes.heads }, (_, head) => row?.[head] ?? null)),
              },
            ]
          : [],
      ),
    ],
  };
}

export const compareExperiment = experiment({
  id: 'compare',
  title: 'Compare models or texts',
  description: 'Models or texts side by side: activations by layer, sink rates, perplexity, and differences.',
  onChosen: false,
  inputs: {
    texts: { kind: 'texts', label: 'Texts' },
    models: { kind: 'models', label: 'Models' },
    window: { kind: 'whole', label: 'Window (tokens)', least: 3, default: 256 },
    tokens: { kind: 'whole', label: 'First tokens only', least: 1, open: 'all' },
  },
  async *steps({ engine, ...setup }, { texts: corpus, ...values }, signal) {
    const texts: NamedText[] = [];
    for await (const text of corpus.texts) texts.push(text);
    yield* presented(compare(engine, { ...setup, ...values, texts }, signal), presentCompare);
  },
});
