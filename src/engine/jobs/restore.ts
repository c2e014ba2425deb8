/**
 * A quantised model of which some products are computed as they were: what excluding them from quantisation gives.
 * Each such run begins where the quantised one is before the first of them, and goes on to the predictions or to the end
 * of the block alone.
 */
import type { DataType, Node } from '../../onnx/model.js';
import { greatest, least, sum } from '../../statistics/numbers.js';
import type { ProgressEvent, Sequence } from '../contract/measure.js';
import type { NoisesEvent, ProductsEvent, RestoredEvent, RestoreRequest } from '../contract/restore.js';
import { makeFeeds } from '../inputs/feeds.js';
import { type Counterpart, counterparts, likenesses } from '../stages/counterparts.js';
import { createDivergenceSession } from '../stages/divergence.js';
import { forward, type Lane } from '../stages/forward.js';
import type { LoadedModel } from '../stages/loaded.js';
import { holdsHeads, stateBytes } from '../stages/memory.js';
import type { Replacement } from '../stages/replaced.js';
import type { StageRunner } from '../stages/runner.js';
import { saturates } from '../stages/saturation.js';
import { productKinds } from '../stages/simulated.js';
import { floats, rowsOf, sliceRows, type Value, type Values, withFloats } from '../tensors/value.js';
import { checkScored } from './measure.js';
import { progressOf } from './progress.js';
import {
  checkAlike,
  handedOver,
  type Sided,
  scoredParts,
  sequencesInStep,
  statesOf,
  type Track,
  trackOf,
} from './tracks.js';

/**
 * Tells the products, then runs every sequence under the variants.
 *
 * @throws SinkscopeError as `comparePair`
 */
export async function restoreProducts(
  runners: Sided<StageRunner>,
  request: RestoreRequest,
  emit: (event: ProductsEvent | RestoredEvent | NoisesEvent | ProgressEvent) => Promise<void>,
): Promise<void> {
  const { by, sequences, variants, inBlock = false, memory, threads } = request;
  checkAlike(runners);
  const { reference, model } = { reference: runners.reference.loaded, model: runners.model.loaded };
  // What a scheme leaves as it is need not be restored.
  const own = by.what === 'scheme' ? { ...reference, linear: model.linear } : reference;
  const alike = by.what === 'scheme' ? undefined : await likenesses(runners.reference, runners.model);
  const { found, without: unlike } = counterparts(own, model, alike);
  const taken = new Set(productsOf(own));
  const left = productsOf(reference).filter((product) => !taken.has(product));
  const { initializers } = reference.model.graph;
  const isComputed = ({ reference: { node } }: Counterpart) => !initializers.has(node.inputs[1] ?? '');
  await emit({
    type: 'products',
    products: found.map(({ block, part, reference: { node }, weights, elements, bytes }) => {
      return { block, part, node: node.name, op: node.op, weights, elements, bytes };
    }),
    without: unlike + left.length,
    kinds: productKinds(reference.model, left),
    computed: by.what === 'scheme' ? found.filter(isComputed).length : 0,
    saturating: model.model.graph.nodes.some(isOfBytes) && (await saturates()),
  });
  if (variants.length === 0) return;
  for (const runner of Object.values(runners)) await checkScored(runner, sequences);
  const tracks = { reference: trackOf(runners.reference, memory), model: trackOf(runners.model, memory) };
  const restored = variants.map((indices) =>
    variantOf(
      tracks,
      indices.flatMap((index) => found[index] ?? []),
    ),
  );
  if (inBlock) return tellNoises(tracks, found, restored, request, emit);
  const tokens = greatest(sequences.map(({ ids }) => ids.length));
  const { anatomy } = model;
  const held = stateBytes(anatomy, tokens) * (2 * statesOf(tracks.model) + variants.length);
  const together = sequencesInStep(anatomy, tokens, memory, held);
  // Those with the reference's head come first.
  const order = (lanes: readonly Lane[]) =>
    [...lanes.entries()]
      .map(([variant, { values }]) => [variant, values] as const)
      .toSorted(([one], [other]) => Number(restored[other]?.head) - Number(restored[one]?.head));
  const stay = holdsHeads(anatomy, 2, memory);
  const divergence = await createDivergenceSession(threads);
  try {
    for (let from = 0; from < sequences.length; from += together) {
      const group = sequences.slice(from, from + together).map((sequence) => {
        // Nobody asks for its end: others begin with it.
        const plain = { ...laneOf(tracks.model, sequence), until: greatest(restored.map(({ after }) => after)) };
        const lanes = restored.map(({ replacements, after }): Lane => {
          return { values: new Map(), interventions: [], replacements, after: { lane: plain, block: after } };
        });
        return { sequence, reference: laneOf(tracks.reference, sequence), plain, lanes };
      });
      const report = progressOf(
        anatomy,
        { keep: false, blocksPerStage: 1, sequences: together },
        from,
        from + group.length,
      );
      for await (const _ of forward(
        runners.reference,
        courseOf(tracks.reference),
        group.map(({ reference }) => reference),
      ));
      const under = group.flatMap(({ plain, lanes }) => [plain, ...lanes]);
      for await (const { stage } of forward(runners.model, courseOf(tracks.model), under))
        for (const event of report(stage)) await emit(event);
      for (const [i, { sequence, reference, lanes }] of group.entries()) {
        const [kld, losses] = [variants.map(() => 0), variants.map(() => 0)];
        for await (const part of scoredParts(tracks, sequence, reference.values, divergence, stay)) {
          for (const [variant, values] of order(lanes)) {
            const isHead = restored[variant]?.head === true;
            const other = isHead
              ? headed(tracks, reference, values, sequence.ids.length)
              : { track: tracks.model, values };
            const { kld: by, probability } = await part.divergenceOf(other);
            kld[variant] = (kld[variant] ?? 0) + sum(by);
            losses[variant] = (losses[variant] ?? 0) - sum(probability.other.map(Math.log));
          }
        }
        await emit({ type: 'restored', sequence: from + i, tokens: sequence.ids.length - sequence.from, kld, losses });
      }
      for (const runner of Object.values(runners)) await runner.release();
    }
  } finally {
    await divergence.release();
  }
}

