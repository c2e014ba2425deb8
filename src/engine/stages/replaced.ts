/** Products inside a stage that are computed elsewhere. */
import type { Value, Values } from '../tensors/value.js';
import type { Plan, Stage } from './plan.js';
import type { StageRunner } from './runner.js';

/** A value that is made of others somewhere else. */
export interface Replacement {
  readonly block: number;
  /** Names of the stage's graph: what is read, and what is taken in place of what the stage would compute. */
  readonly inputs: readonly string[];
  readonly output: string;
  make(inputs: readonly Value[]): Promise<Value>;
}

/**
 * What `stage`, which covers one block, goes on from where values in it are made elsewhere, by name: each is given what
 * those before it have changed.
 *
 * @param replacements in the order of the graph
 * @param keep whether sessions stay for others with the same replaced
 */
export async function replacedValues(
  runner: StageRunner,
  plan: Plan,
  stage: Stage,
  values: Values,
  replacements: readonly Replacement[],
  keep: boolean,
): Promise<ReadonlyMap<string, Value>> {
  const made = new Map<string, Value>();
  const read = new Map<string, Value>();
  for (const { block, inputs, output, make } of replacements) {
    if (block !== stage.last) continue;
    const known = new Map([...values, ...made]);
    const given: Value[] = [];
    for (const input of inputs) {
      // Several read the same; what is changed in between comes after it.
      const value = read.get(input) ?? known.get(input) ?? (await reach(runner, plan, stage, known, made, input, keep));
      read.set(input, value);
      given.push(value);
    }
    made.set(output, await make(given));
  }
  return made;
}

async function reach(
  runner: StageRunner,
  plan: Plan,
  stage: Stage,
  known: Values,
  given: Values,
  name: string,
  keep: boolean,
): Promise<Value> {
  const narrow = plan.narrow({ ...stage, wide: [...given.keys()] }, [name], [...given.keys()]);
  const results = await runner.run(narrow, known, keep);
  const value = results.get(name);
  if (!value) throw new Error(`${name} is not there`);
  return value;
}
