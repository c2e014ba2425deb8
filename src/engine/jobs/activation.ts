/**
 * How much parameters matter for what sequences end in (arXiv:2405.17799): products of weights with the gradient of the
 * largest logit after the last token, block by block, all sequences through one before the next.
 */

import { DataType } from '../../onnx/model.js';
import type { ActivationEvent, ActivationRequest } from '../contract/activation.js';
import type { EventOf } from '../contract/protocol.js';
import { makeFeeds } from '../inputs/feeds.js';
import { Backward, type Reduction, type Tracks, tracksFrom } from '../stages/backward.js';
import { withoutHead } from '../stages/lacking.js';
import { checkStates, stateBytes } from '../stages/memory.js';
import type { Stage } from '../stages/plan.js';
import type { StageRunner } from '../stages/runner.js';
import { blockWeights } from '../stages/weights.js';
import { floats, rowsOf, size, type Value } from '../tensors/value.js';
import { checkSequences } from './sequences.js';

type Emit = (event: EventOf<'activation'>) => Promise<void>;

/** A sequence, and where it belongs. */
interface Run {
  readonly tracks: Tracks;
  readonly half: Half;
}

/** Sums over sequences, by weight. */
interface Sums {
  /** Σ|w · ∂y/∂w|; Σ w · ∂y/∂w of either half of the sequences, of as many of the others, and of the rest of those. */
  readonly levels: Map<string, Value>;
  readonly first: Map<string, Value>;
  readonly second: Map<string, Value>;
  readonly other: Map<string, Value>;
  readonly rest: Map<string, Value>;
}

/** Which signed sum a sequence belongs to. */
type Half = 'first' | 'second' | 'other' | 'rest';

/**
 * @throws SinkscopeError `input` where the model predicts no tokens; `too-long` above the context, or where the states of
 *   all sequences do not fit the memory
 */
export async function tellActivation(runner: StageRunner, request: ActivationRequest, emit: Emit): Promise<void> {
  const { loaded } = runner;
  const { anatomy, predicts, file } = loaded;
  const { sequences, against = [], threads, memory, thresholds } = request;
  const logits = anatomy.unembedding?.logits;
  if (!predicts || logits === undefined) throw withoutHead(file, 'there is no largest logit');
  const all = [...sequences, ...against];
  checkSequences(loaded, all, 'A sequence');
  checkStates(
    all.reduce((bytes, { length }) => bytes + (anatomy.layers + 1) * stateBytes(anatomy, length), 0),
    memory,
  );
  const weights = blockWeights(loaded);
  const back = new Backward(loaded, threads, [logits], anatomy.layers + 1, {
    by: (block) => [...weights(block).keys()],
  });
  const half = Math.ceil(sequences.length / 2);
  const runs = all.map(
    (ids, i): Run => ({
      tracks: tracksFrom(makeFeeds(anatomy.inputs, new Map(), ids).values),
      half: i < half ? 'first' : i < sequences.length ? 'second' : i < sequences.length + half ? 'other' : 'rest',
    }),
  );
  const comparable = sequences.length > 1 && against.length >= half;
  try {
    const byLane = new Map(runs.map(({ tracks }) => [tracks.lane, tracks]));
    let reached = 0;
    for await (const { stage, lane, results } of back.there(
      runs.map(({ tracks }) => tracks),
      -1,
    )) {
      if (stage.first > reached) {
        reached = stage.first;
        await emit({ type: 'progress', from: 0, to: all.length, done: stage.first - 1, of: 2 * anatomy.layers });
      }
      const tracks = byLane.get(lane);
      const found = results.get(logits);
      if (!tracks || !found) continue;
      // At once, for logits are large.
      tracks.adjoints.set(logits, largestOf(found));
      const gone = await back.back(stage, tracks, runs.length > 1);
      tracks.adjoints.delete(logits);
      if (gone.why !== undefined) {
        await emit({ type: 'ended', layer: anatomy.layers, why: gone.why });
        return;
      }
    }
    await back.leave();
    for (const stage of back.stages.toReversed()) {
      if (stage.first < 1 || stage.last > anatomy.layers) continue;
      const sums: Sums = { levels: new Map(), first: new Map(), second: new Map(), other: new Map(), rest: new Map() };
      for (const run of runs) {
        const why = await through(back, stage, run, sums, against.length > 0);
        if (why === undefined) continue;
        await emit({ type: 'ended', layer: stage.last, why });
        return;
      }
      await back.leave();
      await emit({ type: 'activation', layer: stage.last, ...reduced(sums, sequences.length, thresholds, comparable) });
    }
  } finally {
    await back.release();
  }
}

