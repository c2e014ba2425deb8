/** One prompt there and back: what a number depends on, as derivatives by hidden states, from the last layer to h_0. */
import { SinkscopeError } from '../../errors.js';
import { SafetensorsWriter } from '../../statistics/safetensors.js';
import type { GradientsRequest, Objective } from '../contract/gradients.js';
import type { EventOf } from '../contract/protocol.js';
import { countingAxis, fedInputs, makeFeeds } from '../inputs/feeds.js';
import type { Prompt } from '../inputs/prompt.js';
import { readPrompt } from '../inputs/read.js';
import { promptIds, rowsFed } from '../inputs/rows.js';
import { Backward, type Tracks, tracksFrom } from '../stages/backward.js';
import { isCausal } from '../stages/causal.js';
import { withoutHead } from '../stages/lacking.js';
import { entriesIn, largestProducts, sizesOf } from '../stages/makers.js';
import { blockWeights } from '../stages/weights.js';
import { type Layout, layoutOf, tokenRows } from '../tensors/layout.js';
import { floats, rowsOf, sliceRows, type Value } from '../tensors/value.js';
import { limitsOf, settingsOf, tokensRun, told } from './analyze.js';
import type { Current } from './current.js';
import { lossSeed, oneSeed, type Seed, squaresSeed } from './seeds.js';

/** A change by less than this, of a number itself, is what single precision makes of nothing. */
const rounded = 1e-5;

type Emit = (event: EventOf<'gradients'>) => Promise<void>;

/**
 * @param onPart called with the `tokenizer.json` before each part of a text is tokenised
 * @throws SinkscopeError `input` where the model has nothing that the derivative could be of, and as an analysis does
 */
export async function tellGradients(
  { loaded, runner, remark }: Pick<Current, 'loaded' | 'runner' | 'remark'>,
  request: GradientsRequest,
  emit: Emit,
  onPart?: (file: string) => void,
): Promise<void> {
  const { anatomy, predicts, file } = loaded;
  const { of, threads } = request;
  const limits = { ...limitsOf(loaded, request), onPart };
  const { save, ...asked } = request;
  const prompt = await readPrompt({ ...asked, attention: false }, limits, () => loaded.tokenizer());
  const ids = promptIds(prompt);
  checkObjective(of, { layers: anatomy.layers, predicts, file });
  await emit({
    type: 'started',
    model: told(loaded, prompt, remark),
    settings: settingsOf(prompt, threads),
    inputs: fedInputs(anatomy.inputs, prompt.given, prompt.fed, ids?.length),
  });
  const feeds = makeFeeds(anatomy.inputs, prompt.given, ids);
  const output = predicts ? anatomy.unembedding?.logits : anatomy.output;
  const end = of.kind === 'hidden' ? of.layer : anatomy.layers + 1;
  const weights = blockWeights(loaded);
  const back = new Backward(loaded, threads, of.kind === 'hidden' || !output ? [] : [output], end, {
    // What is massive is made by weights; a loss is by all of them.
    by: (block) => (of.kind === 'hidden' ? [...weights(block).keys()] : []),
  });
  const tracks = tracksFrom(feeds.values);
  const { lane } = tracks;
  const residual = (layer: number) => back.residual(layer);
  let layout: Layout | undefined;
  let writer: SafetensorsWriter | undefined;
  // The most that a number can change by with a state that is made a part larger or smaller, whatever the direction.
  let reach = 0;
  try {
    const results = new Map<string, Value>();
    const findLayout = async () => {
      const state = lane.values.get(anatomy.embedding);
      if (layout || !state) return;
      layout = layoutOf(state, {
        tokens: prompt.tokens?.length,
        unfilled: feeds.unfilled,
        positions: rowsFed(anatomy.rows, feeds.length, prompt.given),
        axis: countingAxis(anatomy, feeds, 'feeds' in request.prompt ? request.prompt.tokenAxis : undefined),
      });
      await emit(tokensRun(prompt, layout.tokens, loaded));
    };
    await findLayout();
    for await (const passed of back.there([tracks], of.kind === 'logit' ? of.token : undefined)) {
      await findLayout();
      const found = output === undefined ? undefined : passed.results.get(output);
      if (output !== undefined && found) results.set(output, found);
    }
    if (!layout) throw new Error('h_0 is not there');
    const { tokens, axis } = layout;
    const seed = await seedOf(of, {
      prompt,
      tokens,
      axis,
      output: output ?? '',
      residual,
      results,
      tracks,
      loaded,
    });
    tracks.adjoints.set(seed.value, seed.adjoint);
    await emit({
      type: 'objective',
      value: seed.of,
      scored: seed.scored,
      ...(of.kind === 'squares' && { output: seed.value }),
    });
    if (of.kind === 'loss' && ids && !(await isCausal(runner, ids)))
      await emit({
        type: 'remark',
        text: 'Every token of this model sees those after it, so the loss is not that of a prediction.',
      });
    if (save)
      writer = await SafetensorsWriter.create(
        save.file,
        Array.from({ length: anatomy.layers + 1 }, (_, layer) => `grad.hidden.${layer}`),
      );
    const tell = async (layer: number) => {
      const state = tracks.lane.values.get(residual(layer));
      const adjoint = tracks.adjoints.get(residual(layer));
      if (!state) return;
      // What nothing depends on has a derivative of 0.
      const whole = adjoint ?? { ...state, type: 1, data: new Float32Array(state.data.length) };
      const rows = sliceRows(tokenRows({ ...whole, dims: state.dims }, axis), 0, tokens);
      const values = floats(rows);
      const { dims } = rowsOf(rows);
      const own = floats(sliceRows(tokenRows(state, axis), 0, tokens));
      if (of.kind === 'squares') reach = Math.max(reach, lengthOf(values) * lengthOf(own));
      const stateNonFinite = own.reduce((count, one) => count + (Number.isFinite(one) ? 0 : 1), 0);
      const entry = of.kind === 'hidden' ? { entry: own[of.token * dims + of.dim] ?? Number.NaN } : {};
      await emit({ type: 'gradient', layer, ...normsOf(values, tokens, dims), stateNonFinite, ...entry });
      await writer?.append(`grad.hidden.${layer}`, [tokens, values.length / tokens], values);
    };
    await stepBack(back, tracks, anatomy.layers, Math.min(end, anatomy.layers), tell, weights, emit);
    if (of.kind === 'squares' && reach < rounded * Math.abs(seed.of))
      await emit({
        type: 'remark',
        text: 'Its output has the same length whatever it is computed from (it is normalised), so that what is shown is rounding; ask for the gradient of a hidden state (--of h:LAYER,TOKEN,DIM).',
      });
    for (const words of back.remarks(0)) await emit({ type: 'remark', text: `Of this model ${words}.` });
    await writer?.finish();
  } catch (error) {
    await writer?.abort();
    throw error;
  } finally {
    await back.release();
  }
}

