/**
 * Scoring of many sequences, as the model is and with interventions: what perplexities are made of. A changed run
 * starts from what the plain one has computed up to its first change, so it costs its share of the blocks only.
 */
import type { Anatomy } from '../../anatomy/anatomy.js';
import { SinkscopeError } from '../../errors.js';
import { greatest } from '../../statistics/numbers.js';
import type {
  MeasuredEvent,
  MeasureRequest,
  ProgressEvent,
  ScoredSequence,
  Sequence,
  Variant,
} from '../contract/measure.js';
import { makeFeeds } from '../inputs/feeds.js';
import { isCausal } from '../stages/causal.js';
import { forward, type Lane, statesHeld } from '../stages/forward.js';
import { type Head, withHead } from '../stages/head.js';
import { createLossSession, type LossSession } from '../stages/losses.js';
import { chooseDial, logitRows, stateBytes } from '../stages/memory.js';
import { cutsOf, valueAt } from '../stages/patched.js';
import type { StageRunner } from '../stages/runner.js';
import type { Values } from '../tensors/value.js';
import { progressOf } from './progress.js';
import { checkSequences } from './sequences.js';

/**
 * Scores every sequence under its variants, sequence by sequence.
 *
 * @throws SinkscopeError `input` where the model predicts no tokens, an intervention is about nothing, or an id is out
 *   of range; `too-long` where a sequence is longer than the context.
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
    for (const { interventions } of variants)
      for (const { point, block } of interventions) valueAt(runner.loaded, point, block);
  const { head, dial, course } = prepare(runner, request);
  const softmax = await createLossSession(request.threads);
  try {
    for (let from = 0; from < sequences.length; from += dial.sequences) {
      const group = sequences.slice(from, from + dial.sequences).map((sequence) => lanesOf(anatomy, sequence));
      const under = group.flatMap(({ lanes }) => lanes);
      const report = progressOf(anatomy, dial, from, from + group.length);
      for await (const { stage } of forward(runner, course, under)) {
        for (const event of report(stage)) await emit(event);
      }
      // Made once for all that the group has to score.
      const keepHead = dial.keep || group.flatMap(({ scored }) => scored).length > 1;
      for (const [i, { scored, sequence }] of group.entries()) {
        for (const [variant, { values }] of scored.entries()) {
          const losses = await lossesOf(head, softmax, values, sequence, keepHead);
          await emit({ type: 'measured', sequence: from + i, variant, losses });
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
  const { predicts, file } = runner.loaded;
  if (!predicts) {
    throw new SinkscopeError({
      code: 'input',
      file,
      message: `${file} predicts no tokens: it has no output head over a vocabulary, so there is no perplexity.`,
    });
  }
  checkSequences(
    runner.loaded,
    sequences.map(({ ids }) => ids),
    'A window',
  );
  if (!(await isCausal(runner, sequences[0]?.ids ?? []))) {
    throw new SinkscopeError({
      code: 'input',
      file,
      message: `${file} lets every token see those after it, so it does not predict the next one and has no perplexity; give a model that generates text.`,
    });
  }
}

const longestOf = (sequences: readonly Sequence[]) => greatest(sequences.map(({ ids }) => ids.length));

/** Where the blocks are cut for all variants alike, and how many sequences go through them together. */
function prepare(runner: StageRunner, { sequences, memory }: MeasureRequest) {
  const { anatomy, summary } = runner.loaded;
  const { layers } = anatomy;
  const { plan, head } = withHead(runner, logitRows(anatomy, memory));
  const everyBlock = Array.from({ length: layers + 1 }, (_, block) => block);
  const cuts = sequences.flatMap(({ variants }) =>
    variants.flatMap(({ attention, interventions }) => (attention ? everyBlock : cutsOf(interventions))),
  );
  const ends = [...new Set([...cuts, layers])].sort((a, b) => a - b);
  const stagesOf = (blocks: readonly number[]) => plan.cut(blocks).filter(({ last }) => last <= layers);
  const lasting = head.stage.inputs;
  const tokens = longestOf(sequences);
  const lanes = 1 + greatest(sequences.map(({ variants }) => variants.filter(isChanged).length));
  const dial = chooseDial({
    anatomy,
    weightBytes: summary.bytes,
    tokens,
    memory,
    again: true,
    stages: ends.length,
    logits: true,
    held: lanes * statesHeld(plan, stagesOf(everyBlock), lasting) * stateBytes(anatomy, tokens),
  });
  return {
    head,
    dial,
    course: { plan, stages: stagesOf(dial.keep ? ends : everyBlock), keep: dial.keep, lasting },
  };
}

const isChanged = (variant: Variant) => startOf(variant) !== undefined;

/** The block after which a variant is no longer the plain run; undefined where it is that. */
function startOf({ attention, interventions }: Variant): number | undefined {
  return attention ? 0 : cutsOf(interventions)[0];
}

/** What goes through the blocks for one sequence. */
interface Lanes {
  readonly sequence: Sequence;
  /** The plain one first, until the last of the others begins. */
  readonly lanes: readonly Lane[];
  /** By variant. */
  readonly scored: readonly Lane[];
}

function lanesOf({ inputs }: Anatomy, sequence: ScoredSequence): Lanes {
  const starts = sequence.variants.map(startOf);
  const plain: Lane = {
    values: new Map(makeFeeds(inputs, new Map(), sequence.ids).values),
    interventions: [],
    ...(!starts.includes(undefined) && { until: greatest(starts.map((start) => start ?? 0)) }),
  };
  const scored = sequence.variants.map((variant): Lane => {
    const { interventions, attention } = variant;
    const block = startOf(variant);
    return block === undefined ? plain : { values: new Map(), interventions, attention, after: { lane: plain, block } };
  });
  return { sequence, lanes: [plain, ...scored.filter((lane) => lane !== plain)], scored };
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
