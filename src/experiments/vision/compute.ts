/** What a vision model's massive activations are for: set to zero, and to their mean over other pictures ("Fix-mean"). */
import { formatNumber, formatShare } from '../../analysis/format.js';
import { kindOf, ratio } from '../../analysis/massive.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { Intervention } from '../../engine/contract/interventions.js';
import type { Engine } from '../../engine/host/engine.js';
import { grouped, SinkscopeError } from '../../errors.js';
import { greatest, least, mean } from '../../statistics/numbers.js';
import { uniform } from '../../statistics/random.js';
import type { Entry, HiddenStatistics } from '../../statistics/statistics.js';
import type { Budget, Run } from '../experiment.js';
import { analyzePrompt, ask, type PromptRequest } from '../shared/run.js';

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
  const shown: Shown[] = [];
  for (const prompt of images) {
    const { layers } = await analyzePrompt(engine, { ...request, prompt }, signal);
    checkDims(request, layers);
    shown.push({ prompt, layers, output: await ask(engine, { type: 'output' }, signal) });
    yield { phase: 'running', done: ++done, of };
  }
  checkAlike(shown, model);
  checkDifferent(shown);
  const layer = onsetOf(shown);
  const dims = dimsOf(shown, layer, request.dims);
  const pictures: Picture[] = [];
  for (const { prompt, layers, output } of shown) {
    // Events carry a state's sixteen largest entries, and which state it is was not known before all had been run.
    await analyzePrompt(engine, { ...request, prompt }, signal);
    const { values } = await ask(engine, { type: 'entries', layer, of: 'nodes' }, signal);
    const state = stateAt(layers, layer);
    pictures.push({ prompt, output, state, entries: entriesOf(values, state, dims, thresholds) });
    yield { phase: 'running', done: ++done, of };
  }
  const random = uniform(seed);
  const changes: Record<VisionRow['name'], Change[]> = { zero: [], mean: [], random: [] };
  for (const picture of pictures) {
    const interventions = interventionsOf(picture, layer, pictures, random);
    for (const name of variants) {
      await analyzePrompt(engine, { ...request, prompt: picture.prompt, interventions: interventions[name] }, signal);
      const { values } = await ask(engine, { type: 'output' }, signal);
      changes[name].push(changeOf(picture.output.values, values));
      yield { phase: 'measuring', done: ++done, of };
    }
  }
  const chosen = pictures.flatMap(({ entries, state }) => entries.map((entry) => ({ entry, state })));
  return {
    model,
    images: images.length,
    tokens: pictures[0]?.state.tokens ?? 0,
    outputShape: pictures[0]?.output.shape ?? [],
    thresholds,
    seed,
    layer,
    dims,
    entries: pictures.map(({ entries }) => entries),
    massive: chosen.some(({ entry, state }) => kindOf(entry.value, state, thresholds) === 'massive'),
    largestRatio: greatest(chosen.map(({ entry, state }) => ratio(entry.value, state))),
    rows: variants.map((name) => rowOf(name, changes[name])),
  };
}

/** A picture that was run as it is. */
interface Shown {
  readonly prompt: PromptRequest['prompt'];
  readonly layers: readonly HiddenStatistics[];
  readonly output: Output;
}

/** With the state in which entries are set, and these. */
interface Picture extends Omit<Shown, 'layers'> {
  readonly state: HiddenStatistics;
  readonly entries: readonly Entry[];
}