/** 1 at the largest logit of the last row. */
function largestOf(logits: Value): Value {
  const { tokens: rows, dims: width } = rowsOf(logits);
  const values = floats(logits);
  const from = (rows - 1) * width;
  let best = from;
  for (let i = from; i < from + width; i++) if ((values[i] ?? 0) > (values[best] ?? 0)) best = i;
  const data = new Float32Array(values.length);
  data[best] = 1;
  return { type: DataType.float, dims: logits.dims, data };
}

/** One sequence back through a block, its products added to the sums. */
async function through(
  back: Backward,
  stage: Stage,
  { tracks, half }: Run,
  sums: Sums,
  compares: boolean,
): Promise<string | undefined> {
  const kinds =
    half === 'other' || half === 'rest' ? [half] : compares ? (['levels', half] as const) : (['levels'] as const);
  const name = (kind: string, weight: string) => `sinkscope/sum/${kind}/${weight}`;
  const fed = new Map<string, Value>();
  for (const weight of back.inside(stage))
    for (const kind of kinds) {
      const dims = back.shape(stage, tracks, weight);
      if (!dims) continue;
      const zero = { type: DataType.float, dims: dims.map(() => 1), data: new Float32Array(1) };
      fed.set(name(kind, weight), sums[kind].get(weight) ?? zero);
    }
  const reduction: Reduction = {
    fed,
    key: kinds.join(),
    make: (build, weight, adjoint) => {
      const product = build.mul(weight, adjoint);
      return new Map(
        kinds.map((kind) => {
          const part = kind === 'levels' ? build.node('Abs', [product]) : product;
          return [name(kind, weight), build.add2(name(kind, weight), part)];
        }),
      );
    },
  };
  const { why, reduced: values } = await back.back(stage, tracks, true, reduction);
  if (why !== undefined) return why;
  for (const weight of back.inside(stage))
    for (const kind of kinds) {
      const value = values.get(name(kind, weight));
      if (value) sums[kind].set(weight, value);
    }
  return undefined;
}

function reduced(
  { levels, first, second, other, rest }: Sums,
  count: number,
  thresholds: readonly number[],
  comparable: boolean,
): Omit<ActivationEvent, 'type' | 'layer'> {
  let [parameters, total] = [0, 0];
  const above = thresholds.map(() => 0);
  const across = new Likeness();
  const within = new Likeness();
  const between = new Likeness();
  for (const [weight, value] of levels) {
    parameters += size(value.dims);
    for (const sum of floats(value)) {
      const level = sum / count;
      total += level;
      for (const [i, threshold] of thresholds.entries()) if (level > threshold) above[i] = (above[i] ?? 0) + 1;
    }
    const [a, b, c, d] = [first, second, other, rest].map((sums) => {
      const sum = sums.get(weight);
      return sum && floats(sum);
    });
    if (a && b) within.add(a, b);
    if (a && c) between.add(a, c);
    if (a && c) across.add(added(a, b), added(c, d));
  }
  return {
    parameters,
    mean: parameters > 0 ? total / parameters : Number.NaN,
    above: above.map((one) => (parameters > 0 ? one / parameters : Number.NaN)),
    ...(other.size > 0 && { similarity: across.value }),
    ...(comparable && { within: within.value, between: between.value }),
  };
}

const added = (a: Float32Array, b: Float32Array | undefined) => (b ? a.map((entry, i) => entry + (b[i] ?? 0)) : a);

/** Σ|a·b| ÷ (‖a‖‖b‖), over the weights of a block. */
class Likeness {
  private dot = 0;
  private own = 0;
  private other = 0;

  add(a: Float32Array, b: Float32Array): void {
    for (const [i, x] of a.entries()) {
      const y = b[i] ?? 0;
      this.dot += Math.abs(x * y);
      this.own += x * x;
      this.other += y * y;
    }
  }

  get value(): number {
    return this.dot / Math.sqrt(this.own * this.other);
  }
}
