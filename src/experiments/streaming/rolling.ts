/** One long sequence through caches that roll on: what each way to keep them costs, and what it holds. */
import { formatFixed, formatNumber } from '../../analysis/format.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { CacheWay } from '../../engine/contract/streaming.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import type { Budget, Progress } from '../experiment.js';
import { Losses } from '../shared/perplexity.js';
import { encode, follow } from '../shared/text.js';
import type { Row } from '../shared/variants.js';

/** A way to keep the cache, and what came of it. */
export interface RolledRow extends Row {
  /** Of the caches of all blocks, at the end. */
  readonly bytes: number;
  /** As the file itself runs one after another at the end, from its cache or by running all in sight again. */
  readonly perSecond: number | undefined;
}

export interface Rolled {
  /** Tokens of the sequence. */
  readonly tokens: number;
  readonly rows: readonly RolledRow[];
  /** Of these, those on which it was seen how far back the model itself looks. */
  readonly checked: number;
  /** [layer - 1][head]: attention mass that keys would have had which the rolling cache has evicted; undefined: not run. */
  readonly evicted: readonly (readonly number[])[] | undefined;
  /** Of a way that cannot be gone, or of all, why: in a sentence. */
  readonly refused: readonly string[];
}

/** By what a row is called. */
export const rollingCache = 'rolling cache';

/**
 * Everything kept; a window without and with the first tokens, at their positions in the sequence; and with those at
 * positions in the cache (StreamingLLM), which is also kept in few bits: of all tokens, of all but the first ones (as
 * IntactKV keeps those of a known beginning), and of all but those with massive activations (as KVSink finds sinks).
 */
export function cacheWays(
  window: number,
  sinks: number,
  { absolute, ratio }: Pick<Thresholds, 'absolute' | 'ratio'>,
): readonly CacheWay[] {
  const kept = { window, sinks };
  const inFew = ([8, 4] as const).flatMap((bits): CacheWay[] => {
    const name = `${rollingCache}, int${bits}`;
    const way = { kept, positions: 'cache' } as const;
    const rounded = { bits, float: 0 };
    const first = { ...way, name: `${name} but the sinks`, rounded: { bits, float: sinks } };
    const massive = {
      ...way,
      name: `${name} but massive tokens`,
      rounded: { ...rounded, massive: { absolute, ratio } },
    };
    return [{ ...way, name, rounded }, ...(sinks === 0 ? [] : [first]), massive];
  });
  return [
    { name: 'all', positions: 'sequence' },
    { name: 'window', kept: { window, sinks: 0 }, positions: 'sequence' },
    { name: 'window and sinks', kept, positions: 'sequence' },
    { name: rollingCache, kept, positions: 'cache', tells: true },
    ...inFew,
  ];
}

/**
 * Sends the first tokens of a text through them all.
 *
 * @throws SinkscopeError what is not a matter of the model, which is refused in the result
 */
export async function* rollOver(
  engine: Engine,
  request: Budget & {
    readonly model: string;
    readonly text: string;
    readonly window: number;
    readonly sinks: number;
    readonly bos?: boolean;
    /** At most so many, prefix included. */
    readonly most: number;
    readonly tokens?: number;
    readonly thresholds: Thresholds;
  },
  signal?: AbortSignal,
): AsyncGenerator<Progress, Rolled, void> {
  const { model, text, window, sinks, most, memory, threads, thresholds } = request;
  const taken = Math.min(most, request.tokens ?? most);
  const { ids: own, prefix } = await encode(engine, model, text, { bos: request.bos, most: taken }, signal);
  const ids = [...(prefix === undefined ? [] : [prefix]), ...own].slice(0, most);
  const ways = cacheWays(window, sinks, thresholds);
  const rows: RolledRow[] = [];
  const refused: string[] = [];
  let checked = 0;
  let evicted: Rolled['evicted'];
  try {
    for await (const event of follow(
      engine.run('rolling', { model, ids, ways, timed: true, memory, threads }, signal),
    )) {
      if (event.type === 'progress') {
        const share = event.done / event.of;
        const note = `block ${event.done + 1} of ${event.of}`;
        yield { phase: 'cache', done: event.from, of: ways.length, underWay: (event.to - event.from) * share, note };
        continue;
      }
      const name = ways[event.way]?.name ?? '';
      yield { phase: 'cache', done: event.way + 1, of: ways.length };
      if (event.why !== undefined) {
        refused.push(`${formatNumber(ids.length)} tokens cannot be run as “${name}”: ${event.why}.`);
        continue;
      }
      checked = event.checked;
      evicted ??= event.evicted;
      const losses = new Losses();
      losses.add(event.losses);
      rows.push({ name, ...losses.perplexity, bytes: event.bytes, perSecond: event.perSecond });
    }
  } catch (error) {
    if (!SinkscopeError.is(error, 'input') && !SinkscopeError.is(error, 'too-long')) throw error;
    refused.push(error.message);
  }
  return { tokens: ids.length, checked, evicted, rows, refused };
}

export const inKilobytes = (bytes: number): string => `${formatNumber(Math.round(bytes / 1024))} KB`;

/** What they say, in a sentence; nothing where it could not be run. Bytes and the other ways stand in the table. */
export function rolledConclusion({ tokens, rows }: Rolled, window: number): string | undefined {
  const of = (name: string) => rows.find((row) => row.name === name);
  const [all, cache] = [of('all'), of(rollingCache)];
  if (!cache) return undefined;
  const against = all ? `, with everything kept ${formatFixed(all.perplexity)}` : '';
  const four = of(`${rollingCache}, int4`);
  const spared = of(`${rollingCache}, int4 but the sinks`);
  const float = spared ? ` (${formatFixed(spared.perplexity)} with the sinks in float)` : '';
  const few = four ? `, in 4 bits ${formatFixed(four.perplexity)}${float}` : '';
  return `Over ${formatNumber(tokens)} tokens in one go, a rolling cache of ${window} has perplexity ${formatFixed(cache.perplexity)}${against}${few}.`;
}
