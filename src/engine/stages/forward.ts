/**
 * Sequences through the stages of a model: blocks outside, sequences inside. A stage is cut out, made and read once
 * for all that go through it, and what it gives is seen here before it is dropped: whoever wants numbers of a tensor
 * computes them while the stage is being yielded.
 *
 * Everything that runs blocks in order comes through here, so this is the place for what changes how they run: where
 * a stage is computed, what is computed in it beside its tensors, what is remembered of it.
 */

import { SinkscopeError } from '../../errors.js';
import { greatest } from '../../statistics/numbers.js';
import type { Intervention } from '../contract/interventions.js';
import type { AttentionWindow } from '../contract/request.js';
import type { Value, Values } from '../tensors/value.js';
import type { LaneCache } from './cache.js';
import { intervened } from './intervened.js';
import { runPatched, valueAt } from './patched.js';
import type { Plan, Stage } from './plan.js';
import { type Replacement, replacedValues } from './replaced.js';
import type { StageRunner } from './runner.js';
import { windowedValues } from './windowed.js';

/** One sequence on its way through the blocks, as the model is or changed. */
export interface Lane {
  /**
   * Its feeds, then also what has been computed and is still needed. One that begins after another may be given values
   * before: its own, in place of the other's.
   */
  readonly values: Map<string, Value>;
  /** Made where stages end, so each must fall on the last block of one. */
  readonly interventions: readonly Intervention[];
  /** Every block attends through this window; stages of one block each. */
  readonly attention?: AttentionWindow;
  /** Values inside blocks that are made elsewhere; stages of one block each. */
  readonly replacements?: readonly Replacement[];
  /** Values of a block of one stage that are computed elsewhere, from what the lane has before it; none: as it is. */
  readonly attend?: (stage: Stage, values: Values) => Promise<Values>;
  /** It begins with what another lane has after a block, and leaves the blocks before to that one. */
  readonly after?: { readonly lane: Lane; readonly block: number };
  /** Keys and values of the tokens behind it, which it takes what stages give of to go on from. */
  readonly cache?: LaneCache;
  /** The last block it goes through; by default all. */
  readonly until?: number;
}

export interface Course {
  readonly plan: Plan;
  /** They follow each other. */
  readonly stages: readonly Stage[];
  /** Whether their sessions are kept for the next lanes. */
  readonly keep: boolean;
  /** Names of values that stay when the stages are through, beside those that stages to come need. */
  readonly lasting?: Iterable<string>;
}

/** What a stage gave a lane: residual points, carried values and taps, by name. */
export interface Passed<L extends Lane = Lane> {
  readonly stage: Stage;
  readonly lane: L;
  readonly results: Values;
}

/**
 * Runs lanes through stages, all of them through one before the next is made. Yields what each stage gives each lane,
 * lanes in their order, but last those in which something is made elsewhere, alike ones behind each other; when that has
 * been seen, the lane drops what it no longer needs.
 *
 * A session that serves one lane alone is made for a single run, without prepacking; one that serves several lives
 * until all of them are through its stage, or on where `keep` is set.
 *
 * @throws SinkscopeError `runtime`; `input` as {@link runPatched} and {@link windowedValues}, and for a change in a
 *   stream of which there are copies
 */
export async function* forward<L extends Lane>(
  runner: StageRunner,
  course: Course,
  lanes: readonly L[],
): AsyncGenerator<Passed<L>, void, void> {
  const journey = setOut(runner, course, lanes);
  for (const stage of course.stages) yield* journey.through(stage);
  journey.arrive();
}

/** Lanes on their way through stages. */
export interface Journey<L extends Lane> {
  /** {@link forward} through the next stage alone. What a lane that begins after the stage before is given must be there. */
  through(stage: Stage): AsyncGenerator<Passed<L>, void, void>;
  /** Lets those begin that do after the last stage. */
  arrive(): void;
}

/**
 * {@link forward} stage by stage, for lanes that are given something between two stages. More may be added to `lanes`
 * on the way, as long as they begin after the stage that was last.
 *
 * @throws SinkscopeError as {@link forward}
 */
