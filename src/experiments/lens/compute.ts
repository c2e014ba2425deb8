/** Logit lens at every residual point and token, and direct logit attribution. */
import { formatFixed, formatNumber } from '../../analysis/format.js';
import type { AnswerTo } from '../../engine/contract/questions.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import type { Run } from '../experiment.js';
import { ask, factsOf, type PromptRequest, type RunFacts, runPrompt } from '../shared/run.js';

export interface LensRequest extends PromptRequest {
  /** Predictions of each token. */
  readonly top: number;
  /** Also between attention and MLP of the blocks that have such a point. */
  readonly mid?: boolean;
  /** Whose next-token logit is split; undefined: of the last token. */
  readonly token?: number;
  /** Id of the predicted token whose logit it is, or its text; undefined: the most likely. */
  readonly target?: number | string;
}

/** What final norm and unembedding make of one residual point. */
export interface LensPoint extends AnswerTo<'lens'> {
  readonly layer: number;
  readonly point: 'resid_post' | 'resid_mid';
}

export interface LensResult extends RunFacts {
  readonly top: number;
  /** In the order of the model: h_0, then of each block resid_mid (where asked for) and resid_post. */
  readonly points: readonly LensPoint[];
  /** Or why the logit cannot be split, in words. */
  readonly attribution: AnswerTo<'attribution'> | string;
}

/** As people give a target: digits are an id, anything else is the token's text. */
export function targetOf(given: string): number | string {
  return /^\d{1,9}$/.test(given) ? Number(given) : given;
}

/** @throws SinkscopeError where the prompt cannot be run, the model predicts no tokens, or the target is not one token */
export async function* lookThrough(engine: Engine, request: LensRequest, signal?: AbortSignal): Run<LensResult> {
  const target = await idOf(engine, request, signal);
  const analysis = yield* runPrompt(engine, request, signal);
  const facts = factsOf(analysis);
  const { top } = request;
  const attribution = await attributionOf(engine, { ...request, target }, facts.tokens - 1, signal);
  const layers = analysis.layers.length - 1;
  const { blocks } = (await engine.inspect(request.model, signal, { takes: 'text' })).anatomy;
  const points: LensPoint[] = [];
  for (let layer = 0; layer <= layers; layer++) {
    const hasMid = request.mid && blocks[layer - 1]?.residMid !== undefined;
    for (const point of hasMid ? (['resid_mid', 'resid_post'] as const) : (['resid_post'] as const)) {
      points.push({ layer, point, ...(await ask(engine, { type: 'lens', layer, point, top }, signal)) });
    }
    yield { phase: 'asking', done: layer, of: layers };
  }
  return { ...facts, top, points, attribution };
}

async function idOf(
  engine: Engine,
  { model, target }: LensRequest,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  if (typeof target !== 'string') return target;
  const { ids } = await engine.encode(model, target, { bos: false, signal });
  if (ids.length === 1) return ids[0];
  throw new SinkscopeError({
    code: 'input',
    message: `${JSON.stringify(target)} is ${ids.length} tokens of this model, not one; give one token, with the space before it that it may have, or its id.`,
  });
}

/** What cannot be split is said beside the lens, unless somebody asked for this very token or logit. */
async function attributionOf(
  engine: Engine,
  { token, target }: { readonly token?: number; readonly target?: number },
  last: number,
  signal: AbortSignal | undefined,
): Promise<AnswerTo<'attribution'> | string> {
  try {
    return await ask(engine, { type: 'attribution', token: token ?? last, target }, signal);
  } catch (error) {
    if (!SinkscopeError.is(error, 'input') || (token ?? target) !== undefined) throw error;
    return error.message;
  }
}

/** By token, the first layer from which on the most likely next token is the model's final one. */
export function decidedAt({ points }: Pick<LensResult, 'points'>): number[] {
  const posts = points.filter(({ point }) => point === 'resid_post');
  const last = posts.at(-1);
  return (last?.rows ?? []).map(([final], token) => {
    let layer = last?.layer ?? 0;
    for (const { layer: k, rows } of posts.toReversed()) {
      if (rows[token]?.[0]?.id !== final?.id) break;
      layer = k;
    }
    return layer;
  });
}

/** The part of the model as people say it. */
export function partName({ part, block }: AnswerTo<'attribution'>['parts'][number]): string {
  const names = { embedding: 'embedding', bias: 'biases', rest: 'what is not linear' };
  return part === 'attention' || part === 'mlp' || part === 'block'
    ? `${{ attention: 'attention', mlp: 'MLP', block: 'attention and MLP' }[part]} of block ${block}`
    : names[part];
}

/** What lens and attribution say, in a sentence. */
export function lensConclusion(result: LensResult): string {
  const decided = decidedAt(result);
  const layers = result.points.at(-1)?.layer ?? 0;
  const half = decided.toSorted((a, b) => a - b)[(decided.length - 1) >> 1] ?? 0;
  const { attribution } = result;
  const lateness = half > layers / 2 ? 'most is decided late' : 'most is decided early';
  const decision = `Half of the ${formatNumber(decided.length)} tokens have their final prediction from layer ${half} of ${layers} on: ${lateness}.`;
  if (typeof attribution === 'string') return `${decision} ${attribution}`;
  const { target, logit, token } = attribution;
  const most = attribution.parts.reduce((best, part) => (part.logit > best.logit ? part : best));
  const share = `${formatFixed(most.logit)} of ${formatFixed(logit)}`;
  return `${decision} After token ${token}, ${partName(most)} adds most to the logit of ${JSON.stringify(target.text)}: ${share}.`;
}
