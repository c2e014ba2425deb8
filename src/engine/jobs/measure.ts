/**
 * Scoring of many sequences, as the model is and with interventions: what perplexities are made of. A changed run
 * starts from what the plain one has computed up to its first change, so it costs its share of the blocks only.
 */

import type { Anatomy } from '../../anatomy/anatomy.js';
import { grouped, SinkscopeError } from '../../errors.js';
import { greatest } from '../../statistics/numbers.js';
import type { Entries, Intervention } from '../contract/interventions.js';
import type {
  MeasuredEvent,
  MeasureRequest,
  ProgressEvent,
  ScoredSequence,
  Sequence,
  Variant,
} from '../contract/measure.js';
import type { Place } from '../contract/states.js';
import { makeFeeds } from '../inputs/feeds.js';
import { isCausal } from '../stages/causal.js';
import { forward, type Lane, statesHeld } from '../stages/forward.js';
import { type Head, withHead } from '../stages/head.js';
import { isEncoderOfBoth, seesAhead, withoutHead } from '../stages/lacking.js';
import { createLossSession, type LossSession } from '../stages/losses.js';
import { chooseDial, logitRows, sequencesTogether, stateBytes } from '../stages/memory.js';
import { cutsOf, valueAt } from '../stages/patched.js';
import type { StageRunner } from '../stages/runner.js';
import type { Values } from '../tensors/value.js';
import { progressOf } from './progress.js';
import { checkSequences } from './sequences.js';
import { recordStates } from './states.js';

/**
 * Scores every sequence under its variants, sequence by sequence.
 *
 * @throws SinkscopeError `input` where the model predicts no tokens, an intervention is about nothing, or an id is out
 *   of range; `too-long` where a sequence is longer than the context, or what is patched does not fit the memory.
 */
export async function measure(
  runner: StageRunner,
  request: MeasureRequest,
  emit: (event: MeasuredEvent | ProgressEvent) => Promise<void>,
): Promise<void> {
  const { anatomy } = runner.loaded;
  const { sequences } = request;
  await checkScored(runner, sequences);
  for (const { variants } of sequences)
    for (const { interventions, patches = [] } of variants)
      for (const { point, block } of [...interventions, ...patches]) valueAt(runner.loaded, point, block);
  const { head, dial, course, parts } = prepare(runner, request);
  const others = await othersOf(runner, request);
  const softmax = await createLossSession(request.threads);
  try {
    for (let from = 0; from < parts.length; from += dial.sequences) {
      const group = parts.slice(from, from + dial.sequences).map((part) => lanesOf(anatomy, part, others));
      const under = group.flatMap(({ lanes }) => lanes);
      const [first, last] = [group[0]?.index ?? 0, group.at(-1)?.index ?? 0];
      const report = progressOf(anatomy, dial, first, last + 1);
      for await (const { stage } of forward(runner, course, under)) {
        for (const event of report(stage)) await emit(event);
      }
      // Made once for all that the group has to score.
      const keepHead = dial.keep || group.flatMap(({ scored }) => scored).length > 1;
      for (const { index, before, scored, sequence } of group) {
        for (const [i, { values }] of scored.entries()) {
          const losses = await lossesOf(head, softmax, values, sequence, keepHead);
          const difference = await differenceOf(head, values, sequence, keepHead);
          await emit({ type: 'measured', sequence: index, variant: before + i, losses, difference });
        }
      }
      if (keepHead && !dial.keep) await runner.release();
    }
  } finally {
    await softmax.release();
  }
}

/**
 * That a model predicts these sequences.
 *
 * @throws SinkscopeError as {@link measure}
 */
export async function checkScored(runner: StageRunner, sequences: readonly Sequence[]): Promise<void> {
  const { loaded } = runner;
  if (!loaded.predicts)
    throw isEncoderOfBoth(loaded)
      ? seesAhead(loaded, 'it predicts no next one and there is no perplexity')
      : withoutHead(loaded.file, 'there is no perplexity');
  checkSequences(
    loaded,
    sequences.map(({ ids }) => ids),
    'A window',
  );
  if (!(await isCausal(runner, sequences[0]?.ids ?? [])))
    throw seesAhead(loaded, 'it does not predict the next one and has no perplexity');
}

const longestOf = (sequences: readonly Sequence[]) => greatest(sequences.map(({ ids }) => ids.length));

/** Where the blocks are cut for all variants alike, and what goes through them together. */
function prepare(runner: StageRunner, { sequences, memory }: MeasureRequest) {
  const { anatomy, summary } = runner.loaded;
  const { layers } = anatomy;
  const { plan, head } = withHead(runner, logitRows(anatomy, memory));
  const everyBlock = Array.from({ length: layers + 1 }, (_, block) => block);
  const cuts = sequences.flatMap(({ variants }) =>
    variants.flatMap((variant) => (variant.attention ? everyBlock : cutsOf(changedIn(variant)))),
  );
  const ends = [...new Set([...cuts, layers])].sort((a, b) => a - b);
  const stagesOf = (blocks: readonly number[]) => plan.cut(blocks).filter(({ last }) => last <= layers);
  const lasting = head.stage.inputs;
  const tokens = longestOf(sequences);
  const held = statesHeld(plan, stagesOf(everyBlock), lasting) * stateBytes(anatomy, tokens);
  const load = { anatomy, weightBytes: summary.bytes, tokens, memory, again: true, logits: true };
  const together = Math.max(leastTogether, sequencesTogether({ ...load, held }) - 1);
  const parts = sequences.flatMap((sequence, index) => partsOf(sequence, index, together));
  const lanes = 1 + greatest(parts.map(({ sequence }) => sequence.variants.filter(isChanged).length));
  const inside = sequences.some(({ variants }) => variants.some(({ attention }) => attention !== undefined));
  const dial = chooseDial({ ...load, stages: ends.length, held: lanes * held, inside });
  return {
    head,
    dial,
    parts,
    course: { plan, stages: stagesOf(dial.keep ? ends : everyBlock), keep: dial.keep, lasting },
  };
}