export function setOut<L extends Lane>(
  runner: StageRunner,
  { plan, stages, keep, lasting = [] }: Course,
  lanes: readonly L[],
): Journey<L> {
  const { anatomy, file } = runner.loaded;
  if (anatomy.copies && lanes.some(({ interventions }) => interventions.length > 0)) {
    throw new SinkscopeError({
      code: 'input',
      file,
      message: `${file} keeps several copies of its residual stream, of which one alone is shown, so nothing can be changed in it; choose another model.`,
    });
  }
  const needed = neededAfter(stages, lasting);
  let before: Stage | undefined;
  const arrive = () => {
    const block = before?.last;
    if (block === undefined) return;
    for (const lane of lanes) if (lane.after?.block === block) start(runner, lane, lane.after);
    for (const lane of lanes) if (lane.until === block) lane.values.clear();
  };
  return {
    arrive,
    async *through(stage) {
      if (!before && (keep || lanes.length > 1)) await runner.keepFor(stages);
      arrive();
      before = stage;
      const under = inTurn(
        lanes.filter((lane) => goesThrough(lane, stage)),
        stage,
      );
      const stays = keep || under.length > 1;
      const later = needed.get(stage);
      let replaced: Lane['replacements'];
      for (const lane of under) {
        const own = replacedIn(lane, stage);
        // Their sessions serve those alone that have the same replaced.
        if (own !== replaced) await runner.close();
        replaced = own;
        const results = await run(runner, plan, stage, lane, stays);
        for (const [name, value] of results) lane.values.set(name, value);
        lane.cache?.keep(results);
        yield { stage, lane, results };
        for (const name of lane.values.keys()) if (!later?.has(name)) lane.values.delete(name);
      }
      if (stays && !keep) await runner.close();
      runner.letGo();
    },
  };
}

/** What is made elsewhere in a stage for a lane. */
const replacedIn = ({ replacements }: Lane, { last }: Stage) =>
  replacements?.some(({ block }) => block === last) ? replacements : undefined;

/** Those that have something replaced come last, and alike ones together. */
function inTurn<L extends Lane>(lanes: readonly L[], stage: Stage): readonly L[] {
  const groups = new Map<Lane['replacements'], L[]>([[undefined, []]]);
  for (const lane of lanes) {
    const key = replacedIn(lane, stage);
    const group = groups.get(key);
    if (group) group.push(lane);
    else groups.set(key, [lane]);
  }
  return [...groups.values()].flat();
}

const goesThrough = ({ after, until = Number.POSITIVE_INFINITY }: Lane, { first, last }: Stage) =>
  first > (after?.block ?? -1) && last <= until;

/** By stage, what lanes need when they are through it. */
function neededAfter(stages: readonly Stage[], lasting: Iterable<string>): ReadonlyMap<Stage, ReadonlySet<string>> {
  const needed = new Map<Stage, Set<string>>();
  const later = new Set(lasting);
  for (const stage of stages.toReversed()) {
    needed.set(stage, new Set(later));
    for (const input of stage.inputs) later.add(input);
  }
  return needed;
}

/** The most values as large as a hidden state that a lane holds at once from stage to stage. */
export function statesHeld(plan: Plan, stages: readonly Stage[], lasting: Iterable<string> = []): number {
  const needed = neededAfter(stages, lasting);
  const made = new Set<string>();
  const counts = stages.map((stage) => {
    for (const name of stage.outputs) made.add(name);
    return plan.states([...made].filter((name) => needed.get(stage)?.has(name)));
  });
  return greatest(counts, 1);
}

/** Takes over what the other lane has, but for what it was given, with the residual point between the two changed. */
function start({ loaded }: StageRunner, lane: Lane, { lane: other, block }: NonNullable<Lane['after']>): void {
  for (const [name, value] of other.values) if (!lane.values.has(name)) lane.values.set(name, value);
  const here = lane.interventions.filter((intervention) => intervention.block === block);
  const name = valueAt(loaded, 'resid_post', block);
  const state = lane.values.get(name);
  if (state && here.length > 0) lane.values.set(name, intervened(state, here));
}

async function run(runner: StageRunner, plan: Plan, stage: Stage, lane: Lane, keep: boolean): Promise<Values> {
  const { values, interventions, attention, attend, replacements } = lane;
  const instead =
    (await attend?.(stage, values)) ??
    (attention && (await windowedValues(runner, plan, stage, values, attention, keep)));
  if (!replacements?.some(({ block }) => block === stage.last))
    return runPatched(runner, plan, stage, values, interventions, keep, instead);
  const made = await replacedValues(runner, plan, stage, values, replacements, keep);
  return runPatched(runner, plan, { ...stage, wide: [...made.keys()] }, values, interventions, keep, made);
}
