/** One run, and the largest entries around the last product of every MLP (arXiv:2411.07191). */
import { hiddenStatistics } from '../../statistics/hidden.js';
import type { ProgressEvent } from '../contract/measure.js';
import type { SpikesEvent, SpikesRequest } from '../contract/spikes.js';
import { makeFeeds } from '../inputs/feeds.js';
import { forward, type Lane } from '../stages/forward.js';
import { chooseDial } from '../stages/memory.js';
import { makePlan, type Stage } from '../stages/plan.js';
import type { StageRunner } from '../stages/runner.js';
import { lastMlpProduct } from '../stages/scalars.js';
import { floats, rowsOf, type Value, withFloats } from '../tensors/value.js';
import { progressOf } from './progress.js';
import { checkSequences } from './sequences.js';

/**
 * Runs the sequence and emits, block by block, what its MLP's last product reads and gives most of.
 *
 * @param runner of the model without the scalars that are to be 0
 * @throws SinkscopeError as {@link checkSequences}
 */
export async function findSpikes(
  runner: StageRunner,
  { ids, memory }: SpikesRequest,
  emit: (event: SpikesEvent | ProgressEvent) => Promise<void>,
): Promise<void> {
  const { loaded } = runner;
  const { anatomy, model, summary } = loaded;
  checkSequences(loaded, [ids], 'The sequence');
  const products = new Map(
    anatomy.blocks.flatMap((_, index) => {
      const product = lastMlpProduct(loaded, index + 1);
      return product ? [[index + 1, product] as const] : [];
    }),
  );
  const taps = new Map(
    [...products].map(([block, { node }]) => [block, [node.inputs[0] ?? '', node.outputs[0] ?? '']]),
  );
  const plan = makePlan(model.graph, anatomy, taps, []);
  const stages = plan.stages.filter(({ first }) => first <= anatomy.layers);
  const feeds = makeFeeds(anatomy.inputs, new Map(), ids);
  const lane: Lane = { values: new Map(feeds.values), interventions: [] };
  const dial = chooseDial({ anatomy, weightBytes: summary.bytes, tokens: ids.length, memory, again: false });
  const report = progressOf(anatomy, dial, 0, 1);
  for await (const { stage, results } of forward(runner, { plan, stages, keep: false }, [lane])) {
    for (const event of report(stage)) await emit(event);
    const product = products.get(stage.last);
    const [read, given] = product ? [product.node.inputs[0] ?? '', product.node.outputs[0] ?? ''] : [];
    const [x, y] = [results.get(read ?? ''), results.get(given ?? '')];
    if (!product || !x || !y || read === undefined || given === undefined) continue;
    const [input, output] = [spikeOf(x), spikeOf(y)];
    const weight = await scalarOf(runner, { ...stage, inputs: [read], outputs: [given] }, x, input.dim, output.dim);
    const { name } = product.node;
    await emit({
      type: 'spikes',
      block: stage.last,
      node: name,
      stored: product.stored[0] ?? '',
      input,
      output,
      weight,
    });
  }
}

function spikeOf(value: Value) {
  const { tokens, dims } = rowsOf(value);
  const { top, median } = hiddenStatistics(floats(value), tokens, dims);
  return { ...(top[0] ?? { value: 0, token: 0, dim: 0 }), median };
}

/** Of the weight, what the product makes of one unit of its input, less what it makes of nothing. */
async function scalarOf(
  runner: StageRunner,
  product: Stage,
  like: Value,
  column: number,
  row: number,
): Promise<number> {
  const [read = ''] = product.inputs;
  const [given = ''] = product.outputs;
  const { dims } = rowsOf(like);
  const single = like.dims.map((extent, axis) => (axis === like.dims.length - 1 ? extent : 1));
  const make = async (unit: number) => {
    const vector = new Float32Array(dims);
    vector[column] = unit;
    const results = await runner.run(product, new Map([[read, withFloats({ ...like, dims: single }, vector)]]), false);
    const value = results.get(given);
    return (value && floats(value)[row]) ?? Number.NaN;
  };
  return (await make(1)) - (await make(0));
}
