import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { fileOf, promptJson } from '../shared/json.js';
import { activationFindings, measureActivation, thresholds } from './compute.js';
import { levelName, presentActivation } from './present.js';

export const activation = define({
  id: 'activation',
  title: 'Activation level of parameters',
  about: 'inside',
  command: 'Activation Level of Parameters',
  description:
    'How many parameters of each block matter for the prediction, and whether they are the same on another text.',
  help: 'measure how much the parameters of each block matter for the prediction',
  inputs: {
    model: shared.model,
    text: shared.prompt,
    sequences: {
      kind: 'whole',
      label: 'Sequences',
      flag: '--sequences <N>',
      help: 'how many sequences of the text at most',
      unit: 'sequences',
      least: 1,
      default: 64,
    },
    length: {
      kind: 'whole',
      label: 'Length (tokens)',
      flag: '--length <tokens>',
      help: 'tokens of a sequence, prefix included',
      unit: 'tokens',
      least: 2,
      default: 256,
    },
    against: {
      kind: 'text',
      label: 'Other text',
      flag: '--against <path>',
      help: 'another such file, to compare with',
      open: 'nothing is compared',
    },
    prune: {
      kind: 'number',
      label: 'Prune (share)',
      flag: '--prune <share>',
      help: 'also set this share of the parameters to 0, the smallest of each matrix: by the sparsity of blocks, and in all alike',
      least: 0.001,
      most: 0.999,
      open: 'nothing is pruned',
    },
  },
  run({ engine, bos, memory, threads }, { model, text, against, sequences, length, prune }, signal) {
    return measureActivation(
      engine,
      { model, text: text.text, against: against?.text, sequences, length, prune, bos, memory, threads },
      signal,
    );
  },
  present: presentActivation,
  json(result, { text, against }) {
    const { model, sequences, length, prefix, blocks, ended, pruning } = result;
    return {
      model,
      ...promptJson(text),
      sequences,
      length,
      prefix: prefix ?? null,
      against: against ? { file: fileOf(against), sequences: result.against ?? 0 } : null,
      blocks: blocks.map(({ layer, parameters, mean, above, similarity, within, between }) => ({
        layer,
        parameters,
        mean,
        above: Object.fromEntries(thresholds.map((threshold, i) => [levelName(threshold), above[i] ?? null])),
        similarity: similarity ?? null,
        within: within ?? null,
        between: between ?? null,
      })),
      /** The paper's, as they are here. */
      findings: blocks.length > 0 ? activationFindings(result) : [],
      ended: ended ?? null,
      /** Perplexities of the same sequences; `blocks` are the shares by sparsity. */
      pruning: pruning
        ? {
            share: pruning.share,
            blocks: pruning.shares,
            as_is: pruning.asIs.perplexity,
            uniform: pruning.uniform.perplexity,
            by_sparsity: pruning.bySparsity.perplexity,
          }
        : null,
    };
  },
});
