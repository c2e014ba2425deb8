/** One long sequence through caches that are kept in several ways. */
import { grouped, SinkscopeError } from '../../errors.js';
import { hiddenStatistics } from '../../statistics/hidden.js';
import { greatest } from '../../statistics/numbers.js';
import { checkIds } from '../../tokens/tokenizer.js';
import type { ProgressEvent } from '../contract/measure.js';
import { type CacheWay, checkedTokens, type StreamedEvent, type StreamRequest } from '../contract/streaming.js';
import { fixedLength, makeFeeds } from '../inputs/feeds.js';
import { type AttentionSession, createAttentionSession } from '../stages/attending.js';
import { type AttentionSite, exactnessOf, noSite, ownWindow, siteNames, siteOf } from '../stages/attentionSite.js';
import { forward, type Lane, statesHeld } from '../stages/forward.js';
import { withHead } from '../stages/head.js';
import { createLossSession } from '../stages/losses.js';
import { logitRows, stateBytes, tokensThatFit } from '../stages/memory.js';
import { paceOf } from '../stages/pace.js';
import { valueAt } from '../stages/patched.js';
import { PlacedTokens } from '../stages/placed.js';
import type { Plan, Stage } from '../stages/plan.js';
import { BlockCache, type Chunk, computed } from '../stages/rolling.js';
import type { StageRunner } from '../stages/runner.js';
import { patternOf } from '../tensors/patterns.js';
import { floats, rowsOf, sliceRows, type Value, type Values, withRows } from '../tensors/value.js';
import { checkScored } from './measure.js';

/**
 * Scores a sequence, however long, by each way.
 *
 * @throws SinkscopeError `input` where the model predicts no tokens, an id is out of range, or a block's attention is
 *   none that can be run from a cache kept here; `too-long` where the sequence's states do not fit the memory
 */
export async function rollOn(
  runner: StageRunner,
  request: StreamRequest,
  emit: (event: StreamedEvent | ProgressEvent) => Promise<void>,
): Promise<void> {
  const { ids, ways, memory, threads } = request;
  const { loaded } = runner;
  const { anatomy, summary, file } = loaded;
  const half = Math.floor(Math.min(checkedTokens, summary.context ?? checkedTokens, ids.length) / 2);
  await checkScored(runner, [{ ids: ids.slice(0, 2 * half), from: 1 }]);
  checkIds(ids, summary.vocabulary);
  if (fixedLength(anatomy.inputs) !== undefined || anatomy.copies) {
    const why = anatomy.copies ? 'keeps several copies of its residual stream' : 'takes sequences of one length only';
    throw new SinkscopeError({
      code: 'input',
      file,
      message: `${file} ${why}, so it cannot be run a few tokens at a time; choose another model.`,
    });
  }
  const { plan, head } = withHead(runner, logitRows(anatomy, memory));
  const stages = plan.stages.filter(({ last }) => last <= anatomy.layers);
  const lasting = head.stage.inputs;
  const bytes = statesHeld(plan, stages, lasting) * stateBytes(anatomy, ids.length);
  if (bytes > memory / 2) {
    throw new SinkscopeError({
      code: 'too-long',
      message: `The states of ${grouped(ids.length)} tokens take ${grouped(Math.ceil(bytes / 2 ** 20))} MB, more than half of the memory that may be used; choose fewer tokens or allow more memory.`,
    });
  }
  const together = Math.max(1, Math.floor(memory / 2 / bytes));
  const placed = await PlacedTokens.of(runner, plan, ids);
  const [losses, attention] = [await createLossSession(threads), await createAttentionSession(threads)];
  const run: Run = {
    runner,
    plan,
    ids,
    half,
    far: farOf(runner, request, half),
    placed,
    attention,
    windows: new Map(),
  };
  const checked = run.far ?? 2 * half;
  const go: number[] = [];
  const paces = new Map<number, number | undefined>();
  try {
    for (const [way, { positions, kept }] of ways.entries()) {
      const last = positions === 'cache' && kept ? kept.window - 1 : ids.length - 1;
      const why = placed.beyond(Math.min(last, ids.length - 1));
      if (why === undefined) go.push(way);
      else await emit({ type: 'streamed', way, losses: new Float32Array(0), why, bytes: 0, checked });
    }
    for (let from = 0; from < go.length; from += together) {
      const part = go.slice(from, from + together);
      const { lanes, scored } = await lanesOf(
        run,
        part.map((way) => ways[way] as CacheWay),
      );
      let reached = 0;
      for await (const { stage } of forward(runner, { plan, stages, keep: false, lasting }, lanes)) {
        if (stage.first <= reached) continue;
        reached = stage.first;
        await emit({ type: 'progress', from, to: from + part.length, done: stage.first - 1, of: anatomy.layers });
      }
      for (const [i, way] of part.entries()) {
        const found = new Float32Array(ids.length - 1);
        for (const { chunk, lane } of scored[i]?.lanes ?? []) {
          // The token at i is predicted at position i - 1.
          const end = Math.min(chunk.to, ids.length - 1);
          if (end === chunk.from) continue;
          for await (const { logits, ...rows } of head.parts(lane.values, 0, end - chunk.from, true)) {
            const next = ids.slice(chunk.from + rows.from + 1, chunk.from + rows.to + 1);
            found.set(await losses.losses(logits, next), chunk.from + rows.from);
          }
        }
        const { bytes = 0, evicted } = scored[i]?.held() ?? {};
        const held = Math.min(ids.length, ways[way]?.kept?.window ?? ids.length);
        if (request.timed && !paces.has(held)) paces.set(held, await paceOf(runner, ids, held, { memory, threads }));
        const perSecond = paces.get(held);
        await emit({ type: 'streamed', way, losses: found, why: undefined, bytes, checked, evicted, perSecond });
      }
      await runner.release();
    }
  } finally {
    await runner.release();
    await losses.release();
    await attention.release();
  }
}

