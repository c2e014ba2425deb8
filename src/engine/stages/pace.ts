/** How fast a file itself runs one token after another. */
import { SinkscopeError } from '../../errors.js';
import { quantile, sum } from '../../statistics/numbers.js';
import { makeFeeds } from '../inputs/feeds.js';
import { size, type Value } from '../tensors/value.js';
import { LaneCache } from './cache.js';
import { forward, type Lane } from './forward.js';
import { withHead } from './head.js';
import { logitRows, tokensThatFit } from './memory.js';
import { makePlan } from './plan.js';
import { StageRunner } from './runner.js';

/** Steps that are timed at most, and seconds after which no further one begins; one before makes what they use. */
const [steps, enough] = [5, 1];

/**
 * Tokens in a second with `held` of them in sight, the new one included: from the file's own cache, where it has one
 * that grows, else by running all of them again. What a cache holds makes no difference to that, so it holds zeros.
 *
 * @returns undefined where the file cannot be run so far, or not within the memory
 */
export async function paceOf(
  runner: StageRunner,
  ids: readonly number[],
  held: number,
  { memory, threads }: { readonly memory: number; readonly threads: number },
): Promise<number | undefined> {
  const { loaded } = runner;
  const caching = loaded.caching();
  const pairs = 'pairs' in caching && caching.pairs.every(({ form }) => form === 'grows') ? caching.pairs : [];
  const isCached = 'pairs' in caching && pairs.length > 0;
  if (!isCached && held > tokensThatFit(loaded.anatomy, memory)) return undefined;
  const own = new StageRunner(isCached ? caching.loaded : loaded, threads);
  const { anatomy, model } = own.loaded;
  const { head, plan } = withHead(own, logitRows(anatomy, memory));
  const presents = new Map([[1, pairs.map(({ present }) => present)]]);
  const tapped = makePlan(model.graph, anatomy, presents, [anatomy.unembedding?.logits ?? anatomy.output]);
  const cut = isCached ? tapped.stages : plan.cut([anatomy.layers]);
  const stages = cut.filter(({ last }) => last <= anatomy.layers);
  const fed = isCached ? ids.slice(0, 1) : ids.slice(-held);
  const step = async (cache: LaneCache | undefined) => {
    const lane: Lane = {
      values: new Map(makeFeeds(anatomy.inputs, new Map(), fed, cache).values),
      interventions: [],
      ...(cache && { cache }),
    };
    const course = { plan: isCached ? tapped : plan, stages, keep: true, lasting: head.stage.inputs };
    for await (const _ of forward(own, course, [lane]));
    await head.logits(lane.values, fed.length - 1, fed.length, true);
  };
  try {
    let before: LaneCache | undefined;
    if (isCached) {
      before = new LaneCache(pairs);
      await step(before);
      for (const { input, axis } of pairs) {
        const value = before.values.get(input);
        if (value) before.values.set(input, zeros(value, axis, held - 1));
      }
      before.tokens = held - 1;
    }
    const seconds: number[] = [];
    await step(before?.copy());
    while (seconds.length < steps && sum(seconds) < enough) {
      const start = performance.now();
      await step(before?.copy());
      seconds.push((performance.now() - start) / 1000);
    }
    return 1 / quantile(seconds, 0.5);
  } catch (error) {
    if (SinkscopeError.is(error, 'runtime') || SinkscopeError.is(error, 'too-long')) return undefined;
    throw error;
  } finally {
    await own.release();
  }
}

/** A cache of as many tokens, all 0. */
function zeros(value: Value, axis: number, tokens: number): Value {
  const dims = value.dims.map((extent, at) => (at === axis ? tokens : extent));
  const one = value.data.slice(0, 0).constructor as new (length: number) => Value['data'];
  return { ...value, dims, data: new one(size(dims)) };
}