interface Output {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

function checkAlike(shown: readonly Shown[], model: string): void {
  const shapes = new Set(shown.map(({ output }) => output.shape.join(' × ')));
  if (shapes.size === 1) return;
  throw new SinkscopeError({
    code: 'input',
    file: model,
    message: `${model} gives outputs of different sizes for these images (${[...shapes].join(', ')}); give images of one size.`,
  });
}

function checkDims({ dims, model }: VisionRequest, layers: readonly HiddenStatistics[]): void {
  const width = layers[0]?.dims ?? 0;
  if (dims <= width) return;
  throw new SinkscopeError({
    code: 'input',
    file: model,
    message: `${model} has ${grouped(width)} dims, so ${grouped(dims)} cannot be set; choose at most ${grouped(width)}.`,
  });
}

/** Outputs nearer to each other than this, relative to their length, are of one picture: rounding makes no more. */
const rounding = 1e-5;

/** @throws SinkscopeError `input` where a picture is given twice: it would be among the others that it is set by */
function checkDifferent(shown: readonly Shown[]): void {
  for (const [i, { prompt, output }] of shown.entries()) {
    const at = shown.findIndex((one) => changeOf(one.output.values, output.values).relative < rounding);
    const same = shown[at];
    if (same === undefined || at >= i) continue;
    throw new SinkscopeError({
      code: 'input',
      message: `${nameOf(same.prompt, at)} and ${nameOf(prompt, i)} give the same output, so they are one picture, which cannot be compared with a mean over others; leave one of them out.`,
    });
  }
}

function nameOf(prompt: PromptRequest['prompt'], i: number): string {
  if ('image' in prompt) return prompt.image;
  return 'feeds' in prompt ? prompt.feeds : `image ${i + 1}`;
}

function stateAt(layers: readonly HiddenStatistics[], k: number): HiddenStatistics {
  const state = layers[k];
  if (!state) throw new Error(`there is no h_${k}`);
  return state;
}

function onsetOf(shown: readonly Shown[]): number {
  const depth = shown[0]?.layers.length ?? 0;
  const ratioAt = (k: number) =>
    mean(shown.map(({ layers }) => ratio(stateAt(layers, k).top[0]?.value ?? 0, stateAt(layers, k))));
  const growth = (k: number) => ratioAt(k) - ratioAt(k - 1);
  let onset = 1;
  for (let k = 2; k < depth - 1; k++) if (growth(k) > growth(onset)) onset = k;
  return onset;
}

/** The dims whose largest magnitude over tokens, averaged over images, is greatest. */
function dimsOf(shown: readonly Shown[], layer: number, count: number): number[] {
  const states = shown.map(({ layers }) => stateAt(layers, layer));
  const sums = Array.from({ length: states[0]?.dims ?? 0 }, (_, dim) => {
    return { dim, sum: mean(states.map(({ dimMax }) => dimMax[dim] ?? 0)) };
  });
  return sums
    .sort((a, b) => b.sum - a.sum)
    .slice(0, count)
    .map(({ dim }) => dim);
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
      return { token, dim, value: values[token * state.dims + dim] ?? 0 };
    }).sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
    const standing = column.filter(({ value }) => kindOf(value, state, thresholds) !== undefined);
    return standing.length > 0 ? standing : column.slice(0, 1);
  });
}

/** What is set in a picture, by the name of its row; as many random entries are drawn as it has others. */
function interventionsOf(
  picture: Picture,
  layer: number,
  pictures: readonly Picture[],
  random: () => number,
): Record<VisionRow['name'], Intervention[]> {
  const { entries, state } = picture;
  const randomly = entries.map(() => ({
    token: Math.floor(random() * state.tokens),
    dim: Math.floor(random() * state.dims),
  }));
  const others = pictures.filter((one) => one !== picture);
  return {
    zero: entries.map((entry) => setting(layer, entry, { to: 'zero' })),
    mean: entries.map((entry) => setting(layer, entry, { to: 'value', value: meanOf(others, entry.dim) })),
    random: randomly.map((entry) => setting(layer, entry, { to: 'zero' })),
  };
}

/** Mean value of a dim over the entries of pictures, of which each has one at least. */
function meanOf(pictures: readonly Picture[], dim: number): number {
  const entries = pictures.flatMap(({ entries }) => entries.filter((entry) => entry.dim === dim));
  return mean(entries.map(({ value }) => value));
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
    const y = after[i] ?? 0;
    product += x * y;
    own += x * x;
    other += y * y;
    apart += (y - x) ** 2;
    if (x > (before[top] ?? 0)) top = i;
    if (y > (after[newTop] ?? 0)) newTop = i;
  }
  return { cosine: product / Math.sqrt(own * other), relative: Math.sqrt(apart / own), sameTop: top === newTop };
}

function rowOf(name: VisionRow['name'], changes: readonly Change[]): VisionRow {
  return {
    name,
    cosine: mean(changes.map(({ cosine }) => cosine)),
    leastCosine: least(changes.map(({ cosine }) => cosine)),
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
