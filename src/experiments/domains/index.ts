import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { compareDomains } from './compute.js';
import { presentDomains } from './present.js';

export const domains = define({
  id: 'domains',
  title: 'Heads by domain',
  about: 'effect',
  command: 'Heads by Domain',
  description: 'Which heads are dormant on one corpus, with their attention on the sink, and active on another.',
  help: 'find the heads that are dormant on one corpus and active on another',
  inputs: {
    model: shared.model,
    texts: shared.corpus,
    other: {
      kind: 'texts',
      label: 'Other corpus',
      flag: '--against <path>',
      help: 'what it is compared with, of the same kinds; may be repeated',
      document: 'bundled',
    },
    sequences: {
      kind: 'whole',
      label: 'Sequences',
      flag: '--sequences <N>',
      help: 'how many to run of each corpus',
      unit: 'sequences',
      least: 2,
      default: 16,
    },
    length: { ...shared.window, label: 'Length (tokens)', flag: '--length <tokens>', default: 128 },
  },
  run: ({ engine, ...setup }, { texts, other, ...values }, signal) =>
    compareDomains(engine, { ...setup, ...values, corpora: [texts, other] }, signal),
  present: presentDomains,
  json: ({ model, corpora, length, prefix, thresholds, heads }) => ({
    model: model.file,
    corpora,
    length,
    prefix: prefix ?? null,
    epsilon: thresholds.epsilon,
    heads: heads.map(({ layer, head, shares, switches }) => ({
      layer,
      head,
      /** Share of attention on the sink: [corpus, other corpus]. */
      mean: shares.map(({ mean }) => mean),
      standard_error: shares.map(({ error }) => error ?? null),
      switches: switches ?? null,
    })),
  }),
});
