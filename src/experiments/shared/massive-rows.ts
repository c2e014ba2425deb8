/** Massive weights (arXiv:2410.01866): the few MLP rows that make the massive activations. */
import type { Intervention } from '../../engine/contract/interventions.js';
import type { Variant } from '../../engine/contract/measure.js';
import type { Engine } from '../../engine/host/engine.js';
import { grouped, SinkscopeError } from '../../errors.js';
import type { Progress } from '../experiment.js';
import { type CalibratedRequest, type Calibration, calibrate, calibrationWindows } from './calibrate.js';
import { follow } from './text.js';

export interface MassiveRows {
  readonly calibration: Calibration;
  /** The block, 1-based, that leaves the massive activations. */
  readonly block: number;
  /** The token at which its MLP intermediate state was read. */
  readonly token: number;
  /** The k dims of largest |mean| there, largest first: rows of W_up and W_gate, columns of W_down. */
  readonly dims: readonly number[];
  /** Their means over the calibration sequences. */
  readonly values: readonly number[];
  /** The other dims, largest first. */
  readonly others: readonly number[];
}

/** @throws SinkscopeError `input` where no block shows its MLP's intermediate state */
export async function checkIntermediates(engine: Engine, model: string, signal?: AbortSignal): Promise<void> {
  const { blocks, missing } = (await engine.inspect(model, signal, { takes: 'text' })).anatomy;
  if (blocks.some(({ mlpIntermediate }) => mlpIntermediate !== undefined)) return;
  const why = missing.find(({ part }) => part.startsWith('MLP intermediate'))?.why ?? 'no block shows its MLP’s';
  throw noRows(model, `its MLPs have no intermediate state that can be read: ${why}`);
}

/**
 * The k largest entries of the MLP intermediate state at the massive token of the block that makes it massive.
 *
 * @throws SinkscopeError as {@link checkIntermediates}; `input` where nothing in an MLP makes it, or k is too large
 */
export async function* massiveRows(
  engine: Engine,
  request: Omit<CalibratedRequest, 'largest'> & { readonly k: number },
  signal?: AbortSignal,
): AsyncGenerator<Progress, MassiveRows, void> {
  const { model, k } = request;
  await checkIntermediates(engine, model, signal);
  const { blocks } = (await engine.inspect(model, signal, { takes: 'text' })).anatomy;
  const calibration = yield* calibrate(engine, request, signal);
  const block = calibration.layer;
  if (block === 0) throw noRows(model, 'its massive activations are there in the embedding, before any MLP');
  if (blocks[block - 1]?.mlpIntermediate === undefined)
    throw noRows(model, `its massive activations begin in block ${block}, which shows no MLP intermediate state`);
  const token = calibration.points.map((point) => point.token).find((position) => typeof position === 'number');
  if (token === undefined) {
    throw new SinkscopeError({
      code: 'input',
      file: model,
      message:
        'The massive activations of this model are at no fixed token, so its massive weights cannot be read off one.',
    });
  }
  const state = await intermediate(engine, request, block, token, signal);
  if (2 * k > state.length) {
    throw new SinkscopeError({
      code: 'input',
      message: `The MLP of block ${block} has ${grouped(state.length)} intermediate dims; choose a k of at most ${grouped(Math.floor(state.length / 2))}.`,
    });
  }
  const order = [...state.keys()].sort((a, b) => Math.abs(state[b] ?? 0) - Math.abs(state[a] ?? 0));
  const dims = order.slice(0, k);
  return { calibration, block, token, dims, values: dims.map((dim) => state[dim] ?? 0), others: order.slice(k) };
}

/** A model without rows of a block's MLP, and with these of its rows alone. */
export function withoutAndAlone(kind: string, dims: readonly number[], block: number): Variant[] {
  const zero = (chosen: Intervention['dims']): Intervention[] => [
    { point: 'mlp', block, tokens: 'all', dims: chosen, set: { to: 'zero' } },
  ];
  return [
    { name: `zero ${kind}`, interventions: zero(dims) },
    { name: `keep only ${kind}`, interventions: zero({ except: dims }) },
  ];
}

const noRows = (file: string, why: string) =>
  new SinkscopeError({
    code: 'input',
    file,
    message: `${file} has no massive weights to look for: ${why}; choose another model.`,
  });

/** Row `token` of the MLP intermediate state of a block, averaged over the calibration windows: [D_mlp]. */
async function intermediate(
  engine: Engine,
  request: Omit<CalibratedRequest, 'largest'>,
  block: number,
  token: number,
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  const { model, memory, threads } = request;
  const { sequences } = await calibrationWindows(engine, request, signal);
  const states = engine.run(
    'states',
    {
      model,
      sequences: sequences.map(({ ids }) => ids),
      places: [{ point: 'mlp', block }],
      mean: { rows: [token] },
      memory,
      threads,
    },
    signal,
  );
  let row: Float32Array | undefined;
  for await (const event of follow(states)) if (event.type === 'mean') [row] = event.rows;
  if (!row) throw new Error('there is no mean');
  return row;
}
