/** What a number of a run depends on: its derivative by every hidden state, from the last layer back to h_0. */
import { resolve } from 'node:path';
import { type Analysis, emptyAnalysis, fold } from '../../analysis/analysis.js';
import { formatNumber, formatShare, formatValue } from '../../analysis/format.js';
import { quotedLabel } from '../../analysis/label.js';
import type { Objective, WeightEntry } from '../../engine/contract/gradients.js';
import type { RequestOf } from '../../engine/contract/protocol.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import { quoted } from '../../visible.js';
import type { Run } from '../experiment.js';
import { factsOf, type PromptRequest, type RunFacts } from '../shared/run.js';
import { follow } from '../shared/text.js';

export interface GradientsResult extends RunFacts {
  readonly of: Objective;
  /** What the derivative is taken of; a loss in nats. */
  readonly value: number;
  /** Tokens that the loss is the mean of; undefined for anything else. */
  readonly scored: number | undefined;
  /** Of squares: the output that is squared, as the file names it. */
  readonly output: string | undefined;
  /** By layer k of h_k, as far as there are any: L2 norms of the derivative, by token. */
  readonly norms: readonly (readonly number[] | undefined)[];
  /** The largest k where entries of the gradient are no finite numbers, and the smallest where those of h_k are none. */
  readonly notFinite: number | undefined;
  readonly stateNotFinite: number | undefined;
  /** Why there is nothing before a layer. */
  readonly blocked: { readonly layer: number; readonly why: string } | undefined;
  readonly remarks: readonly string[];
  /** Of an entry of a hidden state: by layer k what it is in h_k, as far as there is any; empty for anything else. */
  readonly path: readonly (number | undefined)[];
  /** And the entries of weights that make it, of the largest |w · ∂h/∂w| first. */
  readonly entries: readonly (WeightEntry & { readonly layer: number })[];
}

/** Of all weights together. */
const shownEntries = 8;

export interface GradientsAsked extends Omit<PromptRequest, 'window'>, Pick<RequestOf<'gradients'>, 'window'> {
  readonly of: Objective;
  /** Where the derivatives themselves are written. */
  readonly save: string | undefined;
}

const forms: readonly [RegExp, (numbers: readonly number[]) => Objective][] = [
  [/^loss$/, () => ({ kind: 'loss' })],
  [/^squares$/, () => ({ kind: 'squares' })],
  [/^logit:(\d+)@(\d+)$/, ([id = 0, token = 0]) => ({ kind: 'logit', id, token })],
  [/^h:(\d+),(\d+),(\d+)$/, ([layer = 0, token = 0, dim = 0]) => ({ kind: 'hidden', layer, token, dim })],
];

/** What those forms are, for an input. */
export const objectivePattern = {
  source: String.raw`loss|squares|logit:\d{1,9}@\d{1,9}|h:\d{1,9},\d{1,9},\d{1,9}`,
  wanted: 'It is loss, logit:ID@TOKEN, h:LAYER,TOKEN,DIM or squares, as in h:3,0,507.',
};

/** @throws SinkscopeError `input` for words that are none of the forms */
export function objectiveOf(words: string): Objective {
  for (const [form, make] of forms) {
    const found = form.exec(words.trim());
    if (found) return make(found.slice(1).map(Number));
  }
  throw new SinkscopeError({ code: 'input', message: objectivePattern.wanted });
}

export function objectiveName(of: Objective): string {
  switch (of.kind) {
    case 'loss':
      return 'loss';
    case 'squares':
      return 'squares';
    case 'logit':
      return `logit:${of.id}@${of.token}`;
    case 'hidden':
      return `h:${of.layer},${of.token},${of.dim}`;
  }
}