/** What all ways have in common. */
interface Run {
  readonly runner: StageRunner;
  readonly plan: Plan;
  readonly ids: readonly number[];
  readonly half: number;
  /** Tokens of the run by which it is told how far back blocks look, where that is more than is read. */
  readonly far: number | undefined;
  readonly placed: PlacedTokens;
  readonly attention: AttentionSession;
  /** By block, how many keys its queries see of more than are read; undefined: all. */
  readonly windows: Map<number, number | undefined>;
}

/**
 * How many tokens tell how far back blocks look, where that is not known from what is read of them; undefined: no way
 * has keys that are farther from a query.
 */
function farOf({ loaded }: StageRunner, { ids, ways, memory }: StreamRequest, half: number): number | undefined {
  const { anatomy, summary } = loaded;
  const isFar = ways.some(
    ({ kept, positions }) => !kept || kept.window > 2 * half || (positions === 'sequence' && kept.sinks > 0),
  );
  const most = Math.min(ids.length, summary.context ?? ids.length, tokensThatFit(anatomy, memory / 4));
  return isFar && most > 2 * half ? most : undefined;
}

interface ScoredWay {
  readonly lanes: readonly { readonly chunk: Chunk; readonly lane: Lane }[];
  /** Of the caches of all blocks, when all tokens are through. */
  held(): { readonly bytes: number; readonly evicted: number[][] | undefined };
}

/**
 * For each way a lane for every few tokens, in their order; before them one that is as the model is, on which each block
 * is read, a longer one that tells how far back it looks, and for every few tokens one that embeds them.
 */
async function lanesOf(run: Run, ways: readonly CacheWay[]) {
  const { runner, ids, half, placed } = run;
  const { inputs, embedding } = runner.loaded.anatomy;
  const feeds = (some: readonly number[]) => new Map(makeFeeds(inputs, new Map(), some).values);
  const chunks = Array.from({ length: Math.ceil(ids.length / half) }, (_, i) => {
    return { from: i * half, to: Math.min((i + 1) * half, ids.length) };
  });
  const sites = new Map<number, AttentionSite>();
  const plain: Lane = {
    values: feeds(ids.slice(0, 2 * half)),
    interventions: [],
    attend: async (stage, values) => {
      const site = await read(run, stage, values, chunked[0]?.lane.values ?? new Map());
      if (site) sites.set(stage.last, { ...site, window: site.window ?? run.windows.get(stage.last) });
      return new Map();
    },
  };
  const far: Lane = {
    values: feeds(ids.slice(0, run.far ?? 0)),
    interventions: [],
    attend: async (stage, values) => {
      const site = sites.get(stage.last);
      if (!site || site.window !== undefined) return new Map();
      const { pattern, weighed } = site.names;
      const found = await runner.run(run.plan.narrow(stage, [pattern, weighed]), values, true);
      const window = ownWindow(runner.loaded, stage.last, patternOf(computed(found, pattern)));
      run.windows.set(stage.last, window);
      sites.set(stage.last, { ...site, window });
      return new Map([[weighed, computed(found, weighed)]]);
    },
  };
  const looksFar = run.far !== undefined && run.windows.size === 0;
  const embedded = chunks.map(
    ({ from, to }): Lane => ({ values: feeds(ids.slice(from, to)), interventions: [], until: 0 }),
  );
  const scored: ScoredWay[] = [];
  for (const way of ways) {
    const last = way.positions === 'cache' && way.kept ? way.kept.window - 1 : ids.length - 1;
    const h0 = placed.learned ? await placed.sequence(ids, Math.min(last, ids.length - 1)) : undefined;
    const caches = new Map<number, BlockCache>();
    let bytes = 0;
    const evicted: number[][] = runner.loaded.anatomy.blocks.map(() => []);
    const lanes = chunks.map((chunk, i) => {
      const own = h0 && new Map([[embedding, sliceRows(h0, chunk.from, chunk.to)]]);
      const lane: Lane = {
        values: new Map(own),
        interventions: [],
        after: { lane: embedded[i] as Lane, block: 0 },
        attend: async (stage, values) => {
          const site = sites.get(stage.last);
          if (!site) return new Map();
          // The blocks before are through.
          if (chunk.from === 0) caches.clear();
          const cache = caches.get(stage.last) ?? new BlockCache(site, way, ids.length);
          caches.set(stage.last, cache);
          const { queries, keys, values: weighed } = site.names;
          const found = await run.runner.run(run.plan.narrow(stage, [queries, keys, weighed]), values, true);
          const massive = way.rounded?.massive && massiveOf(runner, stage, values, chunk, way.rounded.massive);
          const made = await cache.attend(chunk, found, run.attention, massive);
          if (chunk.to === ids.length) {
            bytes += cache.bytes(runner.loaded.anatomy.blocks[stage.last - 1]?.attention?.kvHeads ?? site.groups);
            evicted[stage.last - 1] = cache.evicted();
          }
          return new Map([[site.names.weighed, made]]);
        },
      };
      return { chunk, lane };
    });
    scored.push({ lanes, held: () => ({ bytes, evicted: way.tells ? evicted : undefined }) });
  }
  const chunked = scored[0]?.lanes ?? [];
  return {
    lanes: [
      plain,
      ...(looksFar ? [far] : []),
      ...embedded,
      ...scored.flatMap(({ lanes }) => lanes.map(({ lane }) => lane)),
    ],
    scored,
  };
}

