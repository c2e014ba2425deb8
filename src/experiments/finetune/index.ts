import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { definitionJson, fileOf, rowJson } from '../shared/json.js';
import { finetuneModel } from './compute.js';
import { parametersOf, presentFinetune } from './present.js';

export const finetune = define({
  id: 'finetune',
  title: 'Fine-tuning',
  about: 'effect',
  command: 'Fine-Tune with MacDrop…',
  description:
    'What low-rank adapters make of a model on a text, and whether it depends less on its massive weights with MacDrop.',
  help: 'train low-rank adapters on a text, with massive weights dropped (MacDrop) or not, and merge them',
  inputs: {
    model: shared.model,
    text: { ...shared.text, help: 'a UTF-8 text file, or one of records (.jsonl, .parquet), to train on' },
    save: {
      kind: 'words',
      label: 'Save into',
      flag: '--save <folder>',
      help: 'a new folder for the adapter and the merged model',
      writes: 'folder',
    },
    heldOut: {
      kind: 'text',
      label: 'Held-out text',
      flag: '--held-out <path>',
      help: 'another such file, to measure on',
      open: 'the last tenth of the text',
    },
    window: shared.window,
    tokens: { ...shared.tokens, help: 'use only the first N tokens of each text' },
    steps: {
      kind: 'whole',
      label: 'Steps',
      flag: '--steps <N>',
      help: 'how often the adapters are changed',
      unit: 'steps',
      least: 1,
      default: 100,
    },
    batch: {
      kind: 'whole',
      label: 'Batch (windows)',
      flag: '--batch <windows>',
      help: 'windows of a step',
      unit: 'windows',
      least: 1,
      default: 4,
    },
    rate: {
      kind: 'number',
      label: 'Learning rate',
      flag: '--lr <rate>',
      help: 'of AdamW, the same in every step',
      least: 1e-8,
      most: 1,
      default: 1e-3,
    },
    rank: {
      kind: 'whole',
      label: 'Rank',
      flag: '--rank <r>',
      help: 'of the adapters, whose α is twice that',
      least: 1,
      default: 8,
    },
    target: {
      kind: 'choice',
      label: 'Adapters of',
      flag: '--target <products>',
      help: 'which products get one: those of queries and values, or all of the blocks',
      choices: ['qv', 'all'],
    },
    macdrop: {
      kind: 'number',
      label: 'MacDrop',
      flag: '--macdrop <p>',
      help: 'probability with which entries of massive weights are dropped at first; falls to 0 over the run',
      least: 0,
      most: 1,
      open: 'nothing is dropped',
    },
    k: {
      kind: 'whole',
      label: 'Intermediate dims (k)',
      flag: '--k <n>',
      help: 'intermediate dims whose rows are massive weights',
      unit: 'dims',
      least: 1,
      default: 5,
    },
    compare: {
      kind: 'switch',
      label: 'Compare',
      flag: '--compare',
      help: 'train a second adapter without MacDrop, in as many steps',
    },
    seed: { ...shared.seed, help: 'of initial weights, the order of windows, and what is dropped' },
  },
  run({ engine, bos, thresholds, memory, threads }, { text, heldOut, save, ...values }, signal) {
    const texts = { text: text.text, heldOut: heldOut?.text };
    const asked = { ...values, ...texts, folder: save, bos, thresholds, memory, threads };
    return finetuneModel(engine, asked, signal);
  },
  present: presentFinetune,
  json(result, { text, heldOut }) {
    const { asked, windows, trained, massive, adapters, trainings, scored } = result;
    const { model, steps, batch, rate, rank, target, seed, macdrop } = asked;
    return {
      model,
      file: fileOf(text),
      window: windows.window,
      prefix: windows.prefix ?? null,
      windows: trained,
      left: windows.left,
      /** The same file where its last windows are held out. */
      held_out: { file: fileOf(heldOut ?? text), windows: result.heldOut.sequences.length },
      steps,
      batch,
      lr: rate,
      rank,
      alpha: 2 * rank,
      target,
      seed,
      macdrop: macdrop ?? null,
      massive_weights: massive
        ? { block: massive.block, token: massive.token, dims: massive.dims, massive: massive.calibration.massive }
        : null,
      thresholds: definitionJson(asked.thresholds),
      parameters: parametersOf(result),
      adapters: (adapters?.adapters ?? []).map(({ module, block, part, inputs, outputs }) => {
        return { module, block, part, inputs, outputs };
      }),
      without: (adapters?.without ?? []).map(({ block, part, name, why }) => ({ block, part, name, why })),
      trainings: trainings.map(({ name, folder, saved, merged, losses, probabilities }) => ({
        name,
        folder,
        /** The step after which the adapter there was written. */
        saved,
        model: merged ?? null,
        loss: losses,
        probability: probabilities,
      })),
      perplexities: scored.map(({ name, rows }) => ({ name, rows: rows.map(rowJson) })),
    };
  },
});