const laneOf = ({ runner }: Track, { ids }: Sequence): Lane => ({
  values: new Map(makeFeeds(runner.loaded.anatomy.inputs, new Map(), ids).values),
  interventions: [],
});

/** What variants leave of the noise of their blocks, sequence by sequence. The model as it was is asked for products alone. */
async function tellNoises(
  tracks: Sided<Track>,
  found: readonly Counterpart[],
  restored: readonly Restored[],
  { sequences, memory }: RestoreRequest,
  emit: (event: NoisesEvent | ProgressEvent) => Promise<void>,
): Promise<void> {
  const { model } = tracks;
  const { anatomy } = model.runner.loaded;
  const blocks = [...new Set(restored.map(({ after }) => after + 1))].filter((block) => block <= anatomy.layers);
  const wholes = blocks.map((block) =>
    variantOf(
      tracks,
      found.filter((product) => product.block === block),
    ),
  );
  const last = greatest(blocks);
  const tokens = greatest(sequences.map(({ ids }) => ids.length));
  const held = stateBytes(anatomy, tokens) * (statesOf(model) + blocks.length + restored.length);
  const together = sequencesInStep(anatomy, tokens, memory, held);
  for (let from = 0; from < sequences.length; from += together) {
    const group = sequences.slice(from, from + together).map((sequence) => {
      const plain = { ...laneOf(model, sequence), until: last };
      const laneIn = ({ replacements, after }: Restored): Lane => {
        return {
          values: new Map(),
          interventions: [],
          replacements,
          after: { lane: plain, block: after },
          until: after + 1,
        };
      };
      return { sequence, plain, wholes: wholes.map(laneIn), lanes: restored.map(laneIn) };
    });
    /** By lane, its state at the end of a block. */
    const states = new Map<Lane, Map<number, Float32Array>>();
    const rows = new Map<Lane, number>(
      group.flatMap(({ sequence, plain, wholes, lanes }) =>
        [plain, ...wholes, ...lanes].map((lane) => [lane, sequence.ids.length] as const),
      ),
    );
    const report = progressOf(
      anatomy,
      { keep: false, blocksPerStage: 1, sequences: together },
      from,
      from + group.length,
    );
    for await (const { stage, lane, results } of forward(model.runner, courseOf(model), [...rows.keys()])) {
      const state = results.get(model.residuals[stage.last] ?? '');
      if (state && blocks.includes(stage.last)) {
        const own = states.get(lane) ?? new Map<number, Float32Array>();
        states.set(lane, own.set(stage.last, floats(sliceRows(state, 0, rows.get(lane) ?? 0)).slice()));
      }
      for (const event of report(stage)) await emit(event);
    }
    for (const [i, { sequence, plain, wholes: ends, lanes }] of group.entries()) {
      const noise = (lane: Lane, block: number) => {
        const whole = ends[blocks.indexOf(block)];
        const stateOf = (one: Lane | undefined) => (one && states.get(one)?.get(block)) ?? new Float32Array();
        return noiseOf(stateOf(whole), stateOf(lane), sequence.ids.length);
      };
      const ofBlocks = new Map(blocks.map((block) => [block, noise(plain, block)]));
      await emit({
        type: 'noises',
        sequence: from + i,
        left: lanes.map((lane, variant) => noise(lane, (restored[variant]?.after ?? 0) + 1)),
        whole: restored.map(({ after }) => ofBlocks.get(after + 1) ?? 0),
      });
    }
    for (const { runner } of Object.values(tracks)) await runner.release();
  }
}