/** The tokens whose hidden state has a massive activation as it enters a block, by the median of those it is run with. */
function massiveOf(
  { loaded }: StageRunner,
  { last }: Stage,
  values: Values,
  { from, to }: Chunk,
  { absolute, ratio }: NonNullable<NonNullable<CacheWay['rounded']>['massive']>,
): ReadonlySet<number> {
  const state = sliceRows(computed(values, valueAt(loaded, 'resid_post', last - 1)), 0, to - from);
  const { tokenMax, median } = hiddenStatistics(floats(state), to - from, rowsOf(state).dims);
  const isMassive = (most: number) => most > absolute && most >= ratio * median;
  return new Set(
    Array.from(tokenMax.keys()).flatMap((token) => (isMassive(tokenMax[token] ?? 0) ? [from + token] : [])),
  );
}

/**
 * Reads off what a block's attention does, and holds it against what the graph makes of the same tokens when they are
 * run at once.
 *
 * @param whole what the block begins with of the first tokens
 * @param part what it begins with of half of them
 * @returns undefined where it has no attention
 * @throws SinkscopeError `input` where that is not what comes out
 */
async function read(
  { runner, plan, half, attention }: Run,
  stage: Stage,
  whole: Values,
  part: Values,
): Promise<AttentionSite | undefined> {
  const { loaded } = runner;
  const block = stage.last;
  const names = block > 0 ? siteNames(loaded, block) : undefined;
  if (!names) return undefined;
  const residual = valueAt(loaded, 'resid_post', block - 1);
  const state = computed(whole, residual);
  const { dims } = rowsOf(state);
  const row = floats(sliceRows(state, half, half + 1));
  const still = Float32Array.from({ length: 2 * half * dims }, (_, at) => row[at % dims] ?? 0);
  const { queries, keys, values, weighed, pattern } = names;
  const all = plan.narrow(stage, [queries, keys, values, weighed, pattern]);
  const found = await runner.run(all, whole, true);
  const alike = await runner.run(all, new Map([...whole, [residual, withRows(state, still)]]), true);
  const site = siteOf(loaded, block, names, found, alike);

  const cache = new BlockCache(site, { name: '', positions: 'sequence' }, 2 * half);
  const narrow = plan.narrow(stage, [queries, keys, values]);
  const expected = computed(found, weighed);
  const bound = exactnessOf(loaded, expected) * greatest(floats(expected).map(Math.abs));
  for (const from of [0, half]) {
    const rows = sliceRows(state, from, from + half);
    const given = await runner.run(narrow, new Map([...part, [residual, rows]]), true);
    const made = await cache.attend({ from, to: from + half }, given, attention);
    if (!isClose(made, site.part(expected, from, from + half), bound))
      throw noSite(loaded, block, 'what it makes of some tokens is not what a softmax over their keys makes of them');
  }
  return site;
}

function isClose(made: Value, expected: Float32Array, bound: number): boolean {
  const found = floats(made);
  return (
    found.length === expected.length &&
    found.every((entry, at) => Math.abs(entry - (expected[at] ?? Number.NaN)) <= bound)
  );
}
