import { SinkscopeError } from '../../errors.js';
import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { definitionJson, massiveJson, promptJson } from '../shared/json.js';
import { type Steered, type SteerRequest, steerPrompt } from './compute.js';
import { presentSteer } from './present.js';
import { samples } from './prompts.js';

interface Given {
  readonly positive: string | undefined;
  readonly negative: string | undefined;
  readonly direction: string | undefined;
  readonly layer: number | undefined;
  readonly strength: number | undefined;
  readonly projectOut: boolean;
}

const refused = (message: string) => new SinkscopeError({ code: 'input', message });

/** Where the direction is from. */
function sourceOf({ positive, negative, direction, layer }: Given): SteerRequest['from'] {
  if (direction !== undefined) {
    if (positive === undefined && negative === undefined) return { file: direction, layer };
    throw refused('A direction is from two sets of prompts or from a file: leave out one of them.');
  }
  if (positive === undefined && negative === undefined) return { ...samples, layer };
  if (positive === undefined || negative === undefined)
    throw refused(
      'A direction leads from prompts of one kind to those of another: give both, positive and negative (--positive, --negative).',
    );
  return { positive, negative, layer };
}

/** What it is multiplied by; undefined where it is projected out. */
function strengthOf({ strength, projectOut }: Given): number | undefined {
  if (projectOut && strength !== undefined)
    throw refused('A direction that is projected out has no strength: leave out --strength or --project-out.');
  return projectOut ? undefined : (strength ?? 1);
}

export const steer = define({
  id: 'steer',
  title: 'Steering',
  about: 'effect',
  command: 'Steer with a Direction',
  description:
    'What a text’s prediction and perplexity become with a direction added to its states, or taken from them.',
  help: 'add a direction to the states of a text, or project it out, and show what becomes of it',
  inputs: {
    model: shared.model,
    text: shared.prompt,
    positive: {
      kind: 'words',
      label: 'Positive prompts',
      flag: '--positive <path>',
      help: 'a file with a prompt on each line, or of records; the direction leads to their mean state',
      reads: true,
      open: 'four of joy',
    },
    negative: {
      kind: 'words',
      label: 'Negative prompts',
      flag: '--negative <path>',
      help: 'a file with a prompt on each line, or of records; the direction leads away from their mean state',
      reads: true,
      open: 'four of grief',
    },
    layer: {
      kind: 'whole',
      label: 'Layer',
      flag: '--layer <k>',
      help: 'k of the h_k that the direction is taken from and put into',
      least: 0,
      takes: 'layer',
      open: 'the middle one, or the file’s',
    },
    direction: {
      kind: 'words',
      label: 'Direction',
      flag: '--direction <path>',
      help: 'a .safetensors file with a direction, in place of prompts',
      reads: true,
      open: 'from the prompts',
    },
    strength: {
      kind: 'number',
      label: 'Strength',
      flag: '--strength <number>',
      help: 'what the direction is multiplied by before it is added',
      open: '1',
    },
    projectOut: {
      kind: 'switch',
      label: 'Project out',
      flag: '--project-out',
      help: 'take from every state its part along the direction, in place of adding it',
    },
    save: {
      kind: 'words',
      label: 'Save direction as',
      flag: '--save <path>',
      help: 'write the direction as safetensors, direction.k [D]',
      writes: true,
      open: 'nothing is written',
    },
  },
  async *run({ engine, ...setup }, values, signal) {
    const { model, text, save } = values;
    const request = { ...setup, model, text: text.text, from: sourceOf(values), strength: strengthOf(values), save };
    return yield* steerPrompt(engine, request, signal);
  },
  present: presentSteer,
  json(result, { text, positive, negative, direction }) {
    const { model, tokens, bos, strength, prompts, norm, thresholds, before, after } = result;
    const run = ({ loss, top, largest, massive }: Steered) => ({
      loss,
      perplexity: Math.exp(loss),
      predictions: top.map(({ id, text, probability }) => ({ id, text, probability })),
      /** Largest |h| by layer. */
      largest,
      massive_activations: massive.map(massiveJson),
    });
    return {
      model,
      ...promptJson(text),
      T: tokens.length,
      bos,
      tokens,
      /** k of the h_k that is changed. */
      layer: result.direction.layer,
      /** What the direction is multiplied by before it is added; null where it is projected out. */
      strength: strength ?? null,
      project_out: strength === undefined,
      positive: prompts ? { file: positive ?? null, prompts: prompts.positive } : null,
      negative: prompts ? { file: negative ?? null, prompts: prompts.negative } : null,
      direction: { file: direction ?? null, norm, values: Array.from(result.direction.values) },
      thresholds: definitionJson(thresholds),
      as_is: run(before),
      steered: run(after),
    };
  },
});