/** Squared distance of rows to those of `values`, relative to these, summed over rows. */
function noiseOf(values: Float32Array, others: Float32Array, rows: number): number {
  const width = values.length / rows;
  let total = 0;
  for (let row = 0; row < rows; row++) {
    let [signal, distance] = [0, 0];
    for (let i = row * width; i < (row + 1) * width; i++) {
      const value = values[i] ?? Number.NaN;
      signal += value * value;
      distance += ((others[i] ?? Number.NaN) - value) ** 2;
    }
    if (distance !== 0) total += distance / signal;
  }
  return total;
}

/** Products of unsigned with signed bytes, now or when ONNX Runtime has fused them. */
const isOfBytes = ({ op }: Node) => ['MatMulInteger', 'ConvInteger', 'QLinearMatMul', 'QuantizeLinear'].includes(op);

const productsOf = ({ linear }: Pick<LoadedModel, 'linear'>) => linear().flatMap(({ products }) => products);

const courseOf = ({ plan, stages, head }: Track) => ({ plan, stages, keep: false, lasting: head.stage.inputs });

/** Products that are restored together. */
interface Restored {
  readonly replacements: readonly Replacement[];
  /** Whether the output head is that of the reference. */
  readonly head: boolean;
  /** The block after which it is no longer the quantised run. */
  readonly after: number;
}

function variantOf(tracks: Sided<Track>, products: readonly Counterpart[]): Restored {
  const { layers } = tracks.model.runner.loaded.anatomy;
  const order = new Map(
    tracks.model.runner.loaded.model.graph.nodes.flatMap(({ outputs }, i) => outputs.map((o) => [o, i])),
  );
  const place = ({ model }: Counterpart) => order.get(model.output) ?? 0;
  const inside = products.filter(({ block }) => block <= layers).sort((a, b) => place(a) - place(b));
  return {
    replacements: inside.map((product) => replacementOf(tracks, product)),
    head: inside.length < products.length,
    after: least(
      inside.map(({ block }) => block - 1),
      layers,
    ),
  };
}

/** The product as the reference computes it, of what the other file feeds it. */
function replacementOf({ reference }: Sided<Track>, product: Counterpart): Replacement {
  const { block } = product;
  const { node, inputs, output, type } = product.reference;
  const stage = reference.stages.find(({ last }) => last === block);
  if (!stage) throw new Error(`block ${block} has no stage`);
  const alone = reference.plan.narrow({ ...stage, wide: inputs }, [output], inputs);
  const compute = async (read: readonly Value[]) => {
    const given = new Map(inputs.flatMap((input, i) => (read[i] ? [[input, read[i]] as const] : [])));
    const made = (await reference.runner.run(alone, given, false)).get(output);
    if (!made) throw new Error(`${output} is not there`);
    return made;
  };
  let bias: Promise<Value> | undefined;
  /** Without the bias, which is what zeros give, in every row. */
  const unbiased = async (read: readonly Value[], made: Value) => {
    bias ??= compute(read.map((value) => withFloats(value, floats(value).slice().fill(0))));
    const row = floats(sliceRows(await bias, 0, 1));
    return withFloats(
      made,
      floats(made).map((value, i) => value - (row[i % row.length] ?? 0)),
    );
  };
  return {
    block,
    inputs: product.model.inputs,
    output: product.model.output,
    async make(values) {
      const read = values.map((value) =>
        inType(node.op === 'Gemm' ? { ...value, dims: matrixDims(value) } : value, type),
      );
      const computed = await compute(read);
      const made = product.biased ? await unbiased(read, computed) : computed;
      const rows = values[0]?.dims.slice(0, -1) ?? [];
      return inType({ ...made, dims: [...rows, made.dims.at(-1) ?? 0] }, product.model.type);
    },
  };
}

/** `Gemm` takes matrices alone, and the other file may have the same product of a tensor of more axes. */
function matrixDims(value: Value): number[] {
  const { tokens, dims } = rowsOf(value);
  return [tokens, dims];
}

/** `value` in single or half precision. */
function inType(value: Value, type: DataType): Value {
  return value.type === type ? value : withFloats({ ...value, type }, floats(value));
}

/** The reference's output head on the last hidden state of a run of the other file. */
function headed({ reference, model }: Sided<Track>, own: Lane, values: Values, tokens: number) {
  const name = reference.residuals.at(-1) ?? '';
  const [before, after] = [own.values.get(name), values.get(model.residuals.at(-1) ?? '')];
  if (!before || !after) throw new Error('the last hidden state is not there');
  return { track: reference, values: new Map([...own.values, [name, handedOver(before, after, tokens)]]) };
}