/** Stage by stage from the last to h_0; ends where a stage cannot be gone through. */
async function stepBack(
  back: Backward,
  tracks: Tracks,
  layers: number,
  from: number,
  tell: (layer: number) => Promise<void>,
  weights: ReturnType<typeof blockWeights>,
  emit: Emit,
): Promise<void> {
  let layer = from;
  for (const stage of back.stages.toReversed()) {
    if (stage.first < 1) continue;
    if (stage.last <= layers) {
      for (; layer >= stage.last; layer--) await tell(layer);
    }
    const sizes = sizesOf(back, stage, tracks);
    const { why, reduced } = await back.back(stage, tracks, false, sizes.size > 0 ? largestProducts(sizes) : undefined);
    const entries = entriesIn(reduced, weights(stage.last), (weight) => back.shape(stage, tracks, weight));
    if (entries.length > 0) await emit({ type: 'makers', layer: stage.last, entries });
    if (why !== undefined) {
      await emit({ type: 'blocked', layer: Math.min(stage.last, layers + 1), why });
      return;
    }
  }
  for (; layer >= 0; layer--) await tell(layer);
}

/** @throws SinkscopeError `input` where the model has no such thing */
function checkObjective(
  of: Objective,
  { layers, predicts, file }: { readonly layers: number; readonly predicts: boolean; readonly file: string },
): void {
  if ((of.kind === 'loss' || of.kind === 'logit') && !predicts)
    throw withoutHead(
      file,
      `there is no ${of.kind === 'loss' ? 'loss' : 'logit of a token'}; ask for the gradient of a hidden state (--of h:LAYER,TOKEN,DIM) or of the sum of squares of its output (--of squares)`,
    );
  if (of.kind === 'hidden' && of.layer > layers)
    throw new SinkscopeError({
      code: 'input',
      file,
      message: `There is no layer ${of.layer}: the model has h_0 to h_${layers}.`,
    });
}

interface Ends {
  readonly prompt: Prompt;
  readonly tokens: number;
  readonly axis: number | undefined;
  readonly output: string;
  readonly residual: (layer: number) => string;
  readonly results: ReadonlyMap<string, Value>;
  readonly tracks: Tracks;
  readonly loaded: Current['loaded'];
}

async function seedOf(of: Objective, ends: Ends): Promise<Seed> {
  const { prompt, tokens, axis, output, residual, results, tracks, loaded } = ends;
  const { lane, narrowed } = tracks;
  if (of.kind === 'hidden') {
    const state = lane.values.get(residual(of.layer));
    if (!state) throw new Error('the state is not there');
    return oneSeed(residual(of.layer), state, { ...of, first: 0, tokens, axis });
  }
  const value = results.get(output) ?? lane.values.get(output);
  if (!value) throw new Error(`the output "${output}" is not there`);
  if (of.kind === 'squares') return squaresSeed(output, value);
  const last = lane.values.get(residual(loaded.anatomy.layers));
  const rows = last ? rowsOf(last).tokens : tokens;
  const from = loaded.anatomy.headRows?.from ?? rows - rowsOf(value).tokens;
  if (of.kind === 'logit')
    return oneSeed(output, value, {
      token: of.token,
      dim: of.id,
      first: narrowed?.row ?? from,
      tokens: rowsOf(value).tokens,
      axis: undefined,
    });
  const prefix = prompt.bos ? (loaded.tokenizer()?.bos?.ids.length ?? 1) : 0;
  return lossSeed(
    output,
    value,
    (prompt.tokens ?? []).map(({ id }) => id),
    Math.max(1, prefix),
    from,
  );
}

function lengthOf(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}

function normsOf(values: Float32Array, tokens: number, dims: number) {
  const norms = new Float32Array(tokens);
  let nonFinite = 0;
  for (let token = 0; token < tokens; token++) {
    let sum = 0;
    for (let dim = 0; dim < dims; dim++) {
      const value = values[token * dims + dim] ?? 0;
      if (!Number.isFinite(value)) nonFinite++;
      sum += value * value;
    }
    norms[token] = Math.sqrt(sum);
  }
  return { norms, nonFinite };
}
