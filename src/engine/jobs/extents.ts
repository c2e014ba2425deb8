/**
 * Sequences through the blocks, and how large what products read and give becomes: what static quantisation takes its
 * scales from, smoothing its factors, and a prefix its tokens.
 */

import { homesOf } from '../../anatomy/homes.js';
import type { LinearInput } from '../../anatomy/linear.js';
import { indexGraph } from '../../onnx/graph.js';
import { DataType } from '../../onnx/model.js';
import { quantile } from '../../statistics/numbers.js';
import { type ExtentsEvent, type ExtentsRequest, type InputExtents, outlierRatio } from '../contract/extents.js';
import type { ProgressEvent } from '../contract/measure.js';
import type { EventOf } from '../contract/protocol.js';
import { makeFeeds } from '../inputs/feeds.js';
import { forward, type Lane, statesHeld } from '../stages/forward.js';
import { withHead } from '../stages/head.js';
import { logitRows, sequencesTogether, stateBytes } from '../stages/memory.js';
import { makePlan } from '../stages/plan.js';
import type { StageRunner } from '../stages/runner.js';
import { pairsOf, quantisables } from '../stages/simulated.js';
import { foldsOf } from '../stages/smoothed.js';
import { floats, rowsOf, type Value } from '../tensors/value.js';
import { progressOf } from './progress.js';
import { checkSequences } from './sequences.js';

interface Extent {
  min: number;
  max: number;
  dims?: { readonly min: Float32Array; readonly max: Float32Array };
}

type Emitted = EventOf<'extents'> | ProgressEvent;

/** @throws SinkscopeError as {@link checkSequences} */
export async function tellExtents(
  runner: StageRunner,
  { sequences, weights = false, memory }: ExtentsRequest,
  emit: (event: Emitted) => Promise<void>,
): Promise<void> {
  const { loaded } = runner;
  const { anatomy, model } = loaded;
  checkSequences(
    loaded,
    sequences.map(({ ids }) => ids),
    'A sequence',
  );
  const inputs = inputsOf(runner);
  const logits = anatomy.unembedding?.logits ?? '';
  const pairs = pairsOf(model);
  const products = inputs.flatMap((input) => input.products.map(({ node }) => node));
  const homes = homesOf(model.graph, indexGraph(model.graph), anatomy);
  const rows = new Set([...inputs.map(({ tensor }) => tensor), ...products.flatMap(({ outputs }) => outputs)]);
  const values = new Set([...rows, ...pairs.flatMap((node) => [...node.inputs, ...node.outputs])]);
  values.delete(logits);
  const taps = new Map<number, string[]>();
  for (const value of values) {
    const home = homes.get(value);
    if (home !== undefined) taps.set(home, [...(taps.get(home) ?? []), value]);
  }
  const plan = makePlan(model.graph, anatomy, taps, []);
  const head = products.some(({ outputs }) => outputs.includes(logits))
    ? withHead(runner, logitRows(anatomy, memory)).head
    : undefined;
  const lasting = head?.stage.inputs ?? [];
  const tokens = sequences.reduce((most, { ids }) => Math.max(most, ids.length), 0);
  const held = stateBytes(anatomy, tokens) * statesHeld(plan, plan.stages, lasting);
  const together = sequencesTogether({ anatomy, weightBytes: 0, tokens, memory, again: true, held });
  const extents = new Map<string, Extent>();
  const wanted = new Set(inputs.map(({ tensor }) => tensor));
  for (let from = 0; from < sequences.length; from += together) {
    const group = sequences.slice(from, from + together).map(({ ids, without = [] }) => {
      const { values, length = ids.length } = makeFeeds(anatomy.inputs, new Map(), ids);
      const lane: Lane = { values: new Map(values), interventions: [] };
      return { ids, length, lane, counts: (row: number) => row < ids.length && !without.includes(row) };
    });
    const found = group.map((): { block: number; tokens: number[] }[] => []);
    const report = progressOf(
      anatomy,
      { keep: false, blocksPerStage: 1, sequences: together },
      from,
      from + group.length,
    );
    const lanes = group.map(({ lane }) => lane);
    for await (const { stage, lane, results } of forward(
      runner,
      { plan, stages: plan.stages, keep: false, lasting },
      lanes,
    )) {
      for (const event of report(stage)) await emit(event);
      const index = lanes.indexOf(lane);
      const one = group[index];
      if (!one) continue;
      for (const name of taps.get(stage.last) ?? []) {
        const value = results.get(name) ?? lane.values.get(name);
        if (value) add(extents, name, value, rows.has(name) ? one : undefined, wanted.has(name));
      }
      for (const input of inputs)
        if (input.block === stage.last && input.part === 'mlp_out') {
          const value = results.get(input.tensor);
          const here = value && outliersOf(value, one.ids.length);
          if (here && here.length > 0) found[index]?.push({ block: input.block, tokens: here });
        }
    }
    for (const [i, { ids, lane, counts }] of group.entries()) {
      if (head)
        for await (const part of head.parts(lane.values, 0, ids.length, true)) {
          const size = part.logits.length / (part.to - part.from);
          const dims = [part.to - part.from, size];
          const value: Value = { type: DataType.float, dims, data: part.logits };
          const within = { length: dims[0] ?? 0, counts: (row: number) => counts(part.from + row) };
          add(extents, logits, value, within, false);
        }
      await emit({ type: 'outliers', sequence: from + i, blocks: found[i] ?? [] });
    }
    await runner.release();
  }
  await emit(await summed(runner, extents, inputs, weights));
}

