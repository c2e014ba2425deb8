/** What a vision model's massive activations are for: set to zero, and to their mean over other pictures ("Fix-mean"). */
import type { Analysis } from '../../analysis/analysis.js';
import { formatNumber, formatShare } from '../../analysis/format.js';
import { kindOf, ratio } from '../../analysis/massive.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { Intervention } from '../../engine/contract/interventions.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import { mean } from '../../statistics/numbers.js';
import { uniform } from '../../statistics/random.js';
import type { Entry, HiddenStatistics } from '../../statistics/statistics.js';
import type { Budget, Run } from '../experiment.js';
import { analyze, ask, type PromptRequest } from '../shared/run.js';

export interface VisionRequest extends Budget {
  readonly model: string;
  /** Pictures, or their pixels as tensors; at least two, for a mean over others. */
  readonly images: readonly PromptRequest['prompt'][];
  /** How many dims are set. */
  readonly dims: number;
  readonly thresholds: Thresholds;
  /** Of the random entries. */
  readonly seed: number;
}

const variants = ['zero', 'mean', 'random'] as const;

export interface VisionRow {
  /** Set to zero, to the mean over the other images, or as many random entries to zero. */
  readonly name: (typeof variants)[number];
  /** Of the model's output with and without: mean and least over images. */
  readonly cosine: number;
  readonly leastCosine: number;
  /** ‖changed − as is‖ ÷ ‖as is‖, mean over images. */
  readonly change: number;
  /** Share of images whose largest output is at the same place. */
  readonly sameTop: number;
}

export interface VisionResult {
  readonly model: string;
  readonly images: number;
  /** Rows of the residual stream: class and register tokens and patches. */
  readonly tokens: number;
  readonly outputShape: readonly number[];
  readonly thresholds: Thresholds;
  readonly seed: number;
  /**
   * k of the h_k, 1 ≤ k < L, whose largest ratio to the median, averaged over images, grows most against k - 1. Not
   * the last: nothing but the head follows it, which may read one token alone.
   */
  readonly layer: number;
  /** By falling magnitude, averaged over images. */
  readonly dims: readonly number[];
  /** By image: the entries that are set, and what they are. */
  readonly entries: readonly (readonly Entry[])[];
  /** Whether one of them is massive by definition, and the largest ratio to the median. */
  readonly massive: boolean;
  readonly largestRatio: number;
  readonly rows: readonly VisionRow[];
}

/** @throws SinkscopeError where images, dims or model do not fit */
export async function* fixMean(engine: Engine, request: VisionRequest, signal?: AbortSignal): Run<VisionResult> {
  const { model, images, thresholds, seed } = request;
  if (images.length < 2) {
    throw new SinkscopeError({
      code: 'input',
      message: 'One image has no others to take a mean over; give at least two.',
    });
  }
  const of = images.length * (2 + variants.length);
  let done = 0;
  const runs: Analysis[] = [];
  const outputs: Output[] = [];
  for (const prompt of images) {
    const run = await analyze(engine, { ...request, prompt }, signal);
    checkDims(request, run);
    runs.push(run);
    outputs.push(await ask(engine, { type: 'output' }, signal));
    yield { phase: 'running', done: ++done, of };
  }
  checkAlike(outputs, model);
  checkDifferent(outputs, images);
  const layer = onsetOf(runs);
  const dims = dimsOf(runs, layer, request.dims);
  const entries: Entry[][] = [];
  for (const [i, prompt] of images.entries()) {
    // Events carry a state's sixteen largest entries, and which state it is was not known before all had been run.
    await analyze(engine, { ...request, prompt }, signal);
    const { values } = await ask(engine, { type: 'entries', layer, of: 'nodes' }, signal);
    entries.push(entriesOf(values, runs[i].layers[layer], dims, thresholds));
    yield { phase: 'running', done: ++done, of };
  }
  const random = uniform(seed);

  const changes: Change[][] = variants.map(() => []);
  for (const [i, prompt] of images.entries()) {
    const { tokens, dims: width } = runs[i].layers[layer];
    const randomly = entries[i].map(() => ({
      token: Math.floor(random() * tokens),
      dim: Math.floor(random() * width),
    }));
    const interventions = {
      zero: entries[i].map((entry) => setting(layer, entry, { to: 'zero' })),
      mean: entries[i].map((entry) =>
        setting(layer, entry, { to: 'value', value: meanOfOthers(entries, i, entry.dim) }),
      ),
      random: randomly.map((entry) => setting(layer, entry, { to: 'zero' })),
    };
    for (const [s, name] of variants.entries()) {
      await analyze(engine, { ...request, prompt, interventions: interventions[name] }, signal);
      changes[s].push(changeOf(outputs[i].values, (await ask(engine, { type: 'output' }, signal)).values));
      yield { phase: 'measuring', done: ++done, of };
    }
  }
  const chosen = entries.flatMap((list, i) => list.map((entry) => ({ entry, state: runs[i].layers[layer] })));
  return {
    model,
    images: images.length,
    tokens: runs[0].layers[layer].tokens,
    outputShape: outputs[0].shape,
    thresholds,
    seed,
    layer,
    dims,
    entries,
    massive: chosen.some(({ entry, state }) => kindOf(entry.value, state, thresholds) === 'massive'),
    largestRatio: Math.max(...chosen.map(({ entry, state }) => ratio(entry.value, state))),
    rows: variants.map((name, s) => rowOf(name, changes[s])),
  };
}

