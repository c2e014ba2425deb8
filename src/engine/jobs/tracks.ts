/** A model and a file made from it, as two tracks that are run side by side. */
import type { Anatomy } from '../../anatomy/anatomy.js';
import { residualPoints } from '../../anatomy/homes.js';
import { SinkscopeError } from '../../errors.js';
import type { Sequence } from '../contract/measure.js';
import type { DivergenceSession, RowDivergences } from '../stages/divergence.js';
import { statesHeld } from '../stages/forward.js';
import { type Head, rangesOf, withHead } from '../stages/head.js';
import { logitRows, sequencesTogether } from '../stages/memory.js';
import type { Plan, Stage } from '../stages/plan.js';
import type { StageRunner } from '../stages/runner.js';
import { floats, sliceRows, type Value, type Values, withFloats } from '../tensors/value.js';

/** Of the two: the model as it was, and the file made from it. */
export type Sided<T> = { readonly reference: T; readonly model: T };
export type Side = keyof Sided<unknown>;
export const sides = [
  ['reference', 'model'],
  ['model', 'reference'],
] as const satisfies readonly (readonly [Side, Side])[];

/** One of the two, as it is run. */
export interface Track {
  readonly runner: StageRunner;
  readonly plan: Plan;
  /** By block, from the embedding on. */
  readonly stages: readonly Stage[];
  readonly head: Head;
  /** Rows of logits that are held at once for others to be held against. */
  readonly rows: number;
  /** Name of h_k, by k. */
  readonly residuals: readonly string[];
}

/** @throws SinkscopeError `input` where the two have not as many blocks */
export function checkAlike({ reference, model }: Sided<StageRunner>): void {
  const [before, after] = [reference.loaded.anatomy, model.loaded.anatomy];
  if (before.layers === after.layers) return;
  throw new SinkscopeError({
    code: 'input',
    file: model.loaded.file,
    message: `${model.loaded.file} has ${after.layers} blocks, and ${reference.loaded.file} ${before.layers}; compare a model with a file made from it.`,
  });
}

/** @param memory bytes of the budget */
export function trackOf(runner: StageRunner, memory: number): Track {
  const { anatomy } = runner.loaded;
  // Beside those that are held, others come a half as many at a time.
  const { plan, head } = withHead(runner, logitRows(anatomy, memory, 2));
  return {
    runner,
    plan,
    stages: plan.stages.filter(({ last }) => last <= anatomy.layers),
    head,
    rows: logitRows(anatomy, memory),
    residuals: residualPoints(anatomy),
  };
}

/** Hidden states of one sequence that a track holds at once. */
export const statesOf = ({ plan, stages, head }: Track): number => statesHeld(plan, stages, head.stage.inputs);

/**
 * How many sequences of `tokens` go through tracks together.
 *
 * @param held bytes that each of them holds in all tracks
 */
export function sequencesInStep(anatomy: Anatomy, tokens: number, memory: number, held: number): number {
  return sequencesTogether({ anatomy, weightBytes: 0, tokens, memory, again: true, logits: true, held });
}

/** `state` in the type and layout of the other file's, `own`, which keeps its rows of padding. */
export function handedOver(own: Value, state: Value, tokens: number): Value {
  const data = floats(own).slice();
  data.set(floats(sliceRows(state, 0, tokens)));
  return withFloats(own, data);
}

/** Rows of a sequence's logits, and what of others can be held against them. */
interface ScoredPart {
  /** Which of the scored tokens is the first here. */
  readonly at: number;
  /** @throws SinkscopeError `input` where the other predicts another number of tokens */
  divergenceOf(other: {
    readonly track: Track;
    readonly values: Values;
    /** Tokens before the sequence that this one alone has. */
    readonly lead?: number;
  }): Promise<RowDivergences>;
}

/**
 * The reference's logits of the scored tokens of a sequence, part after part. Sessions of heads stay until the runners
 * are released where there is room for all; else one is there at a time, for it is the largest of a model's weights, and
 * made anew for each part: who asks for several ways goes by the model that computes them, the reference first.
 *
 * @param values of the reference, when it is through its blocks
 * @param stay whether there is room for all heads
 * @throws SinkscopeError `input` where they are no numbers
 */
export async function* scoredParts(
  tracks: Sided<Track>,
  { ids, from }: Sequence,
  values: Values,
  session: DivergenceSession,
  stay: boolean,
): AsyncGenerator<ScoredPart, void, void> {
  const { head } = tracks.reference;
  let current = tracks.reference;
  const turnTo = async (track: Track) => {
    if (!stay && track.runner !== current.runner) await current.runner.release();
    current = track;
  };
  const referenceOf = async (from: number, to: number) => {
    const logits = await head.logits(values, from, to, true);
    checkFinite(tracks.reference, logits);
    const vocabulary = logits.length / (to - from);
    return { from, to, vocabulary, against: await session.against(logits, ids.slice(from + 1, to + 1)) };
  };
  // The token at i is predicted at position i - 1.
  for (const [start, end] of rangesOf(from - 1, ids.length - 1, tracks.reference.rows)) {
    const held: Awaited<ReturnType<typeof referenceOf>>[] = [];
    for (const [from, to] of head.ranges(start, end)) held.push(await referenceOf(from, to));
    yield {
      at: start + 1 - from,
      async divergenceOf({ track, values, lead = 0 }) {
        if (held.length === 0) throw new Error('these rows are gone');
        await turnTo(track);
        const found: RowDivergences[] = [];
        for (const { from, to, vocabulary, against } of held) {
          const logits = await track.head.logits(values, lead + from, lead + to, true);
          checkVocabulary(tracks, vocabulary, logits.length / (to - from));
          found.push(await against(logits));
        }
        return joined(found);
      },
    };
    // Whoever was given the part may still have it when the next head is made.
    held.length = 0;
    await turnTo(tracks.reference);
  }
}

/** Those of rows that follow each other. */
function joined(parts: readonly RowDivergences[]): RowDivergences {
  const all = (numbers: (part: RowDivergences) => Float64Array) =>
    Float64Array.from(parts.flatMap((part) => [...numbers(part)]));
  return {
    kld: all(({ kld }) => kld),
    same: parts.flatMap(({ same }) => same),
    probability: {
      reference: all(({ probability }) => probability.reference),
      other: all(({ probability }) => probability.other),
    },
  };
}

function checkFinite({ runner }: Track, logits: Float32Array): void {
  if (!logits.includes(Number.NaN)) return;
  const { file } = runner.loaded;
  throw new SinkscopeError({
    code: 'input',
    file,
    message: `The logits of ${file} are not numbers (NaN), so nothing can be held against them: take the file in a wider format, as fp32, for the model.`,
  });
}

function checkVocabulary({ reference, model }: Sided<Track>, before: number, after: number): void {
  if (before === after) return;
  throw new SinkscopeError({
    code: 'input',
    file: model.runner.loaded.file,
    message: `${model.runner.loaded.file} predicts ${after} tokens, and ${reference.runner.loaded.file} ${before}; compare a model with a file made from it.`,
  });
}
