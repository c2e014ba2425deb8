import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type Part, type Presentation, tableOf } from '../../../src/analysis/presentation.js';
import { experiments } from '../../../src/experiments/catalogue.js';
import { type ExperimentStep, eachAs, progressInWords, type Setup } from '../../../src/experiments/experiment.js';
import type { Given } from '../../../src/experiments/values.js';
import recorded from '../../../webview/dev/runs/experiments.json';
import analyses from '../../references/analysis.json';
import visionGraphs from '../../references/vision-graphs.json';
import {
  boats,
  budget,
  demoModel,
  finish,
  fixtureModel,
  off,
  pendulum,
  references,
  startEngine,
  text,
  thresholds,
} from '../../support/experiments.js';
import { at, found, pairs } from '../../support/lists.js';

/** Runs an experiment with the demo model that most are shown on, unless another is given. */
const run = (
  id: string,
  setup: Pick<Setup, 'engine'> & Partial<Setup>,
  given: Given,
  { signal } = new AbortController(),
) => {
  const { run } = found(experiments, (experiment) => experiment.id === id);
  const usual = { ...budget, bos: undefined, part: undefined, thresholds };
  return run({ ...usual, ...setup }, { model: demoModel('llama'), ...given }, signal);
};
const named = (file: string) => ({ name: file.replace(/.*\//, ''), text: text(file) });

/** The part of a presentation under a heading, which is of the kind that is asked for. */
function partOf<K extends Part['kind']>(presentation: Presentation | undefined, kind: K, heading: RegExp | string) {
  const under = (part: Part) => (typeof heading === 'string' ? part.heading === heading : heading.test(part.heading));
  return found(presentation?.parts, (part): part is Extract<Part, { kind: K }> => part.kind === kind && under(part));
}

const readAsLf = (name: string) => ({
  name: 'line ends',
  value: expect.stringMatching(new RegExp(`^[\\d,]+ of ${name} read as LF$`)),
});

describe('on the demo model', async () => {
  const engine = startEngine();
  const shown = async (id: string, given: Given): Promise<Presentation> =>
    (await finish(run(id, { engine, part: 'first' }, given))).presentation;

  it('an entry set to zero is shown beside the run as it is, as PyTorch has both', async () => {
    const expected = found(references.intervenedRun, ({ model }) => model === 'llama');
    const presentation = await shown('intervene', { text: named('media/sample.md') });
    const { settings, sentence } = presentation;
    expect(settings).toContainEqual({ name: 'set', value: 'resid_post of block 2, token 0, dim 239 → 0' });
    const heads = expected.alphaFirst.flat();
    const rate = heads.filter((alpha) => alpha > thresholds.epsilon).length / heads.length;
    const sinks = partOf(presentation, 'table', 'Sinks');
    expect(at(sinks.rows, 0, 2)).toBe(rate);
    expect(sentence).toContain(`${(100 * rate).toFixed(1)} % after`);
    const after = partOf(presentation, 'heatmap', 'After: layer × token');
    const width = after.columns.labels.length;
    expect(expected.top).toHaveLength(after.rows.labels.length);
    for (const [layer, [largest = Number.NaN, token = Number.NaN]] of expected.top.entries())
      expect(after.values[layer * width + token]).toBeCloseTo(Math.abs(largest), 1);
  });

  it('a change takes its dims from its point, and means from another text or with a warning', async () => {
    const sample = named('media/sample.md');
    const inside = await shown('intervene', { text: sample, point: 'mlp' });
    expect(inside.settings).toContainEqual({ name: 'set', value: 'mlp of block 2, token 0, dim all → 0' });
    expect(inside.warnings).toEqual([]);
    const windows = { name: 'copy.md', text: sample.text.replaceAll('\n', '\r\n') };
    const means = { text: sample, set: 'mean' };
    const itself = await shown('intervene', { ...means, calibration: windows });
    expect(itself.warnings).toEqual([
      expect.stringMatching(/^The calibration text is the text itself, or part of it: the means are not held out/),
    ]);
    // A condition of the numbers, and nothing to be warned of.
    expect(itself.settings).toContainEqual(readAsLf('copy.md'));
    const { name, text } = named(pendulum);
    const heldOut = await shown('intervene', { ...means, calibration: { name, text: text.slice(0, 1200) } });
    expect(heldOut.warnings).toEqual([]);
    expect(heldOut.settings).toContainEqual(readAsLf('pit-and-pendulum.md'));
  });

  it('perplexities under interventions are bars against the run as it is', async () => {
    const given = { text: named(boats), calibration: named(pendulum), tokens: 2048, top: 1 };
    const presentation = await shown('interventions', given);
    const { rows } = found(references.interventions, ({ model, points }) => model === 'llama' && points.length === 1);
    const { bars, reference } = partOf(presentation, 'bars', 'Perplexity by variant');
    for (const [bar, { name, perplexity }] of pairs(bars, rows)) {
      expect(bar.name).toBe(name);
      // Other entries are drawn here than there.
      if (name !== 'random') expect(bar.value, name).toBeCloseTo(perplexity, 2);
    }
    expect(reference).toBe(at(bars, 0).value);
    expect(presentation.settings.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['model', 'text', 'calibration', 'T', 'BOS', 'massive', 'seed']),
    );
  });

  it('a vision model, a graph transformer and a quantised file have their views', async () => {
    const { fixture, rows, soft } = at(visionGraphs.vision, 0);
    const images = [0, 1, 2, 3].map((i) =>
      fileURLToPath(new URL(`../../references/pixels/${i}.safetensors`, import.meta.url)),
    );
    const vision = await finish(
      run('vision', { engine, thresholds: { ...thresholds, soft } }, { model: fixtureModel(fixture), images, dims: 2 }),
    );
    const { bars } = partOf(vision.presentation, 'bars', 'Change of the output');
    const known = bars.filter(({ name }) => name !== 'random');
    for (const [{ name, value }, row] of pairs(known, rows)) {
      expect(name).toBe(row.name);
      expect(off(value, row.change), name).toBeLessThan(5e-3);
    }

    const graph = fixtureModel(visionGraphs.graphs.fixture);
    const feeds = [graph.replace('model.onnx', 'golden.safetensors')];
    const ratios = await finish(run('ratios', { engine }, { model: graph, untrained: graph, feeds }));
    expect(ratios.presentation.sentence).toContain('training has made no activations massive here');

    const given = { text: named(boats), quantised: demoModel('llama'), tokens: 600 };
    const quantised = await finish(run('compare-quantised', { engine }, given));
    const moved = partOf(quantised.presentation, 'lines', 'How far hidden states move');
    expect(tableOf(moved).rows.map((row) => row[1])).toEqual(new Array(9).fill(0));

    for (const { presentation } of [vision, ratios, quantised]) {
      expect(presentation.parts).not.toEqual([]);
      for (const part of presentation.parts) {
        const { columns, rows } = tableOf(part);
        for (const row of rows) expect(row, part.heading).toHaveLength(columns.length);
      }
    }
  });

  it('updates from the massive token are set against the rest head by head, as PyTorch has them', async () => {
    const presentation = await shown('bias', { text: named('media/sample.md') });
    const { blocks } = found(references.implicitBias, ({ model }) => model === 'llama');
    const values = (heading: RegExp) => {
      const { rows, columns, values } = partOf(presentation, 'heatmap', heading);
      expect([rows.labels.length, columns.labels.length]).toEqual([8, 4]);
      return values;
    };
    const close = (shown: readonly (number | null)[], wanted: readonly number[]) => {
      for (const [value, expected] of pairs(shown, wanted)) expect(value).toBeCloseTo(expected, 4);
    };
    close(
      values(/^How large value updates are by head: ⟨bos⟩ ÷ the rest/),
      blocks.flatMap(({ firstNorm, restNorm }) =>
        pairs(firstNorm, restNorm).map(([own, rest]) => Math.log10(own / rest)),
      ),
    );
    close(
      values(/^How alike value updates are by head: all other tokens .*⟨bos⟩, a single key: 1 everywhere/),
      blocks.flatMap(({ restCosine }) => restCosine),
    );
  });

  it('updates from several keys differ in direction too, head by head', async () => {
    const { parts } = await shown('bias', { text: named('media/sample.md'), tokens: '0, 3' });
    const headings = parts.map(({ heading }) => heading).filter((heading) => heading.startsWith('How alike'));
    expect(headings).toEqual([
      'How alike value updates are between queries',
      expect.stringMatching(/^How alike value updates are by head: ⟨bos⟩, “/),
      'How alike value updates are by head: all other tokens',
    ]);
  });

  it('models are set against the first, layer by layer and token by token, as PyTorch has them', async () => {
    const names = ['llama', 'llama-plain'] as const;
    const texts = { name: 'sample.md', texts: [named('media/sample.md')] };
    const presentation = await shown('compare', { texts, models: names.map(demoModel) });
    const { warnings, settings } = presentation;
    const [llama, plain] = [analyses.models.llama.layers, analyses.models['llama-plain'].layers];
    type Layer = { readonly top: readonly { readonly value: number }[]; readonly median: number };
    const largest = ({ top, median }: Layer) => Math.abs(at(top, 0).value) / median;
    const { lines } = partOf(presentation, 'lines', 'Largest activation over the median, against llama');
    expect(lines.map(({ name }) => name)).toEqual(names);
    expect(at(lines, 0).values).toEqual(new Array(9).fill(0));
    for (const [k, [ours, theirs]] of pairs(plain, llama).entries())
      expect(at(lines, 1).values[k]).toBeCloseTo(Math.log10(largest(ours) / largest(theirs)), 4);
    const map = partOf(presentation, 'heatmap', /^Largest activation by layer and token: llama-plain ÷/);
    // Token t of llama-plain is token t + 1 of llama, after its prefix.
    const [was, is] = [llama, plain].map((layers) => new Map(Object.entries(at(layers, 8).tokenMax)));
    for (const t of [0, 1, 103]) {
      const ratio = at(is?.get(`${t}`), 0) / at(was?.get(`${t + 1}`), 0);
      expect(map.values[8 * 104 + t]).toBeCloseTo(Math.log10(ratio), 4);
    }
    // A text shorter than a window is one by itself.
    expect(warnings).toEqual([]);
    expect(settings[0]).toEqual({ name: 'models', value: 'llama, llama-plain' });
  });

  it('a prefix token has its name in a comparison too', async () => {
    const texts = { name: 'a', texts: [{ name: 'a', text: 'The lamp was lit. The door was shut.' }] };
    const presentation = await shown('compare', { texts, models: ['llama', 'llama-sink'].map(demoModel) });
    const map = partOf(presentation, 'heatmap', /^Largest activation by layer and token/);
    expect(map.columns.labels.slice(0, 2)).toEqual(['⟨sink⟩', 'The']);
  });

  it('a comparison without a common shape says so', async () => {
    const texts = { name: 'both', texts: [named('media/sample.md'), { name: 'b', text: 'Another text.' }] };
    const { parts, warnings } = await shown('compare', { texts, models: [demoModel('llama')] });
    expect(parts.some(({ heading }) => heading.includes('by layer and token'))).toBe(false);
    expect(warnings.at(-1)).toBe(
      'Against llama on sample.md, llama on b: other tokens, so no difference by token is shown.',
    );
  });

  it('the curve of perplexity is there while it grows', async () => {
    const given = { text: named(boats), tokens: 1024, window: 64 };
    const points = ({ presentation }: Pick<ExperimentStep, 'presentation'>) =>
      partOf(presentation, 'lines', 'Running perplexity').x.values.length;
    const seen: { text: string; points: number }[] = [];
    const outcome = await finish(
      eachAs(run('perplexity', { engine }, given), (step) => {
        seen.push({ text: progressInWords(step), points: points(step) });
      }),
    );
    expect(points(outcome)).toBe(16);
    expect(seen.map(({ points }) => points)).toEqual(Array.from({ length: 16 }, (_, i) => i + 1));
    expect(seen[3]?.text).toMatch(/^window 4 of 16 · perplexity [\d.]+ \(95 % interval [\d.]+ to [\d.]+\)$/);
  });

  it.each(['bias', 'lens', 'intervene'])('%s says that only a part of a long text was run', async (id) => {
    const long = { name: 'long', text: 'The lamp was lit. '.repeat(120) };
    const { ids } = await engine.encode(demoModel('llama'), long.text);
    const { warnings } = await shown(id, { text: long });
    expect(warnings).toEqual([
      `The text is too long to be run at once: only the first 511 of its ${ids.length} tokens were run.`,
    ]);
  });

  it('massive weights come with the list that fine-tuning needs', async () => {
    const given = { text: named(boats), calibration: named(pendulum), tokens: 256, window: 128, k: 3 };
    const { file, json, presentation } = await finish(run('weights', { engine }, given));
    expect(file).toMatchObject({
      block: 2,
      block_index: 1,
      dims: [425, expect.any(Number), expect.any(Number)],
      calibration: { file: 'pit-and-pendulum.md', sequences: 2, window: 128 },
    });
    const { warnings } = presentation;
    expect(json).toMatchObject({ ...file, file: boats.replace(/.*\//, ''), warnings });
    expect(warnings).toEqual(['No more than six super weights are looked for: there may be others.']);
    expect(presentation.settings).toEqual(
      expect.arrayContaining([readAsLf('three-men-in-a-boat.md'), readAsLf('pit-and-pendulum.md')]),
    );
    expect(presentation.settings).toContainEqual({
      name: 'left out at the end',
      value: '2 tokens, too few to fill a window',
    });
  });

  it('stops when it is told to', async () => {
    const controller = new AbortController();
    const running = run('perplexity', { engine }, { text: named(boats) }, controller);
    const stopping = eachAs(running, ({ done }) => done === 1 && controller.abort());
    await expect(finish(stopping)).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('every experiment', () => {
  it.each(recorded.runs.map(({ experiment, presentation }) => [experiment, presentation as Presentation] as const))(
    '%s says what it shows and what that depends on',
    (id, { sentence, settings, parts }) => {
      expect(sentence).toMatch(/^.+[.)]$/s);
      expect(sentence).not.toMatch(/NaN|undefined|null|Infinity/);
      const others: Readonly<Record<string, string[]>> = {
        vision: ['images'],
        ratios: ['graphs'],
        generate: ['tokens', 'BOS'],
        prefix: ['T', 'pieces'],
      };
      const depends = others[id] ?? ['T', 'BOS'];
      expect(settings.map(({ name }) => name)).toEqual(expect.arrayContaining(depends));
      for (const part of parts) {
        const { columns, rows } = tableOf(part);
        expect(rows.length, part.heading).toBeGreaterThan(0);
        for (const row of rows) expect(row, part.heading).toHaveLength(columns.length);
      }
    },
  );
});
