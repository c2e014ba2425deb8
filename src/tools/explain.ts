/** A closer look at a run: what its statistics say, and what the engine is asked for besides. */
import { headParts, layerParts, predictedPart, tokenParts } from '../analysis/explain.js';
import type { Part } from '../analysis/presentation.js';
import { tokenName } from '../analysis/summary.js';
import { SinkscopeError } from '../errors.js';
import type { Progress } from '../experiments/experiment.js';
import { ask, runPrompt } from '../experiments/shared/run.js';
import type { Analysed, Desk } from './desk.js';

/** Where to look: at least one of a token and a layer; a head is one of the layer's. */
export interface Look {
  readonly token: number | undefined;
  readonly layer: number | undefined;
  readonly head: number | undefined;
}

/** @throws SinkscopeError `input` where there is nothing to look at, or no such token, layer or head */
export async function* explained(
  desk: Desk,
  analysed: Analysed,
  look: Look,
  signal: AbortSignal,
): AsyncGenerator<Progress, { readonly sentence: string; readonly parts: readonly Part[] }, void> {
  const { analysis } = analysed;
  const { token, layer, head } = checked(analysed, look);
  const { thresholds } = desk.around.setup();
  const asks = head !== undefined || (token !== undefined && analysis.predictions !== undefined);
  if (asks) yield* readied(desk, analysed, signal);
  const ofLayer = async (): Promise<readonly Part[]> => {
    if (layer === undefined) return [];
    if (head === undefined) return layerParts(analysis, layer, thresholds);
    const pattern = await ask(desk.engine, { type: 'pattern', layer, head }, signal);
    return headParts(analysis, { layer, head, query: token }, pattern);
  };
  const ofToken = async (): Promise<readonly Part[]> => {
    if (token === undefined) return [];
    const known = tokenParts(analysis, token, thresholds);
    // A model without an output head over a vocabulary says nothing about what comes next.
    if (!analysis.predictions) return known;
    return [...known, predictedPart(analysis, await ask(desk.engine, { type: 'predictions', token }, signal))];
  };
  const named = [
    ...(layer === undefined ? [] : [head === undefined ? `h_${layer}` : `head ${head} of block ${layer}`]),
    ...(token === undefined ? [] : [tokenName(analysis, token)]),
  ];
  return {
    sentence: `What is known of ${named.join(' and of ')}.`,
    parts: [...(await ofLayer()), ...(await ofToken())],
  };
}

/** Has the engine answer about this run: it is run again where another one was since. */
async function* readied(desk: Desk, analysed: Analysed, signal: AbortSignal): AsyncGenerator<Progress, void, void> {
  if (desk.isAnswering(analysed)) return;
  yield* runPrompt(desk.engine, analysed.request, signal);
  desk.answers(analysed);
}

function checked({ analysis }: Analysed, look: Look): Look {
  const { token, layer, head } = look;
  const fail = (message: string) => new SinkscopeError({ code: 'input', message });
  const tokens = analysis.tokens?.tokens.length ?? 0;
  const layers = analysis.layers.length;
  if (token === undefined && layer === undefined) throw fail('Give a token, a layer, or a layer with a head.');
  if (head !== undefined && layer === undefined) throw fail('A head is one of a layer; give the layer as well.');
  if (token !== undefined && token >= tokens)
    throw fail(`There is no token ${token}: the run has tokens 0 to ${tokens - 1}.`);
  if (layer !== undefined && layer >= layers)
    throw fail(`There is no layer ${layer}: the run has layers 0 to ${layers - 1}.`);
  const heads = analysis.attention[(layer ?? 0) - 1]?.heads ?? 0;
  if (head === undefined) return look;
  if (heads === 0) throw fail(`Layer ${layer} has no attention pattern that is known.`);
  if (head >= heads) throw fail(`There is no head ${head}: layer ${layer} has heads 0 to ${heads - 1}.`);
  return look;
}
