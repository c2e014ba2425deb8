/** A closer look at a run: what its statistics say, and what the engine is asked for besides. */

import type { Analysis } from '../analysis/analysis.js';
import { headParts, layerParts, predictedPart, tokenParts } from '../analysis/explain.js';
import type { Part } from '../analysis/presentation.js';
import { tokenName } from '../analysis/summary.js';
import type { Thresholds } from '../analysis/thresholds.js';
import type { Engine } from '../engine/host/engine.js';
import { SinkscopeError } from '../errors.js';
import type { Progress } from '../experiments/experiment.js';
import { ask } from '../experiments/shared/run.js';

/** Where to look: at least one of a token and a layer; a head is one of the layer's. */
export interface Look {
  readonly token: number | undefined;
  readonly layer: number | undefined;
  readonly head: number | undefined;
}

/** As a tool and a subcommand take them. */
export const lookInputs = {
  token: index('Token', '--token <index>', 'index of a token of the run, from 0'),
  layer: index('Layer', '--layer <k>', 'k of h_k: 0 is the embedding, k what block k leaves'),
  head: index('Head', '--head <index>', 'a head of block k, from 0; needs a layer'),
} as const;

function index<const F extends string>(label: string, flag: F, help: string) {
  return { kind: 'whole', label, flag, help, least: 0, open: 'none' } as const;
}

/** A run that was made, and whom to ask about it. */
export interface LookedInto {
  readonly engine: Engine;
  readonly analysis: Analysis;
  readonly thresholds: Thresholds;
  /** Has the engine answer about this run, and no later one. */
  ready(): AsyncGenerator<Progress, void, void>;
}

export interface Explanation {
  readonly sentence: string;
  readonly parts: readonly Part[];
}

/** @throws SinkscopeError `input` where there is nothing to look at, or no such token, layer or head */
export async function* explained(
  { engine, analysis, thresholds, ready }: LookedInto,
  look: Look,
  signal: AbortSignal,
): AsyncGenerator<Progress, Explanation, void> {
  const { token, layer, head } = checked(analysis, look);
  const asks = head !== undefined || (token !== undefined && analysis.predictions !== undefined);
  if (asks) yield* ready();
  const ofLayer = async (): Promise<readonly Part[]> => {
    if (layer === undefined) return [];
    if (head === undefined) return layerParts(analysis, layer, thresholds);
    const pattern = await ask(engine, { type: 'pattern', layer, head }, signal);
    return headParts(analysis, { layer, head, query: token }, pattern);
  };
  const ofToken = async (): Promise<readonly Part[]> => {
    if (token === undefined) return [];
    const known = tokenParts(analysis, token, thresholds);
    // A model without an output head over a vocabulary says nothing about what comes next.
    if (!analysis.predictions) return known;
    return [...known, predictedPart(analysis, await ask(engine, { type: 'predictions', token }, signal))];
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

function checked(analysis: Analysis, look: Look): Look {
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
