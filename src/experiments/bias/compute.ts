/** Implicit attention bias (arXiv:2402.17762), block by block. */
import type { Analysis } from '../../analysis/analysis.js';
import { formatFixed, formatShare } from '../../analysis/format.js';
import { massiveActivations } from '../../analysis/massive.js';
import { tokenName } from '../../analysis/summary.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { AnswerTo } from '../../engine/contract/questions.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import { mean } from '../../statistics/numbers.js';
import type { Run } from '../experiment.js';
import { ask, factsOf, type PromptRequest, type RunFacts, runPrompt } from '../shared/run.js';

export interface BiasRequest extends PromptRequest {
  /** The keys whose update is split off; undefined: the massive tokens, or what stands in for them. */
  readonly tokens?: readonly number[];
  readonly thresholds: Thresholds;
}

/** Why these keys: `first` where nothing is massive and there is no extra column. */
export type BiasReason = 'given' | 'massive' | 'extra' | 'first';

export interface BiasResult extends RunFacts {
  readonly thresholds: Thresholds;
  readonly reason: BiasReason;
  /** Tokens, or the columns that belong to none. */
  readonly chosen: readonly number[] | 'extra';
  /** What they are called. */
  readonly names: readonly string[];
  /** `layer` is k of the h_k that the block leaves. */
  readonly blocks: readonly (AnswerTo<'bias'> & { readonly layer: number })[];
}

/**
 * Splits every block's attention output into what the chosen keys add and the rest.
 *
 * @throws SinkscopeError where the prompt cannot be run, a token is not there, or no query comes after the last of them
 */
export async function* splitAttention(engine: Engine, request: BiasRequest, signal?: AbortSignal): Run<BiasResult> {
  const analysis = yield* runPrompt(engine, request, signal);
  const { chosen, reason } = chooseKeys(analysis, request);
  const layers = analysis.layers.length - 1;
  const blocks: (AnswerTo<'bias'> & { layer: number })[] = [];
  for (let layer = 1; layer <= layers; layer++) {
    if (!analysis.attention[layer - 1]) continue;
    blocks.push({ ...(await ask(engine, { type: 'bias', layer, tokens: chosen }, signal)), layer });
    yield { phase: 'asking', done: layer, of: layers };
  }
  if (blocks.length === 0) {
    throw new SinkscopeError({
      code: 'input',
      file: request.model,
      message: `${request.model} shows no attention pattern, so nothing can be said about attention biases.`,
    });
  }
  const names = chosen === 'extra' ? ['the extra column'] : chosen.map((token) => tokenName(analysis, token));
  return { ...factsOf(analysis), thresholds: request.thresholds, reason, chosen, names, blocks };
}

function chooseKeys(analysis: Analysis, { tokens, thresholds }: BiasRequest): Pick<BiasResult, 'chosen' | 'reason'> {
  if (tokens) return { chosen: [...new Set(tokens)].sort((a, b) => a - b), reason: 'given' };
  const massive = massiveActivations(analysis, thresholds).filter(({ kind }) => kind === 'massive');
  if (massive.length > 0) {
    const found = new Set(massive.map(({ token }) => token));
    return { chosen: [...found].sort((a, b) => a - b), reason: 'massive' };
  }
  if (analysis.attention.some((statistics) => statistics?.extra)) return { chosen: 'extra', reason: 'extra' };
  return { chosen: [0], reason: 'first' };
}

/** Cosine similarity that counts as one direction, and how far it must be above that of the rest to be more than that. */
const same = 0.9;
const apart = 0.3;

/** What the blocks say, in a sentence; that there is no such bias, where there is none. */
export function biasConclusion({ blocks, names, reason }: BiasResult): string {
  const updates = blocks.flatMap(({ projected, heads }) => projected ?? heads);
  const of = (part: 'chosen' | 'rest', measure: 'cosine' | 'norm') =>
    mean(updates.map((update) => update[part][measure]));
  const share = mean(blocks.flatMap(({ heads }) => heads.map((head) => head.share)));
  const [chosen, rest] = [of('chosen', 'cosine'), of('rest', 'cosine')];
  const who = names.length > 3 ? `the ${names.length} chosen tokens` : names.join(', ');
  const size = `${formatShare(share)} of the attention goes to ${who}, for an update ${formatShare(of('chosen', 'norm') / of('rest', 'norm'))} as long as the rest`;
  const likeness = `its mean cosine similarity between queries is ${formatFixed(chosen)}, that of the rest ${formatFixed(rest)}`;
  const none = reason === 'first' ? 'No token is massive, so the first one was taken. ' : '';
  return `${none}${size}; ${likeness}: ${verdict(share, chosen, rest)}.`;
}

function verdict(share: number, chosen: number, rest: number): string {
  if (share < 0.05) return 'too little attention for a bias';
  if (chosen - rest >= apart) {
    return chosen >= same
      ? 'every query gets nearly the same vector, a constant bias'
      : 'queries get much the same vector, which acts as a bias scaled by each head';
  }
  if (chosen >= same) return 'every query gets nearly the same vector, but from the rest as well, so it is no bias';
  return 'it changes with the query as the rest does, so it is no bias';
}
