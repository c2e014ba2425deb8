/** Whether tokens see those after them: then a model's scores say nothing of what comes next. */
import { SinkscopeError } from '../../errors.js';
import { patternStatistics } from '../../statistics/pattern.js';
import { makeFeeds } from '../inputs/feeds.js';
import { patternOf } from '../tensors/patterns.js';
import { forward, type Lane } from './forward.js';
import type { LoadedModel } from './loaded.js';
import { makePlan } from './plan.js';
import type { StageRunner } from './runner.js';

const known = new WeakMap<LoadedModel, boolean>();
/** Enough to tell. */
const someTokens = 8;

/** By the first block's attention pattern on the first of `ids`; true where that pattern was not found. */
export async function isCausal(runner: StageRunner, ids: readonly number[]): Promise<boolean> {
  const { loaded } = runner;
  const before = known.get(loaded);
  if (before !== undefined) return before;
  const causal = await patternIsCausal(runner, ids.slice(0, someTokens)).catch((error) => {
    if (!SinkscopeError.is(error, 'runtime')) throw error;
    // Some files were traced for one length, which nothing in them declares.
    return patternIsCausal(runner, ids);
  });
  known.set(loaded, causal);
  return causal;
}

async function patternIsCausal(runner: StageRunner, ids: readonly number[]): Promise<boolean> {
  const { anatomy, model, patterns } = runner.loaded;
  const name = patterns.get(1);
  if (name === undefined) return true;
  const plan = makePlan(model.graph, anatomy, new Map(), []);
  const stages = plan.stages.filter(({ first }) => first <= 1);
  const upToPattern = stages.map((stage) => (stage.first === 1 ? plan.narrow(stage, [name]) : stage));
  const lane: Lane = { values: new Map(makeFeeds(anatomy.inputs, new Map(), ids).values), interventions: [] };
  const course = { plan, stages: upToPattern, keep: false, lasting: [name] };
  for await (const _ of forward(runner, course, [lane]));
  const value = lane.values.get(name);
  if (!value) throw new Error(`${name} was not computed`);
  const { values, heads, queries, keys } = patternOf(value);
  return patternStatistics(values, heads, queries, keys).causal;
}
