/** Remedies against what quantising costs, each beside the model as it was, which is run once for all of them. */
import { SinkscopeError } from '../../errors.js';
import { DataType } from '../../onnx/model.js';
import { fixed, type Scheme, schemes } from '../../onnx/quantise.js';
import { greatest, sum } from '../../statistics/numbers.js';
import type { Smoothing } from '../contract/extents.js';
import type { ProgressEvent } from '../contract/measure.js';
import type { Simulated } from '../contract/pair.js';
import type { TreatedEvent, TreatedSequence, Treatment, TreatRequest } from '../contract/treat.js';
import { makeFeeds } from '../inputs/feeds.js';
import { counterparts } from '../stages/counterparts.js';
import { createDivergenceSession } from '../stages/divergence.js';
import { forward, type Lane } from '../stages/forward.js';
import type { LoadedModel } from '../stages/loaded.js';
import { holdsHeads, stateBytes } from '../stages/memory.js';
import { StageRunner } from '../stages/runner.js';
import { keptRows, simulate } from '../stages/simulated.js';
import { smoothed } from '../stages/smoothed.js';
import { filled } from '../tensors/value.js';
import { checkScored } from './measure.js';
import { progressOf } from './progress.js';
import { scoredParts, sequencesInStep, statesOf, type Track, trackOf } from './tracks.js';

/**
 * The scheme that is asked for.
 *
 * @throws SinkscopeError `input` where its scales need ranges and there are none
 */
export function schemeOf({ scheme, ranges }: Simulated): Scheme {
  if (scheme !== 'int8-static') return schemes[scheme];
  if (ranges) return fixed(new Map(ranges.map(({ tensor, min, max }) => [tensor, [min, max]])));
  throw new SinkscopeError({
    code: 'input',
    message: 'int8-static takes its scales from a calibration text: give one (--calibrate).',
  });
}

/**
 * Runs every sequence through the model and under all treatments.
 *
 * @throws SinkscopeError as `comparePair`, and where the scheme takes nothing of the model
 */
export async function treat(
  reference: StageRunner,
  { sequences, treatments, memory, threads }: TreatRequest,
  emit: (event: TreatedEvent | ProgressEvent) => Promise<void>,
): Promise<void> {
  const { loaded } = reference;
  const led = sequences.map(({ ids, lead = [], from }) => ({ ids: [...lead, ...ids], from: lead.length + from }));
  await checkScored(reference, led);
  const isKept = sequences.some(({ kept = [] }) => kept.length > 0);
  const own = trackOf(reference, memory);
  const tracks = treatments.map((treatment) =>
    trackOf(new StageRunner(treated(loaded, treatment, isKept), threads), memory),
  );
  const tokens = greatest(led.map(({ ids }) => ids.length));
  const { anatomy } = loaded;
  const held = stateBytes(anatomy, tokens) * sum([own, ...tracks].map(statesOf));
  const together = sequencesInStep(anatomy, tokens, memory, held);
  const stay = holdsHeads(anatomy, 1 + tracks.length, memory);
  const divergence = await createDivergenceSession(threads);
  try {
    for (let from = 0; from < sequences.length; from += together) {
      const group = sequences.slice(from, from + together);
      const report = progressOf(
        anatomy,
        { keep: false, blocksPerStage: 1, sequences: together },
        from,
        from + group.length,
      );
      const before = await through(
        own,
        group.map(({ ids }) => laneOf(own, { ids, from: 1 }, false)),
      );
      const after: (readonly Lane[])[] = [];
      for (const [i, track] of tracks.entries()) {
        const lanes = group.map((sequence) => laneOf(track, sequence, isKept));
        // How far the first is stands for all: they take as long as one another.
        const passed = async (stage: Parameters<typeof report>[0]) => {
          for (const event of report(stage)) await emit(event);
        };
        after.push(await through(track, lanes, i === 0 ? passed : undefined));
      }
      for (const [i, { lead = [], ...sequence }] of group.entries()) {
        const [kld, losses] = [treatments.map(() => 0), treatments.map(() => 0)];
        const values = before[i]?.values ?? new Map();
        for await (const part of scoredParts({ reference: own, model: own }, sequence, values, divergence, stay))
          for (const [t, track] of tracks.entries()) {
            const lane = after[t]?.[i];
            if (!lane) continue;
            const found = await part.divergenceOf({ track, values: lane.values, lead: lead.length });
            kld[t] = (kld[t] ?? 0) + sum(found.kld);
            losses[t] = (losses[t] ?? 0) - sum(found.probability.other.map(Math.log));
          }
        await emit({ type: 'treated', sequence: from + i, tokens: sequence.ids.length - sequence.from, kld, losses });
      }
      for (const { runner } of [own, ...tracks]) await runner.release();
    }
  } finally {
    await divergence.release();
    for (const { runner } of tracks) await runner.release();
  }
}

/** By tensor. */
export const factorsOf = (smooth: Smoothing) => new Map(smooth.map(({ tensor, factors }) => [tensor, factors]));

function treated(loaded: LoadedModel, { by, exclude = [], smooth = [] }: Treatment, isKept: boolean): LoadedModel {
  const scheme = schemeOf(by);
  const float = smooth.length === 0 ? loaded : smoothed(loaded, factorsOf(smooth)).loaded;
  if (exclude.length === 0) return simulate(float, scheme, { kept: isKept });
  const whole = simulate(loaded, scheme);
  const { found } = counterparts({ ...loaded, linear: whole.linear }, whole);
  const excluded = new Set(exclude.map((index) => found[index]?.reference.node.outputs[0] ?? ''));
  return simulate(float, scheme, { kept: isKept, excluded });
}

function laneOf({ runner }: Track, { ids, lead = [], kept = [] }: TreatedSequence, isKept: boolean): Lane {
  const { values, length = ids.length } = makeFeeds(runner.loaded.anatomy.inputs, new Map(), [...lead, ...ids]);
  const mask = filled(DataType.bool, [length, 1], (row) => Number(kept.includes(row)));
  return { values: new Map([...values, ...(isKept ? [[keptRows, mask] as const] : [])]), interventions: [] };
}

async function through(
  { runner, plan, stages, head }: Track,
  lanes: readonly Lane[],
  passed: (stage: (typeof stages)[number]) => Promise<void> = async () => {},
): Promise<readonly Lane[]> {
  const course = { plan, stages, keep: false, lasting: head.stage.inputs };
  for await (const { stage } of forward(runner, course, lanes)) await passed(stage);
  return lanes;
}
