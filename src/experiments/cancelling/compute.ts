/** What makes one entry of the residual stream, and what takes it away again: every block's attention and MLP. */
import { formatShare, formatValue } from '../../analysis/format.js';
import { quotedLabel } from '../../analysis/label.js';
import type { AnswerTo } from '../../engine/contract/questions.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import type { HiddenStatistics } from '../../statistics/statistics.js';
import type { Run } from '../experiment.js';
import { ask, factsOf, type PromptRequest, type RunFacts, runPrompt } from '../shared/run.js';

export interface CancellingRequest extends PromptRequest {
  /** Undefined: those of the largest magnitude of all layers, or of all that the other one leaves. */
  readonly token: number | undefined;
  readonly dim: number | undefined;
}

export interface CancellingResult extends RunFacts {
  readonly token: number;
  readonly dim: number;
  /** The entry of h_0 … h_L. */
  readonly hidden: readonly number[];
  readonly parts: AnswerTo<'contributions'>['parts'];
}

/** @throws SinkscopeError as the run does; `input` where there is no such token or dim, or the stream is kept in copies */
export async function* findCancelling(
  engine: Engine,
  request: CancellingRequest,
  signal?: AbortSignal,
): Run<CancellingResult> {
  const analysis = yield* runPrompt(engine, request, signal);
  const { token, dim } = largest(analysis.layers, request);
  yield { phase: 'asking', done: 0, of: 1 };
  const { hidden, parts } = await ask(engine, { type: 'contributions', token, dim }, signal);
  return { ...factsOf(analysis), token, dim, hidden: [...hidden], parts };
}

/** The entry of largest magnitude over all layers among those that are asked for. */
function largest(layers: readonly HiddenStatistics[], { token, dim }: Pick<CancellingRequest, 'token' | 'dim'>) {
  if (token !== undefined && dim !== undefined) return { token, dim };
  const candidates = layers.flatMap(({ top, tokenMax, tokenMaxDim }) =>
    token === undefined
      ? top.filter((entry) => dim === undefined || entry.dim === dim)
      : [{ token, dim: tokenMaxDim[token] ?? 0, value: tokenMax[token] ?? Number.NaN }],
  );
  const [best] = candidates.toSorted((a, b) => Math.abs(b.value) - Math.abs(a.value));
  if (best) return best;
  throw new SinkscopeError({
    code: 'input',
    message: `Dim ${dim} is among the sixteen largest entries of no layer, so no token stands out in it; give --token as well.`,
  });
}

/** The layer where the entry is largest. */
export const layerOfPeak = ({ hidden }: Pick<CancellingResult, 'hidden'>): number =>
  hidden.reduce((best, value, layer) => (Math.abs(value) > Math.abs(hidden[best] ?? 0) ? layer : best), 0);

const partInWords = ({ part, block }: CancellingResult['parts'][number]) =>
  part === 'block' ? `block ${block}` : `the ${part === 'mlp' ? 'MLP' : 'attention'} of block ${block}`;

/** What makes it, and what of it is taken away after it is largest, in a sentence; that nothing is, where nothing is. */
export function cancellingConclusion(result: CancellingResult): string {
  const { token, dim, hidden, parts, sequence } = result;
  const peak = layerOfPeak(result);
  const [value = Number.NaN, end = Number.NaN] = [hidden[peak], hidden.at(-1)];
  const sign = Math.sign(value);
  const label = sequence[token];
  const made = parts.filter(({ block }) => block <= peak).toSorted((a, b) => sign * (b.added - a.added))[0];
  const beginning = `Dim ${dim} of token ${token}${label ? `, ${quotedLabel(label)},` : ''} is largest at h_${peak}, ${formatValue(value)}`;
  const maker =
    made && sign * made.added > 0 ? `; ${partInWords(made)} adds most to it, ${formatValue(made.added)}` : '';
  const against = parts.filter(({ block, added }) => block > peak && sign * added < 0);
  const taken = against.reduce((sum, { added }) => sum + added, 0);
  const [first] = against.toSorted((a, b) => sign * (a.added - b.added));
  const share = Math.abs(taken / value);
  if (!first || share < 0.05)
    return `${beginning}${maker}. Nothing cancels it: it is ${formatValue(end)} at h_${hidden.length - 1}, and what is added after its peak takes away ${formatShare(share)} of it.`;
  const by = first.made?.entries[0];
  const weight = by
    ? `, most by entry ${by.column} of what its last product reads (${formatValue(by.read)} × ${formatValue(by.value)})`
    : '';
  return `${beginning}${maker}. What comes after takes away ${formatShare(share)} of it: ${partInWords(first)} most, ${formatValue(first.added)}${weight}; at h_${hidden.length - 1} it is ${formatValue(end)}.`;
}
