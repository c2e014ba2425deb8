/**
 * Scoring of many sequences, as the model is and with interventions: what perplexities are made of. A changed run
 * starts from what the plain one has computed up to its first change, so it costs its share of the blocks only.
 */
import type { Anatomy } from '../../anatomy/anatomy.js';
import { SinkscopeError } from '../../errors.js';
import { checkIds } from '../../tokens/tokenizer.js';
import type { Intervention } from '../contract/interventions.js';
import type { MeasuredEvent, MeasureRequest } from '../contract/measure.js';
import type { AttentionWindow } from '../contract/request.js';
import { makeFeeds } from '../inputs/feeds.js';
import { isCausal } from '../stages/causal.js';
import { Head } from '../stages/head.js';
import { intervened } from '../stages/intervened.js';
import type { LoadedModel } from '../stages/loaded.js';
import { createLossSession, type LossSession } from '../stages/losses.js';
import { blockBytes } from '../stages/memory.js';
import { cutsOf, runPatched, valueAt } from '../stages/patched.js';
import { makePlan, type Stage } from '../stages/plan.js';
import type { StageRunner } from '../stages/runner.js';
import { windowedValues } from '../stages/windowed.js';
import type { Value, Values } from '../tensors/value.js';

/** Rows of logits that are held at once, in bytes. */
const partBytes = 2 ** 26;

/**
 * Scores every sequence under every variant, sequence by sequence.
 *
 * @throws SinkscopeError `input` where the model predicts no tokens, an intervention is about nothing, or an id is out
 *   of range; `too-long` where a sequence is longer than the context.
 */
export async function measure(
  loaded: LoadedModel,
  runner: StageRunner,
  request: MeasureRequest,
  emit: (event: MeasuredEvent) => Promise<void>,
): Promise<void> {
  const { anatomy, model, summary } = loaded;
  const logits = anatomy.unembedding?.logits;
  if (!loaded.predicts || logits === undefined) {
    throw new SinkscopeError({
      code: 'input',
      file: loaded.file,
      message: `${loaded.file} predicts no tokens: it has no output head over a vocabulary, so there is no perplexity.`,
    });
  }
  for (const { interventions } of request.variants)
    for (const { point, block } of interventions) valueAt(anatomy, point, block);
  const longest = Math.max(...request.sequences.map(({ ids }) => ids.length));
  if (summary.context !== undefined && longest > summary.context) {
    throw new SinkscopeError({
      code: 'too-long',
      message: `A window of ${longest} tokens is longer than the model's context of ${summary.context}; choose a shorter one.`,
      limit: { tokens: longest, context: summary.context },
    });
  }
  if (!(await isCausal(loaded, runner, request.sequences[0]?.ids ?? []))) {
    throw new SinkscopeError({
      code: 'input',
      file: loaded.file,
      message: `${loaded.file} lets every token see those after it, so it does not predict the next one and has no perplexity; give a model that generates text.`,
    });
  }
  const plan = makePlan(model.graph, anatomy, new Map(), [logits]);
  const stage = plan.stages.find(({ first }) => first > anatomy.layers);
  if (!stage) throw new Error('the head has no stage');
  const head = new Head(runner, stage, valueAt(anatomy, 'resid_post', anatomy.layers), logits);
  const keep = 2 * summary.bytes + blockBytes(anatomy, longest) <= request.memory;
  const cut = (after: readonly number[]) =>
    plan.cut(ascending([...after, anatomy.layers])).filter(({ last }) => last <= anatomy.layers);
  const everyBlock = Array.from({ length: anatomy.layers + 1 }, (_, block) => block);
  const variants = request.variants.map(({ interventions, attention }) => {
    const cuts = attention ? everyBlock : cutsOf(interventions);
    // A model that is not kept is held block by block.
    const stages = cut(keep ? cuts : everyBlock).filter((part) => part.first > (cuts[0] ?? -1));
    return { interventions, attention, first: cuts[0], stages };
  });
  // The plain run stops where a changed one begins, to leave it what it needs.
  const plainStages = cut(keep ? variants.flatMap(({ first }) => first ?? []) : everyBlock);
  const lasting = new Set([...head.stage.inputs, ...variants.flatMap(({ stages }) => givenTo(stages))]);
  const run = async (
    known: Values,
    stages: readonly Stage[],
    interventions: readonly Intervention[],
    attention?: AttentionWindow,
  ) => {
    const values = new Map<string, Value>(known);
    for (const [i, part] of stages.entries()) {
      const instead = attention && (await windowedValues(loaded, runner, plan, part, values, attention, keep));
      const results = await runPatched(runner, plan, anatomy, part, values, interventions, keep, instead);
      for (const [name, value] of results) values.set(name, value);
      const needed = new Set(stages.slice(i + 1).flatMap(({ inputs }) => inputs));
      for (const name of values.keys()) if (!needed.has(name) && !lasting.has(name)) values.delete(name);
    }
    return values;
  };

  const softmax = await createLossSession(request.threads);
  try {
    for (const [index, { ids, from }] of request.sequences.entries()) {
      checkIds(ids, summary.vocabulary);
      const plain = await run(makeFeeds(anatomy.inputs, new Map(), ids).values, plainStages, []);
      for (const [variant, { interventions, attention, first, stages }] of variants.entries()) {
        const values =
          first === undefined
            ? plain
            : await run(changedAt(plain, anatomy, first, interventions), stages, interventions, attention);
        const losses = await lossesOf(head, softmax, values, ids, from, anatomy, keep);
        await emit({ type: 'measured', sequence: index, variant, losses });
      }
    }
  } finally {
    await softmax.release();
  }
}

/** What stages take that none of them makes. */
function givenTo(stages: readonly Stage[]): string[] {
  const made = new Set(stages.flatMap(({ outputs }) => outputs));
  return stages.flatMap(({ inputs }) => inputs).filter((input) => !made.has(input));
}

const ascending = (numbers: readonly number[]) => [...new Set(numbers)].sort((a, b) => a - b);

/** The values of the plain run with the residual point after `block` changed. */
function changedAt(plain: Values, anatomy: Anatomy, block: number, interventions: readonly Intervention[]): Values {
  const name = valueAt(anatomy, 'resid_post', block);
  const here = interventions.filter((intervention) => intervention.block === block);
  const state = plain.get(name);
  return state && here.length > 0 ? new Map(plain).set(name, intervened(state, here)) : plain;
}

async function lossesOf(
  head: Head,
  softmax: LossSession,
  values: Values,
  ids: readonly number[],
  from: number,
  anatomy: Anatomy,
  keep: boolean,
): Promise<Float32Array> {
  const losses = new Float32Array(ids.length - from);
  const vocabulary = anatomy.vocabulary ?? 2 ** 16;
  const rows = Math.max(1, Math.floor(partBytes / 4 / vocabulary));
  for (let start = from; start < ids.length; start += rows) {
    const end = Math.min(start + rows, ids.length);
    // The token at i is predicted at position i - 1.
    const logits = await head.logits(values, start - 1, end - 1, keep);
    losses.set(await softmax.losses(logits, ids.slice(start, end)), start - from);
  }
  return losses;
}
