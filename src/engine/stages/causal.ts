/** Whether tokens see those after them: then a model's scores say nothing of what comes next. */
import { SinkscopeError } from '../../errors.js';
import { patternStatistics } from '../../statistics/pattern.js';
import { makeFeeds } from '../inputs/feeds.js';
import { patternOf } from '../tensors/patterns.js';
import type { Value } from '../tensors/value.js';
import type { LoadedModel } from './loaded.js';
import { makePlan } from './plan.js';
import type { StageRunner } from './runner.js';

const known = new WeakMap<LoadedModel, boolean>();
/** Enough to tell. */
const someTokens = 8;

/** By the first block's attention pattern on the first of `ids`; true where that pattern was not found. */
export async function isCausal(loaded: LoadedModel, runner: StageRunner, ids: readonly number[]): Promise<boolean> {
  const before = known.get(loaded);
  if (before !== undefined) return before;
  const causal = await patternIsCausal(loaded, runner, ids.slice(0, someTokens)).catch((error) => {
    if (!SinkscopeError.is(error, 'runtime')) throw error;
    // Some files were traced for one length, which nothing in them declares.
    return patternIsCausal(loaded, runner, ids);
  });
  known.set(loaded, causal);
  return causal;
}

async function patternIsCausal({ anatomy, model, patterns }: LoadedModel, runner: StageRunner, ids: readonly number[]) {
  const name = patterns.get(1);
  if (name === undefined) return true;
  const plan = makePlan(model.graph, anatomy, new Map(), []);
  const values = new Map<string, Value>(makeFeeds(anatomy.inputs, new Map(), ids).values);
  for (const stage of plan.stages.filter(({ first }) => first <= 1)) {
    const part = stage.first === 1 ? plan.narrow(stage, [name]) : stage;
    for (const [output, value] of await runner.run(part, values, false)) values.set(output, value);
  }
  const value = values.get(name);
  if (!value) throw new Error(`${name} was not computed`);
  const pattern = patternOf(value);
  return patternStatistics(pattern.values, pattern.heads, pattern.queries, pattern.keys).causal;
}
