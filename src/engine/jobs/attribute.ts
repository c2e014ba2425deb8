/**
 * Attribution patching: what patching an activation would give back, to first order. Two runs there and one back:
 * (clean − corrupt) × the derivative of the corrupt run's logit difference, for all activations at once.
 */
import { grouped, SinkscopeError } from '../../errors.js';
import { DataType } from '../../onnx/model.js';
import type { AttributedEvent, AttributeRequest } from '../contract/attribute.js';
import type { EventOf } from '../contract/protocol.js';
import { makeFeeds } from '../inputs/feeds.js';
import { Backward, type Reduction, tracksFrom } from '../stages/backward.js';
import { withoutHead } from '../stages/lacking.js';
import { checkStates, productRoom, stateBytes } from '../stages/memory.js';
import { valueAt } from '../stages/patched.js';
import type { StageRunner } from '../stages/runner.js';
import { floats, rowsOf, sliceRows, type Value } from '../tensors/value.js';
import { checkSequences } from './sequences.js';

/** The adjoints of activations inside a block, as they are. */
const asTheyAre: Reduction = {
  fed: new Map(),
  key: 'adjoints',
  make: (_, value, adjoint) => new Map([[value, adjoint]]),
};

/**
 * @throws SinkscopeError `input` where the model predicts no tokens, has no such point or the prompts are not as long;
 *   `too-long` above the context, or where the states of both do not fit the memory
 */
export async function tellAttribution(
  { loaded }: StageRunner,
  { clean, corrupt, answers, point, blocks, memory, threads }: AttributeRequest,
  emit: (event: EventOf<'attribute'>) => Promise<void>,
): Promise<void> {
  const { anatomy, predicts, file } = loaded;
  const { layers } = anatomy;
  const logits = anatomy.unembedding?.logits;
  if (!predicts || logits === undefined) throw withoutHead(file, 'there are no logits of answers');
  checkSequences(loaded, [clean, corrupt], 'A prompt');
  const tokens = clean.length;
  if (corrupt.length !== tokens) {
    throw new SinkscopeError({
      code: 'input',
      message: `The clean prompt has ${grouped(tokens)} tokens and the corrupt one ${grouped(corrupt.length)}, and each needs its counterpart.`,
    });
  }
  // What stages take, of both, and how far they are apart.
  const held = (2 * (layers + 1) + blocks.length) * stateBytes(anatomy, tokens);
  checkStates(held, memory);
  const names = new Map(blocks.map((block) => [block, valueAt(loaded, point, block)]));
  const within = (block: number) => {
    const name = point === 'resid_post' ? undefined : names.get(block);
    return name === undefined ? [] : [name];
  };
  const back = new Backward(loaded, threads, [logits], layers + 1, { by: within, seen: within, keeps: true });
  const feedsOf = (ids: readonly number[]) => makeFeeds(anatomy.inputs, new Map(), ids).values;
  // Only the corrupt one comes back.
  const [one, other] = [
    tracksFrom(feedsOf(clean)),
    tracksFrom(feedsOf(corrupt), productRoom(anatomy, tokens, held, memory)),
  ];
  const apart = new Map<number, Float32Array>();
  const ends: number[] = [];
  try {
    for await (const { stage, lane, results } of back.there([one, other], -1)) {
      const value = lane.values.get(names.get(stage.last) ?? '');
      if (value) {
        const own = floats(sliceRows(value, 0, tokens));
        const before = apart.get(stage.last);
        apart.set(stage.last, before ? before.map((entry, i) => entry - (own[i] ?? Number.NaN)) : own.slice());
      }
      const found = results.get(logits);
      if (!found) continue;
      ends.push(differenceIn(found, answers));
      if (lane === other.lane) other.adjoints.set(logits, seedOf(found, answers));
    }
    one.lane.values.clear();
    await emit({ type: 'differences', clean: ends[0] ?? Number.NaN, corrupt: ends[1] ?? Number.NaN });
    const tell = async (block: number, adjoint: Value | undefined) => {
      const difference = apart.get(block);
      if (difference) await emit({ type: 'attributed', block, ...summed(difference, adjoint, tokens) });
    };
    const tellState = async (block: number) => {
      if (point === 'resid_post') await tell(block, other.adjoints.get(names.get(block) ?? ''));
    };
    for (const stage of back.stages.toReversed()) {
      if (stage.first < 1) continue;
      if (stage.last <= layers) await tellState(stage.last);
      const { why, reduced } = await back.back(stage, other, false, asTheyAre);
      if (why !== undefined) {
        await emit({ type: 'blocked', layer: stage.last, why });
        return;
      }
      for (const name of within(stage.last)) await tell(stage.last, reduced.get(name));
    }
    await tellState(0);
    for (const words of back.remarks(0)) await emit({ type: 'remark', text: `Of this model ${words}.` });
  } finally {
    await back.release();
  }
}

function differenceIn(logits: Value, answers: AttributeRequest['answers']): number {
  const [one = Number.NaN, other = Number.NaN] = answers.map((id) => floats(logits)[lastRow(logits) + id]);
  return one - other;
}

/** What that difference changes by with each logit. */
function seedOf(logits: Value, [one, other]: AttributeRequest['answers']): Value {
  const data = new Float32Array(logits.data.length);
  data[lastRow(logits) + one] = 1;
  data[lastRow(logits) + other] = -1;
  return { type: DataType.float, dims: logits.dims, data };
}

/** Where the logits after the last token begin. */
function lastRow(logits: Value): number {
  const { tokens, dims } = rowsOf(logits);
  return (tokens - 1) * dims;
}

/** Products of two [T, D], summed along either axis; what nothing depends on has a derivative of 0. */
function summed(
  difference: Float32Array,
  adjoint: Value | undefined,
  tokens: number,
): Pick<AttributedEvent, 'tokens' | 'dims'> {
  const width = difference.length / tokens;
  const slopes = adjoint ? floats(sliceRows(adjoint, 0, tokens)) : new Float32Array(difference.length);
  const [byToken, byDim] = [new Float64Array(tokens), new Float64Array(width)];
  for (let token = 0; token < tokens; token++)
    for (let dim = 0; dim < width; dim++) {
      const at = token * width + dim;
      const product = (difference[at] ?? 0) * (slopes[at] ?? 0);
      byToken[token] = (byToken[token] ?? 0) + product;
      byDim[dim] = (byDim[dim] ?? 0) + product;
    }
  return { tokens: Float32Array.from(byToken), dims: Float32Array.from(byDim) };
}
