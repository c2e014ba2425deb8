/** What else helps a quantised model beside leaving products out, each measured on the same windows. */
import type { ExtentsEvent, ExtentsRequest, Smoothing } from '../../engine/contract/extents.js';
import type { SchemeName, Simulated } from '../../engine/contract/pair.js';
import type { TreatedSequence, Treatment } from '../../engine/contract/treat.js';
import type { Engine } from '../../engine/host/engine.js';
import { greatest, mean } from '../../statistics/numbers.js';
import type { Budget, Progress } from '../experiment.js';
import { outlierTokens, prefixOf } from '../shared/prefix.js';
import { follow, progressThrough } from '../shared/text.js';
import { Figures } from './figures.js';

/** Something that was done, and what it gives. */
export interface Cure {
  readonly name: 'exclude' | 'tokens' | 'prefix' | 'smooth' | 'per-token';
  /** With what, in a few words. */
  readonly how: string;
  readonly kld: number;
  readonly perplexity: number;
  /** Of weights that stay as they are. */
  readonly bytes: number;
  /** Tokens of a window that stay in float, or that are put before it. */
  readonly tokens: number;
  /** What ln perplexity falls by where the massive tokens alone stay in float, in nats. */
  readonly dSink?: number;
  /** The model that was written. */
  readonly file?: string;
}

/** One that could not be tried, and why in a clause. */
export interface Untried {
  readonly name: Cure['name'];
  readonly why: string;
}

/** What the model is like on calibration windows, and what is quantised. */
export interface Case extends Budget {
  readonly model: string;
  readonly by: Simulated;
  readonly sequences: readonly { readonly ids: readonly number[]; readonly from: number }[];
  /** Windows that extents are taken from. */
  readonly calibration: readonly (readonly number[])[];
  readonly extents: ExtentsEvent;
  /** By window that is measured, tokens that stand out where MLPs end, by block. */
  readonly outliers: readonly (readonly (readonly number[])[])[];
  readonly calibrationOutliers: readonly (readonly (readonly number[])[])[];
  /** The token that every window begins with. */
  readonly prefix: number | undefined;
  readonly context: number | undefined;
  /** Perplexity with everything quantised. */
  readonly perplexity: number;
  /** Where the model that is smoothed best is written. */
  readonly saveSmooth: string | undefined;
}

/** The same scheme with a scale for each token; undefined where there is none, or it has that already. */
const perToken: Partial<Readonly<Record<SchemeName, SchemeName>>> = {
  'int8-dynamic': 'int8-token',
  'int8-channel': 'int8-token',
  'int8-static': 'int8-token',
  fp8: 'fp8-token',
};

/** Schemes that round weights alone. */
export const weightsOnly: ReadonlySet<SchemeName> = new Set(['int4-block32', 'int4-block128']);

/** α of SmoothQuant that are tried (arXiv:2211.10438 takes 0.5, and 0.75 to 0.9 for models with larger outliers). */
export const alphas = [0.4, 0.5, 0.6, 0.7, 0.8] as const;

/** Of a treatment over all windows. */
export interface Treated {
  readonly kld: number;
  readonly perplexity: number;
}

/** What a remedy gives, or that it cannot be tried. */
export type Tried = Cure | Untried;
export const isTried = (one: Tried): one is Cure => 'kld' in one;

/** Tries all that a scheme has use for, and yields each as it is known. */
export async function* tryRemedies(
  engine: Engine,
  one: Case,
  signal: AbortSignal | undefined,
): AsyncGenerator<Progress & { readonly tried: readonly Tried[] }, readonly Tried[], void> {
  const tried: Tried[] = [];
  const { scheme } = one.by;
  if (weightsOnly.has(scheme)) {
    const why = `${scheme} rounds weights alone, and activations stay as they are`;
    return (['tokens', 'prefix', 'smooth', 'per-token'] as const).map((name) => ({ name, why }));
  }
  for (const attempt of [keepTokens, putBefore, smooth, byToken]) {
    const run = attempt(engine, one, signal);
    let step = await run.next();
    for (; !step.done; step = await run.next()) yield { ...step.value, tried: [...tried] };
    tried.push(step.value);
  }
  return tried;
}

type Attempt = AsyncGenerator<Progress, Tried, void>;

async function* keepTokens(engine: Engine, one: Case, signal: AbortSignal | undefined): Attempt {
  const { calibration, calibrationOutliers, outliers, sequences, perplexity } = one;
  const isAny = outliers.some((of) => of.some(({ length }) => length > 0));
  // Where none stands out there is still the first, which is a sink nearly everywhere.
  const standing = (of: readonly (readonly number[])[]) => (isAny ? outlierTokens(of) : [0]);
  const all = outliers.map(standing);
  const tokens = mean(all.map(({ length }) => length));
  const without = calibration.map((ids, i) => ({ ids, without: standing(calibrationOutliers[i] ?? []) }));
  const by = yield* ranged(engine, one, without, signal);
  const kept = sequences.map((sequence, i) => ({ ...sequence, kept: all[i] ?? [] }));
  const [found] = yield* treated(engine, one, kept, [{ by }], 'keeping tokens in float', signal);
  const treatment = found ?? nothing;
  const dSink = Math.log(perplexity) - Math.log(treatment.perplexity);
  const counted = Number.isInteger(tokens) ? `${tokens}` : tokens.toFixed(1);
  const how = isAny ? `tokens that stand out, ${counted} of a window` : 'the first token, for none stands out';
  return { name: 'tokens', how, ...treatment, bytes: 0, tokens, dSink };
}

