/** Changes in the words of findings (the massive tokens, the onset), made into interventions on what a run has. */
import type { Analysis } from '../../analysis/analysis.js';
import { type MassiveActivation, massiveActivations } from '../../analysis/massive.js';
import { sinks } from '../../analysis/sinks.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import { type Intervention, isOfStream } from '../../engine/contract/interventions.js';
import type { MeanEvent } from '../../engine/contract/states.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import type { Budget } from '../experiment.js';
import { follow, textWindows } from '../shared/text.js';
import type { Change } from './change.js';

/** An intervention whose mean may not be known yet. */
export type Resolved = Omit<Intervention, 'set'> & Pick<Change, 'set'>;

/**
 * The interventions that `change` means for the prompt of `analysis`. Massive entries are those that are so by
 * definition, or where there are none those that are large; massive tokens with massive dims are these entries alone.
 *
 * @throws SinkscopeError `input` where nothing is massive or no token a sink, or a point is outside the tensor
 */
export function resolve(change: Change, analysis: Analysis, thresholds: Thresholds): Resolved[] {
  const { point, set } = change;
  const hidden = analysis.layers[0]?.dims ?? 0;
  const length = analysis.layers[0]?.tokens ?? 0;
  const layers = analysis.layers.length - 1;
  const massive = () => standingOut(analysis, thresholds);
  if (!isOfStream(point) && change.dims === 'massive') {
    throw new SinkscopeError({
      code: 'input',
      message: `dims=massive are dims of the residual stream; the point ${point} has others, so give them as numbers.`,
    });
  }
  const chosenTokens = tokensOf(change.tokens, analysis, thresholds, massive);
  const chosenDims = change.dims === 'massive' ? unique(massive().map(({ dim }) => dim)) : change.dims;
  if (chosenTokens !== 'all') checkRange('token', chosenTokens, length);
  if (chosenDims !== 'all' && isOfStream(point)) checkRange('dim', chosenDims, hidden);

  const blocks =
    change.block === 'every'
      ? Array.from({ length: layers }, (_, i) => i + 1)
      : [change.block === 'onset' ? (massive()[0]?.onset ?? 1) : change.block];
  const outside = blocks.find((block) => block > layers || block < (point === 'resid_post' ? 0 : 1));
  if (outside !== undefined) {
    throw new SinkscopeError({
      code: 'input',
      message: `There is no ${point} of block ${outside}: the model has blocks 1 to ${layers}.`,
    });
  }
  const pairs = change.tokens === 'massive' && change.dims === 'massive';
  return blocks.flatMap((block): Resolved[] => {
    if (!pairs || chosenTokens === 'all') return [{ point, block, tokens: chosenTokens, dims: chosenDims, set }];
    return chosenTokens.map((token) => {
      const dims = massive().flatMap((entry) => (entry.token === token ? [entry.dim] : []));
      return { point, block, tokens: [token], dims, set };
    });
  });
}

/** Strongest first. */
function standingOut(analysis: Analysis, thresholds: Thresholds): MassiveActivation[] {
  const found = massiveActivations(analysis, thresholds);
  const massive = found.filter(({ kind }) => kind === 'massive');
  if (found.length === 0) {
    throw new SinkscopeError({
      code: 'input',
      message: `Nothing is massive in this run, and no entry reaches ${thresholds.soft} × the median; give block, tokens and dims as numbers.`,
    });
  }
  return massive.length > 0 ? massive : found;
}

function tokensOf(
  tokens: Change['tokens'],
  analysis: Analysis,
  thresholds: Thresholds,
  massive: () => MassiveActivation[],
): 'all' | readonly number[] {
  if (tokens === 'first') return [0];
  if (tokens === 'massive') return unique(massive().map(({ token }) => token));
  if (tokens !== 'sink') return tokens;
  const found = sinks(analysis, thresholds).sinks.flatMap(({ token }) => token ?? []);
  if (found.length > 0) return found;
  throw new SinkscopeError({ code: 'input', message: 'No token of this run is a sink; give tokens as numbers.' });
}

const unique = (numbers: readonly number[]) => [...new Set(numbers)];

function checkRange(what: 'token' | 'dim', indices: readonly number[], end: number): void {
  const outside = indices.find((index) => index >= end);
  if (outside === undefined) return;
  throw new SinkscopeError({
    code: 'input',
    message: `There is no ${what} ${outside}: this run has ${what}s 0 to ${end - 1}.`,
  });
}

export interface MeansRequest extends Budget {
  readonly model: string;
  /** Another text than the one that is run. */
  readonly calibrationText: string;
  /** T of the run, and whether a prefix token was put before it: the calibration's sequences are made alike. */
  readonly length: number;
  readonly bos: boolean;
}

/** Interventions, and over how many windows of the calibration text their means are: none where there is no mean. */
export interface Means {
  readonly interventions: readonly Intervention[];
  readonly sequences: number;
}

/**
 * Puts in place of every `mean` the values of the same entries, averaged over the windows of a calibration text.
 *
 * @throws SinkscopeError `input` where that text fills no window of this length
 */
export async function withMeans(
  engine: Engine,
  resolved: readonly Resolved[],
  request: MeansRequest,
  signal?: AbortSignal,
): Promise<Means> {
  const { model, length, bos, memory, threads } = request;
  const open = resolved.filter(({ set }) => set.to === 'mean');
  const rows = unique(open.flatMap(({ tokens }) => tokensUpTo(tokens, length)));
  const means = new Map<string, MeanEvent>();
  let windowCount = 0;
  if (open.length > 0) {
    const windowing = { window: length, bos, called: 'The calibration text', exact: true } as const;
    const windows = await textWindows(engine, model, request.calibrationText, windowing, signal);
    const sequences = windows.sequences.map(({ ids }) => ids);
    windowCount = sequences.length;
    const places = placesOf(open);
    const states = engine.run('states', { model, sequences, places, mean: { rows }, memory, threads }, signal);
    for await (const event of follow(states))
      if (event.type === 'mean') means.set(`${event.point} ${event.block}`, event);
  }
  const interventions = resolved.flatMap(({ set, ...where }): Intervention[] => {
    if (set.to !== 'mean') return [{ ...where, set }];
    return tokensUpTo(where.tokens, length).map((token) => {
      const row = means.get(`${where.point} ${where.block}`)?.rows[rows.indexOf(token)] ?? new Float32Array(0);
      const dims = dimsOf(where.dims, row.length);
      return { ...where, tokens: [token], dims, set: { to: 'value', value: dims.map((dim) => row[dim] ?? 0) } };
    });
  });
  return { interventions, sequences: windowCount };
}

const range = (length: number) => Array.from({ length }, (_, i) => i);

const tokensUpTo = (tokens: Intervention['tokens'], length: number) => (tokens === 'all' ? range(length) : tokens);

function dimsOf(dims: Intervention['dims'], width: number): readonly number[] {
  if (dims === 'all') return range(width);
  return 'except' in dims ? range(width).filter((dim) => !dims.except.includes(dim)) : dims;
}

/** Each once, in the order in which the model computes them. */
function placesOf(interventions: readonly Resolved[]) {
  const places = new Map(interventions.map(({ point, block }) => [`${point} ${block}`, { point, block }] as const));
  return [...places.values()].sort((a, b) => a.block - b.block);
}