/** @throws SinkscopeError as the run does, and `input` where the model has nothing that the derivative could be of */
export async function* takeGradients(
  engine: Engine,
  { save, bos, ...asked }: GradientsAsked,
  signal?: AbortSignal,
): Run<GradientsResult> {
  let analysis: Analysis = emptyAnalysis;
  let value = Number.NaN;
  let scored: number | undefined;
  let output: string | undefined;
  let blocked: GradientsResult['blocked'];
  let notFinite: number | undefined;
  let stateNotFinite: number | undefined;
  const norms: number[][] = [];
  const remarks: string[] = [];
  const path: number[] = [];
  const entries: (WeightEntry & { readonly layer: number })[] = [];
  const file = save === undefined ? undefined : { file: resolve(save) };
  yield { phase: 'forward', done: 0, of: 1 };
  const events = engine.run(
    'gradients',
    { ...asked, ...(bos !== undefined && { bos }), ...(file && { save: file }) },
    signal,
  );
  for await (const event of follow(events)) {
    const layers = analysis.started?.model.layers ?? 1;
    switch (event.type) {
      case 'started':
      case 'tokens':
        analysis = fold(analysis, event);
        break;
      case 'objective':
        ({ value, scored, output } = event);
        break;
      case 'gradient':
        norms[event.layer] = [...event.norms];
        // The last layer comes first.
        if (event.stateNonFinite > 0) stateNotFinite = event.layer;
        if (event.entry !== undefined) path[event.layer] = event.entry;
        if (event.nonFinite > 0) notFinite = Math.max(notFinite ?? 0, event.layer);
        yield { phase: 'layer', done: layers - event.layer, of: layers };
        break;
      case 'makers':
        for (const entry of event.entries) entries.push({ ...entry, layer: event.layer });
        break;
      case 'blocked':
        blocked = { layer: event.layer, why: event.why };
        break;
      case 'remark':
        remarks.push(event.text);
        break;
    }
  }
  const layers = analysis.started?.model.layers ?? 0;
  return {
    ...factsOf(analysis),
    of: asked.of,
    value,
    scored,
    output,
    norms: Array.from({ length: layers + 1 }, (_, layer) => norms[layer]),
    notFinite,
    stateNotFinite,
    blocked,
    remarks,
    path: asked.of.kind === 'hidden' ? Array.from({ length: asked.of.layer + 1 }, (_, layer) => path[layer]) : [],
    entries: entries.toSorted((a, b) => Math.abs(b.product) - Math.abs(a.product)).slice(0, shownEntries),
  };
}

/** Which block makes most of an entry, and which entry of its weights. */
function madeInWords({ path, entries }: GradientsResult): string {
  const steps = path.flatMap((value, layer) => {
    const before = path[layer - 1];
    return value === undefined || before === undefined ? [] : [{ layer, step: value - before }];
  });
  const [most] = steps.toSorted((a, b) => Math.abs(b.step) - Math.abs(a.step));
  const [first] = entries;
  const block = most ? ` Block ${most.layer} adds most to it, ${formatValue(most.step)}.` : '';
  return first
    ? `${block} The weight that makes most of it is (${first.row}, ${first.column}) of ${productName(first.part)} in block ${first.layer}, ${formatValue(first.value)}: weight × derivative is ${formatValue(first.product)}.`
    : block;
}

/** What a product is to its block, in words. */
export const productName = (part: string): string =>
  ({
    attn_in: 'what queries, keys and values are made by',
    attn_out: 'the attention’s output projection',
    mlp_in: 'the MLP’s first products',
    mlp_out: 'the MLP’s last product',
  })[part] ?? part;

/** What the derivative is of, as the beginning of a sentence. */
function subject({ of, value, scored, output, stream }: GradientsResult): string {
  const where = stream === undefined ? '' : ` of the stream ${quoted(stream)}`;
  switch (of.kind) {
    case 'loss':
      return `The loss${where} is ${formatNumber(value)} nats, the mean of ${scored ?? 0} tokens`;
    case 'squares':
      return `The sum of squares of the output${output ? ` ${quoted(output)}` : ''}${where} is ${formatNumber(value)}`;
    case 'logit':
      return `The logit of token id ${of.id} after token ${of.token}${where} is ${formatNumber(value)}`;
    case 'hidden':
      return `Dim ${of.dim} of token ${of.token} at h_${of.layer}${where} is ${formatNumber(value)}`;
  }
}

/** Where it comes from, in a sentence; where that ends. */
export function gradientsConclusion(result: GradientsResult): string {
  const { norms, sequence, notFinite, stateNotFinite, blocked, value } = result;
  const beginning = subject(result);
  if (!Number.isFinite(value)) {
    const from =
      stateNotFinite === undefined
        ? 'the output head is the first to give such'
        : `h_${stateNotFinite} is the first state with such entries`;
    return `${beginning}, no finite number, and neither is its gradient: on the way there ${from}.`;
  }
  if (notFinite !== undefined)
    return `${beginning}; its gradient is no finite number from h_${notFinite} on, on the way back to h_0: it begins in ${notFinite === norms.length - 1 ? 'the output head' : `block ${notFinite + 1}`}.`;
  const first = norms.findIndex((row) => row !== undefined);
  const row = norms[first];
  const rest = blocked ? ` ${blockedInWords(blocked)}` : '';
  if (!row) return `${beginning}.${rest}`;
  const total = row.reduce((sum, norm) => sum + norm ** 2, 0);
  const most = row.reduce((best, norm, token) => (norm > (row[best] ?? 0) ? token : best), 0);
  const token = sequence[most];
  if (!(total > 0)) return `${beginning}, and depends on no token of h_${first}.${rest}`;
  const share = (row[most] ?? 0) ** 2 / total;
  return `${beginning}; at h_${first} it depends most on token ${most}${token ? `, ${quotedLabel(token)}` : ''}, which has ${formatShare(share)} of its gradient’s square.${madeInWords(result)}${rest}`;
}

/** That the way back ends. */
export const blockedInWords = ({ layer, why }: NonNullable<GradientsResult['blocked']>): string =>
  `There are no gradients before h_${layer}: ${why}.`;