/** What products that can be quantised read, without those of no one axis of rows. */
function inputsOf({ loaded }: StageRunner): readonly LinearInput[] {
  const take = quantisables(loaded.model, { takes: ['MatMul', 'Gemm'] });
  return loaded
    .linear()
    .map((input) => ({ ...input, products: input.products.filter(take) }))
    .filter(({ products }) => products.length > 0);
}

/**
 * Adds what a value is like.
 *
 * @param rows which of its rows count, where it has as many as there are positions; undefined: all of it counts
 */
function add(
  extents: Map<string, Extent>,
  name: string,
  value: Value,
  rows: { readonly length: number; counts(row: number): boolean } | undefined,
  byDim: boolean,
): void {
  const data = floats(value);
  const { tokens, dims } = rowsOf(value);
  const extent = extents.get(name) ?? { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };
  if (byDim)
    extent.dims ??= {
      min: new Float32Array(dims).fill(Number.POSITIVE_INFINITY),
      max: new Float32Array(dims).fill(Number.NEGATIVE_INFINITY),
    };
  for (let row = 0; row < tokens; row++) {
    if (rows && rows.length === tokens && !rows.counts(row)) continue;
    for (let dim = 0; dim < dims; dim++) {
      const element = data[row * dims + dim] ?? 0;
      if (element < extent.min) extent.min = element;
      if (element > extent.max) extent.max = element;
      if (!byDim || !extent.dims) continue;
      if (element < (extent.dims.min[dim] ?? 0)) extent.dims.min[dim] = element;
      if (element > (extent.dims.max[dim] ?? 0)) extent.dims.max[dim] = element;
    }
  }
  extents.set(name, extent);
}

function outliersOf(value: Value, tokens: number): number[] {
  const data = floats(value);
  const { dims } = rowsOf(value);
  const largest = Array.from({ length: tokens }, (_, row) => {
    let most = 0;
    for (let dim = 0; dim < dims; dim++) most = Math.max(most, Math.abs(data[row * dims + dim] ?? 0));
    return most;
  });
  const middle = quantile(largest, 0.5);
  return largest.flatMap((most, token) => (most > outlierRatio * middle ? [token] : []));
}

async function summed(
  runner: StageRunner,
  extents: ReadonlyMap<string, Extent>,
  inputs: readonly LinearInput[],
  weights: boolean,
): Promise<ExtentsEvent> {
  const found: InputExtents[] = [];
  const folds = foldsOf(runner.loaded);
  for (const { tensor, block, products } of inputs) {
    const dims = extents.get(tensor)?.dims;
    if (!dims) continue;
    const weightMax = new Float32Array(weights ? dims.min.length : 0);
    if (weights)
      for (const { node } of products) {
        const transposed = node.attributes.get('transB');
        const isTurned = transposed?.kind === 'int' && transposed.value !== 0n;
        addRows(weightMax, await weightOf(runner, node.inputs[1] ?? ''), isTurned);
      }
    found.push({ tensor, block, foldable: folds.has(tensor), dimMin: dims.min, dimMax: dims.max, weightMax });
  }
  const ranges = [...extents].map(([tensor, { min, max }]) => ({ tensor, min, max }));
  return { type: 'extents', ranges, inputs: found };
}

/** A constant of the graph, as products read it. */
export async function weightOf(runner: StageRunner, weight: string): Promise<Value> {
  const results = await runner.run({ first: 0, last: 0, inputs: [], outputs: [weight] }, new Map(), false);
  const value = results.get(weight);
  if (!value) throw new Error(`${weight} is not there`);
  return value;
}

/** By row of the weight, or by column where it is transposed. */
function addRows(most: Float32Array, value: Value, transposed: boolean): void {
  const data = floats(value);
  const columns = value.dims.at(-1) ?? 1;
  for (const [i, element] of data.entries()) {
    const row = transposed ? i % columns : Math.floor(i / columns);
    const magnitude = Math.abs(element);
    if (magnitude > (most[row] ?? 0)) most[row] = magnitude;
  }
}
