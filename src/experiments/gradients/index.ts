import { resolve } from 'node:path';
import { SinkscopeError } from '../../errors.js';
import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { promptJson, runJson } from '../shared/json.js';
import type { NamedText } from '../values.js';
import { objectiveName, objectiveOf, objectivePattern, takeGradients } from './compute.js';
import { presentGradients } from './present.js';

interface Given {
  readonly text: NamedText | undefined;
  readonly ids: readonly number[] | undefined;
  readonly feeds: string | undefined;
}

/** What is run: tensors or ids where they are given, else the text. */
function promptOf({ text, ids, feeds }: Given) {
  if (feeds !== undefined) return { feeds: resolve(feeds) };
  if (ids !== undefined) return { ids };
  if (text !== undefined) return { text: text.text };
  throw new SinkscopeError({
    code: 'input',
    message: 'There is nothing to run: give a text (--text, --file), token ids (--ids) or tensors (--feeds).',
  });
}

const nameOf = ({ text, ids, feeds }: Given): string => feeds ?? (ids ? `ids ${ids.join(',')}` : (text?.name ?? ''));

export const gradients = define({
  id: 'gradients',
  title: 'Gradients',
  about: 'inside',
  command: 'Gradients of Hidden States',
  description: 'On which hidden states of which tokens the loss, a logit or a massive activation depends.',
  help: 'take the gradient of the loss, a logit or an activation by every hidden state',
  inputs: {
    model: shared.model,
    text: { ...shared.prompt, open: 'ids or tensors' },
    ids: {
      kind: 'indices',
      label: 'Token ids',
      flag: '--ids <ids>',
      help: 'token ids in place of a text, as in 1,2,3',
      words: [],
      open: 'those of the text',
    },
    feeds: {
      kind: 'words',
      label: 'Tensors',
      flag: '--feeds <path>',
      help: 'a .safetensors or .npz file in place of a text, with tensors by input name',
      reads: true,
      open: 'the text',
    },
    of: {
      kind: 'words',
      label: 'Gradient of',
      flag: '--of <what>',
      help: 'what the gradient is of: loss, logit:ID@TOKEN, h:LAYER,TOKEN,DIM, or squares (the sum of squares of the output, for models without a head)',
      default: 'loss',
      pattern: objectivePattern,
    },
    save: {
      kind: 'words',
      label: 'Save gradients as',
      flag: '--save <path>',
      help: 'write grad.hidden.k [T, D] as safetensors',
      writes: true,
      open: 'nothing is written',
    },
  },
  run({ engine, bos, part, memory, threads }, values, signal) {
    const { model, save } = values;
    const of = objectiveOf(values.of);
    return takeGradients(
      engine,
      { model, prompt: promptOf(values), bos, window: part, of, save, memory, threads },
      signal,
    );
  },
  present: (result, values) => presentGradients(result, nameOf(values)),
  json(result, { text, ids, feeds, of }) {
    const { value, scored, output, norms, notFinite, blocked } = result;
    const isText = ids === undefined && feeds === undefined;
    return {
      ...runJson(result),
      ...(isText && text ? promptJson(text) : { file: feeds ?? null, text: null }),
      of: objectiveName(result.of),
      /** Mean over the scored tokens, in nats; null where the gradient is of something else, which is `value`. */
      loss: result.of.kind === 'loss' ? value : null,
      value: objectiveOf(of).kind === 'loss' ? null : value,
      scored: scored ?? null,
      /** Of squares: the output that is squared. */
      ...(output !== undefined && { output }),
      /** `norm[k][t]`; null for layers that could not be reached. */
      norm: norms.map((row) => row ?? null),
      /** On the way back, the layer where entries are no finite numbers first. */
      not_finite: notFinite ?? null,
      /** On the way there, the first k whose h_k has such entries. */
      state_not_finite: result.stateNotFinite ?? null,
      blocked: blocked ?? null,
      /** `path[k]`: the entry in h_k. */
      path: result.path.map((value) => value ?? null),
      entries: result.entries,
    };
  },
});
