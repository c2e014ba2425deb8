/** One text as the tokens of one sequence, for experiments that score it or what comes after it. */
import { formatNumber } from '../../analysis/format.js';
import type { Engine } from '../../engine/host/engine.js';
import type { Setup } from '../experiment.js';
import { type Named, namedTokens } from './answers.js';
import { encode } from './text.js';

export interface PromptTokens {
  /** With the prefix. */
  readonly tokens: readonly Named[];
  readonly ids: readonly number[];
  /** Whether a prefix token stands before the text. */
  readonly bos: boolean;
  /** Tokens of the text that are left out, where it is too long and a part was chosen. */
  readonly left: number;
}

/**
 * @param options.part what is run of a text that is longer than the context; undefined: all, which is refused later
 * @throws SinkscopeError as {@link encode}
 */
export async function promptOf(
  engine: Engine,
  model: string,
  text: string,
  { bos, part, called }: { readonly called?: string } & Partial<Pick<Setup, 'bos' | 'part'>>,
  signal?: AbortSignal,
): Promise<PromptTokens> {
  const { ids, prefix } = await encode(engine, model, text, { bos, called, isPrompt: true }, signal);
  const { context = Number.POSITIVE_INFINITY } = (await engine.inspect(model, signal, { takes: 'text' })).model;
  const lead = prefix === undefined ? [] : [prefix];
  const room = part === undefined ? ids.length : Math.min(ids.length, context - lead.length);
  const own = part === 'last' ? ids.slice(ids.length - room) : ids.slice(0, room);
  const all = [...lead, ...own];
  return {
    tokens: await namedTokens(engine, model, all, signal),
    ids: all,
    bos: prefix !== undefined,
    left: ids.length - own.length,
  };
}

/** What was left out, in words; empty where nothing was. */
export const leftOfPrompt = ({ left }: Pick<PromptTokens, 'left'>): string[] =>
  left === 0 ? [] : [`The text is too long to be run at once: ${formatNumber(left)} of its tokens were left out.`];