async function* putBefore(engine: Engine, one: Case, signal: AbortSignal | undefined): Attempt {
  const { calibration, calibrationOutliers, sequences, prefix, context, model } = one;
  const { chosen, count } = prefixOf({ pieces: calibration, outliers: calibrationOutliers, prefix });
  // Windows begin with the last of them, where the model has it.
  const lead = prefix === undefined ? chosen : chosen.slice(0, -1);
  if (count === 0) return { name: 'prefix', why: 'no token stands out where an MLP ends' };
  const tokens = lead.length + (prefix === undefined ? 0 : 1);
  if (tokens === 0) return { name: 'prefix', why: 'no token could be found to begin with' };
  const longest = greatest(sequences.map(({ ids }) => ids.length)) + lead.length;
  if (context !== undefined && longest > context)
    return { name: 'prefix', why: `with it windows of ${longest} tokens are longer than the context of ${context}` };
  const rows = Array.from({ length: tokens }, (_, row) => row);
  const led = sequences.map((sequence) => ({ ...sequence, lead, kept: rows }));
  const without = calibration.map((ids) => ({ ids: [...lead, ...ids], without: rows }));
  const by = yield* ranged(engine, one, without, signal);
  const [found] = yield* treated(engine, one, led, [{ by }], 'putting a prefix before', signal);
  const names = await engine.decode(model, [...lead, ...(prefix === undefined ? [] : [prefix])], signal);
  const how = `${names.map((name) => JSON.stringify(name)).join(' ')}, computed once in float`;
  return { name: 'prefix', how, ...(found ?? nothing), bytes: 0, tokens };
}

/**
 * SmoothQuant's factors, max|x|^α ÷ max|W|^(1 − α) by dim (arXiv:2211.10438, equation 4).
 *
 * @param inputs those that factors can be folded into what makes them
 */
export function smoothingOf({ inputs }: Pick<ExtentsEvent, 'inputs'>, alpha: number) {
  return inputs
    .filter(({ foldable }) => foldable)
    .map(({ tensor, dimMin, dimMax, weightMax }) => ({
      tensor,
      factors: dimMax.map((max, dim) => {
        const most = Math.max(least, Math.abs(max), Math.abs(dimMin[dim] ?? 0));
        return Math.max(least, most ** alpha / Math.max(least, weightMax[dim] ?? 0) ** (1 - alpha));
      }),
    }));
}

/** What factors and what they are made of are not below, as in the authors' code. */
const least = 1e-5;

async function* smooth(engine: Engine, one: Case, signal: AbortSignal | undefined): Attempt {
  const { calibration, extents, sequences, saveSmooth: file, model, memory, threads } = one;
  if (!extents.inputs.some(({ foldable }) => foldable))
    return {
      name: 'smooth',
      why: 'nothing that products read is made by a norm or a gate that factors can be folded into',
    };
  const treatments: Treatment[] = [];
  for (const alpha of alphas) {
    const factors = smoothingOf(extents, alpha);
    treatments.push({
      by: yield* ranged(
        engine,
        one,
        calibration.map((ids) => ({ ids })),
        signal,
        factors,
      ),
      smooth: factors,
    });
  }
  const found = yield* treated(engine, one, sequences, treatments, 'smoothing', signal);
  const best = found.reduce(
    (least, { kld }, i) => (kld < (found[least]?.kld ?? 0) || Number.isNaN(found[least]?.kld) ? i : least),
    0,
  );
  const alpha = alphas[best] ?? 0.5;
  if (file !== undefined)
    await engine.smooth({ model, smooth: smoothingOf(extents, alpha), save: { file }, memory, threads }, signal);
  return {
    name: 'smooth',
    how: `SmoothQuant, α ${alpha} of ${alphas[0]} to ${alphas.at(-1)}`,
    ...(found[best] ?? nothing),
    bytes: 0,
    tokens: 0,
    ...(file !== undefined && { file }),
  };
}

async function* byToken(engine: Engine, one: Case, signal: AbortSignal | undefined): Attempt {
  const { by, sequences } = one;
  const scheme = perToken[by.scheme];
  if (scheme === undefined) {
    const why = by.scheme === 'fp16' ? 'fp16 has no scales' : `${by.scheme} has a scale for each token already`;
    return { name: 'per-token', why };
  }
  const [found] = yield* treated(
    engine,
    one,
    sequences,
    [{ by: { what: 'scheme', scheme } }],
    'scaling by token',
    signal,
  );
  return { name: 'per-token', how: scheme, ...(found ?? nothing), bytes: 0, tokens: 0 };
}

const nothing: Treated = { kld: Number.NaN, perplexity: Number.NaN };

/** The scheme with its ranges measured anew, where it has ranges at all. */
async function* ranged(
  engine: Engine,
  { model, by, memory, threads }: Case,
  sequences: ExtentsRequest['sequences'],
  signal: AbortSignal | undefined,
  smooth?: Smoothing,
): AsyncGenerator<Progress, Simulated, void> {
  if (!by.ranges) return by;
  let { ranges } = by;
  const progress = progressThrough('calibrating anew', sequences.length);
  for await (const event of follow(engine.run('extents', { model, sequences, smooth, memory, threads }, signal)))
    if (event.type === 'extents') ranges = event.ranges;
    else yield progress(event);
  return { ...by, ranges };
}

/** Treatments of the same windows. */
export async function* treated(
  engine: Engine,
  { model, memory, threads }: Pick<Case, 'model' | 'memory' | 'threads'>,
  sequences: readonly TreatedSequence[],
  treatments: readonly Treatment[],
  phase: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Progress, readonly Treated[], void> {
  const figures = new Figures(treatments.length);
  const progress = progressThrough(phase, sequences.length);
  for await (const event of follow(
    engine.run('treat', { reference: model, treatments, sequences, memory, threads }, signal),
  )) {
    if (event.type === 'treated') figures.add(event);
    yield progress(event);
  }
  return figures.means;
}