/** Of fewer variants, what all have in common costs more than it takes to hold them. */
const leastTogether = 16;

/** Variants of one sequence that go through the blocks together. */
interface Part {
  /** Of the sequence among all, and how many of its variants are in parts before. */
  readonly index: number;
  readonly before: number;
  readonly sequence: ScoredSequence;
}

/** As many variants at a time as there is room for; what they have in common is computed for each part. */
function partsOf(sequence: ScoredSequence, index: number, together: number): Part[] {
  const { variants } = sequence;
  const count = Math.max(1, Math.ceil(variants.length / together));
  return Array.from({ length: count }, (_, i) => {
    const before = i * together;
    return { index, before, sequence: { ...sequence, variants: variants.slice(before, before + together) } };
  });
}

const changedIn = ({ interventions, patches = [] }: Variant) => [...interventions, ...patches];
const isChanged = (variant: Variant) => startOf(variant) !== undefined;

/** The block after which a variant is no longer the plain run; undefined where it is that. */
function startOf(variant: Variant): number | undefined {
  return variant.attention ? 0 : cutsOf(changedIn(variant))[0];
}

/** Of a sequence by its index: the values [T, D] of its `other` at the places that are patched, by point and block. */
type Others = ReadonlyMap<number, ReadonlyMap<string, Float32Array>>;

const placeName = ({ point, block }: Place) => `${point} ${block}`;

async function othersOf(runner: StageRunner, request: MeasureRequest): Promise<Others> {
  const { model, memory, threads } = request;
  const others = new Map<number, ReadonlyMap<string, Float32Array>>();
  for (const [index, { ids, other, variants }] of request.sequences.entries()) {
    const patches = variants.flatMap(({ patches = [] }) => patches);
    if (patches.length === 0) continue;
    if (other?.length !== ids.length) {
      throw new SinkscopeError({
        code: 'input',
        message: `Values are taken from a sequence as long: this one has ${grouped(ids.length)} tokens, the other ${grouped(other?.length ?? 0)}.`,
      });
    }
    const named = new Map(patches.map(({ point, block }) => [placeName({ point, block }), { point, block }]));
    const places = [...named.values()];
    const [states = []] = await recordStates(runner, { model, sequences: [other], places, memory, threads });
    others.set(index, new Map(places.map((place, i) => [placeName(place), states[i] ?? new Float32Array(0)])));
  }
  return others;
}

/** A patch as an intervention for each token, on values of the other run. */
function taken(patch: Entries, length: number, others: ReadonlyMap<string, Float32Array> | undefined): Intervention[] {
  const values = others?.get(placeName(patch)) ?? new Float32Array(0);
  const width = values.length / length;
  const tokens = patch.tokens === 'all' ? Array.from({ length }, (_, token) => token) : patch.tokens;
  return tokens.map((token) => {
    const row = values.subarray(token * width, (token + 1) * width);
    const value = patch.dims === 'all' ? row : Float32Array.from(patch.dims, (dim) => row[dim] ?? Number.NaN);
    return { ...patch, tokens: [token], set: { to: 'value', value } };
  });
}

/** What goes through the blocks for one part. */
interface Lanes extends Part {
  /** The plain one first, until the last of the others begins. */
  readonly lanes: readonly Lane[];
  /** By variant. */
  readonly scored: readonly Lane[];
}

function lanesOf({ inputs }: Anatomy, part: Part, others: Others): Lanes {
  const { ids, variants } = part.sequence;
  const starts = variants.map(startOf);
  const plain: Lane = {
    values: new Map(makeFeeds(inputs, new Map(), ids).values),
    interventions: [],
    ...(!starts.includes(undefined) && { until: greatest(starts.map((start) => start ?? 0)) }),
  };
  const scored = variants.map((variant): Lane => {
    const { attention, patches = [] } = variant;
    const block = startOf(variant);
    if (block === undefined) return plain;
    const patched = patches.flatMap((patch) => taken(patch, ids.length, others.get(part.index)));
    const interventions = [...variant.interventions, ...patched];
    return { values: new Map(), interventions, attention, after: { lane: plain, block } };
  });
  return { ...part, lanes: [plain, ...scored.filter((lane) => lane !== plain)], scored };
}

/** How far apart the logits of the answers are after the last token; undefined where there are none. */
async function differenceOf(
  head: Head,
  values: Values,
  { ids, answers }: ScoredSequence,
  keep: boolean,
): Promise<number | undefined> {
  if (!answers) return undefined;
  const logits = await head.logits(values, ids.length - 1, ids.length, keep);
  const [one = Number.NaN, other = Number.NaN] = answers.map((id) => logits[id]);
  return one - other;
}

async function lossesOf(
  head: Head,
  softmax: LossSession,
  values: Values,
  { ids, from }: Sequence,
  keep: boolean,
): Promise<Float32Array> {
  const losses = new Float32Array(ids.length - from);
  // The token at i is predicted at position i - 1.
  for await (const part of head.parts(values, from - 1, ids.length - 1, keep)) {
    const { logits } = part;
    losses.set(await softmax.losses(logits, ids.slice(part.from + 1, part.to + 1)), part.from + 1 - from);
  }
  return losses;
}
