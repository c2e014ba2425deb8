import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { patchEverywhere, patchedAt } from './compute.js';
import { presentPatch } from './present.js';

export const patch = define({
  id: 'patch',
  title: 'Activation patching',
  about: 'effect',
  command: 'Activation Patching',
  description: 'Which activations carry what two prompts are answered differently by.',
  help: 'run a prompt with single activations of another one, and show what that gives back of its answer',
  inputs: {
    model: shared.model,
    clean: {
      kind: 'words',
      label: 'Clean prompt',
      flag: '--clean <text>',
      help: 'the prompt that activations are taken from',
      run: true,
      default: 'She said that she',
    },
    corrupt: {
      kind: 'words',
      label: 'Corrupt prompt',
      flag: '--corrupt <text>',
      help: 'the prompt that is run with them: as many tokens',
      run: true,
      default: 'They said that they',
    },
    answers: { ...shared.answers, default: ' was, were' },
    at: {
      kind: 'choice',
      label: 'At',
      flag: '--at <point>',
      help: 'what is patched: a point of a block token by token, or heads at all tokens',
      choices: patchedAt,
    },
  },
  run: ({ engine, ...setup }, values, signal) => patchEverywhere(engine, { ...setup, ...values }, signal),
  present: presentPatch,
  json(result) {
    const { model, at, clean, corrupt, bos, answers, layers, recovered, attribution } = result;
    return {
      model,
      at,
      T: clean.length,
      bos,
      clean,
      corrupt,
      answers,
      clean_difference: result.cleanDifference,
      corrupt_difference: result.corruptDifference,
      /** By row of `recovered`: k of h_k, or the block. */
      layers,
      /** By token, with the prefix; at `head` by head. */
      recovered,
      /** The first look, as `recovered`: (clean − corrupt) × gradient, ÷ (clean − corrupt) of the differences. */
      attribution: attribution.values,
      /** Of both, over the cells that are patched. */
      correlation: attribution.correlation ?? null,
    };
  },
});
