/** What stands out in a model's hidden states on the first of some sequences. */
import { emptyAnalysis } from '../../analysis/analysis.js';
import { type MassiveActivation, massiveActivations } from '../../analysis/massive.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { Engine } from '../../engine/host/engine.js';
import type { Budget } from '../experiment.js';
import { follow } from './text.js';
import type { Windows } from './windows.js';

/**
 * The massive and large activations of `model`, as {@link massiveActivations} finds them.
 *
 * @throws SinkscopeError where the model cannot be run; `cancelled` when `signal` is aborted
 */
export async function standingOut(
  engine: Engine,
  { model, thresholds, memory, threads }: Budget & { readonly model: string; readonly thresholds: Thresholds },
  sequences: Windows['sequences'],
  signal?: AbortSignal,
): Promise<readonly MassiveActivation[]> {
  const first = sequences.slice(0, 1).map(({ ids }) => ids);
  let found: readonly MassiveActivation[] = [];
  for await (const event of follow(engine.run('states', { model, sequences: first, memory, threads }, signal)))
    if (event.type === 'states') found = massiveActivations({ ...emptyAnalysis, layers: event.states }, thresholds);
  return found;
}