interface Output {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

function checkAlike(outputs: readonly Output[], model: string): void {
  const shapes = new Set(outputs.map(({ shape }) => shape.join(' × ')));
  if (shapes.size === 1) return;
  throw new SinkscopeError({
    code: 'input',
    file: model,
    message: `${model} gives outputs of different sizes for these images (${[...shapes].join(', ')}); give images of one size.`,
  });
}

function checkDims({ dims, model }: VisionRequest, { layers }: Analysis): void {
  const width = layers[0]?.dims ?? 0;
  if (dims <= width) return;
  throw new SinkscopeError({
    code: 'input',
    file: model,
    message: `${model} has ${width} dims, so ${dims} cannot be set; choose at most ${width}.`,
  });
}

/** Outputs nearer to each other than this, relative to their length, are of one picture: rounding makes no more. */
const rounding = 1e-5;

/** @throws SinkscopeError `input` where a picture is given twice: it would be among the others that it is set by */
function checkDifferent(outputs: readonly Output[], images: VisionRequest['images']): void {
  for (const [i, { values }] of outputs.entries()) {
    const same = outputs.slice(0, i).findIndex((other) => changeOf(other.values, values).relative < rounding);
    if (same < 0) continue;
    throw new SinkscopeError({
      code: 'input',
      message: `${nameOf(images[same], same)} and ${nameOf(images[i], i)} give the same output, so they are one picture, which cannot be compared with a mean over others; leave one of them out.`,
    });
  }
}

function nameOf(prompt: PromptRequest['prompt'], i: number): string {
  if ('image' in prompt) return prompt.image;
  return 'feeds' in prompt ? prompt.feeds : `image ${i + 1}`;
}

function onsetOf(runs: readonly Analysis[]): number {
  const layers = runs[0].layers.length;
  const ratios = Array.from({ length: layers }, (_, k) =>
    mean(runs.map(({ layers: states }) => ratio(states[k].top[0]?.value ?? 0, states[k]))),
  );
  let onset = 1;
  for (let k = 2; k < layers - 1; k++) if (ratios[k] - ratios[k - 1] > ratios[onset] - ratios[onset - 1]) onset = k;
  return onset;
}

/** The dims whose largest magnitude over tokens, averaged over images, is greatest. */
function dimsOf(runs: readonly Analysis[], layer: number, count: number): number[] {
  const { dims } = runs[0].layers[layer];
  const sums = Array.from({ length: dims }, (_, dim) => mean(runs.map(({ layers }) => layers[layer].dimMax[dim])));
  return Array.from(sums.keys())
    .sort((a, b) => sums[b] - sums[a])
    .slice(0, count);
}

/**
 * Of an image's state, the entries of these dims that are massive or large, or each dim's largest where none is.
 *
 * @param values [T, D]
 */
function entriesOf(
  values: Float32Array,
  state: HiddenStatistics,
  dims: readonly number[],
  thresholds: Thresholds,
): Entry[] {
  return dims.flatMap((dim) => {
    const column = Array.from({ length: state.tokens }, (_, token): Entry => {
      return { token, dim, value: values[token * state.dims + dim] };
    }).sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
    const standing = column.filter(({ value }) => kindOf(value, state, thresholds) !== undefined);
    return standing.length > 0 ? standing : column.slice(0, 1);
  });
}

/** Mean value of a dim over all other images' entries, of which each has one at least. */
function meanOfOthers(entries: readonly (readonly Entry[])[], image: number, dim: number): number {
  const others = entries.flatMap((list, i) => (i === image ? [] : list.filter((entry) => entry.dim === dim)));
  return mean(others.map(({ value }) => value));
}

function setting(block: number, { token, dim }: Pick<Entry, 'token' | 'dim'>, set: Intervention['set']): Intervention {
  return { point: 'resid_post', block, tokens: [token], dims: [dim], set };
}

interface Change {
  readonly cosine: number;
  readonly relative: number;
  readonly sameTop: boolean;
}

function changeOf(before: Float32Array, after: Float32Array): Change {
  let [product, own, other, apart] = [0, 0, 0, 0];
  let [top, newTop] = [0, 0];
  for (const [i, x] of before.entries()) {
    const y = after[i];
    product += x * y;
    own += x * x;
    other += y * y;
    apart += (y - x) ** 2;
    if (x > before[top]) top = i;
    if (y > after[newTop]) newTop = i;
  }
  return { cosine: product / Math.sqrt(own * other), relative: Math.sqrt(apart / own), sameTop: top === newTop };
}

function rowOf(name: VisionRow['name'], changes: readonly Change[]): VisionRow {
  return {
    name,
    cosine: mean(changes.map(({ cosine }) => cosine)),
    leastCosine: Math.min(...changes.map(({ cosine }) => cosine)),
    change: mean(changes.map(({ relative }) => relative)),
    sameTop: mean(changes.map(({ sameTop }) => Number(sameTop))),
  };
}

/** What the rows say, in a sentence; that there is nothing massive, or no effect, where that is so. */
export function visionConclusion({ rows, layer, dims, massive, largestRatio, entries }: VisionResult): string {
  const of = (name: VisionRow['name']) => rows.find((row) => row.name === name)?.change ?? Number.NaN;
  const [zero, fixed] = [of('zero'), of('mean')];
  const what = `${dims.length === 1 ? 'dimension' : 'dimensions'} ${dims.join(', ')} of h_${layer} (${entries.flat().length} entries over all images)`;
  const none = massive
    ? ''
    : `Nothing is massive here (at most ${formatNumber(largestRatio)} × the median), so the largest entries were taken. `;
  const facts = `${none}Setting ${what} to zero changes the output by ${formatShare(zero)}, to the mean over other images by ${formatShare(fixed)}, random entries to zero by ${formatShare(of('random'))}`;
  if (zero < 0.02) return `${facts}: the model hardly uses these values.`;
  if (fixed < zero / 3)
    return `${facts}: the model needs these values, but hardly what differs in them between images.`;
  return `${facts}: the mean does not stand in for these values, so they are more than a constant bias.`;
}
