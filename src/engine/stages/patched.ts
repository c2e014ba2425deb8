/** One stage with interventions inside it. */
import type { LinearInput } from '../../anatomy/linear.js';
import { SinkscopeError } from '../../errors.js';
import { type Intervention, type Point, points } from '../contract/interventions.js';
import type { Value, Values } from '../tensors/value.js';
import { intervened } from './intervened.js';
import type { LoadedModel } from './loaded.js';
import type { Plan, Stage } from './plan.js';
import type { StageRunner } from './runner.js';

/**
 * Runs `stage` with the interventions that fall on its last block made where they say; those on other blocks must be
 * at the ends of other stages. A change inside the block is made by running up to that point, changing the value,
 * and going on from it.
 *
 * @param instead values inside the stage that are taken as they are
 * @returns what the stage gives, changed
 */
export async function runPatched(
  runner: StageRunner,
  plan: Plan,
  stage: Stage,
  values: Values,
  interventions: readonly Intervention[],
  keep: boolean,
  instead: Values = new Map(),
): Promise<Values> {
  const here = interventions.filter(({ block }) => block === stage.last);
  if (here.length === 0 && instead.size === 0) return runner.run(stage, values, keep);

  const known = new Map([...values, ...instead]);
  const given = [...instead.keys()];
  // In the order in which a block computes them.
  for (const point of points.slice(0, -1)) {
    const atPoint = here.filter((intervention) => intervention.point === point);
    if (atPoint.length === 0) continue;
    const name = valueAt(runner.loaded, point, stage.last);
    const upToHere = plan.narrow(stage, [name], given);
    const value = (await runner.run(upToHere, known, keep)).get(name) as Value;
    known.set(name, intervened(value, atPoint));
    given.push(name);
  }
  const rest = stage.outputs.filter((output) => !given.includes(output));
  const results = new Map(await runner.run(given.length > 0 ? plan.narrow(stage, rest, given) : stage, known, keep));
  for (const name of given) if (stage.outputs.includes(name)) results.set(name, known.get(name) as Value);

  const residual = valueAt(runner.loaded, 'resid_post', stage.last);
  const state = results.get(residual);
  if (state)
    results.set(
      residual,
      intervened(
        state,
        here.filter(({ point }) => point === 'resid_post'),
      ),
    );
  return results;
}

/**
 * Name of the value at a point of a block.
 *
 * @throws SinkscopeError `input` where the model has no such block, or no such value in it.
 */
export function valueAt(
  { anatomy, linear }: Pick<LoadedModel, 'anatomy' | 'linear'>,
  point: Point,
  block: number,
): string {
  if (!Number.isInteger(block) || block < (point === 'resid_post' ? 0 : 1) || block > anatomy.layers) {
    throw new SinkscopeError({
      code: 'input',
      message: `There is no ${point} of block ${block}: the model has blocks 1 to ${anatomy.layers}.`,
    });
  }
  const parts = anatomy.blocks[block - 1];
  const values = {
    z: point === 'z' ? headsRead(linear(), block) : undefined,
    attn_out: parts?.attention?.output,
    resid_mid: parts?.residMid,
    mlp: parts?.mlpIntermediate,
    mlp_out: parts?.mlpOutput,
    resid_post: parts?.residPost ?? anatomy.embedding,
  };
  const value = values[point];
  if (value === undefined) {
    throw new SinkscopeError({
      code: 'input',
      message: `Block ${block} of this model has no ${point} that could be found; choose another point.`,
    });
  }
  return value;
}

/** What the one output projection of a block's attention reads, [..., T, heads · head_dim]. */
function headsRead(linear: readonly LinearInput[], block: number): string | undefined {
  const [found, ...others] = linear.filter((input) => input.block === block && input.part === 'attn_out');
  return found?.axis === -1 && others.length === 0 ? found.tensor : undefined;
}

/** The blocks after which a run with these interventions has to be cut, so that each falls on the end of a stage. */
export function cutsOf(interventions: readonly Pick<Intervention, 'block' | 'point'>[]): number[] {
  const cuts = new Set<number>();
  for (const { block, point } of interventions) {
    cuts.add(block);
    // A change inside a block is made in a stage of that block alone.
    if (point !== 'resid_post') cuts.add(block - 1);
  }
  return [...cuts].sort((a, b) => a - b);
}
