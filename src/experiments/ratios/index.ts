import { resolve } from 'node:path';
import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { compareRatios } from './compute.js';
import { presentRatios } from './present.js';

export const ratios = define({
  id: 'ratios',
  title: 'Activation ratios of a graph transformer',
  about: 'massive',
  command: 'Activation Ratios of a Graph Transformer…',
  description: 'Whether training has given a graph transformer activations that its untrained twin does not have.',
  help: "set a graph transformer's activation ratios against the same model untrained",
  inputs: {
    model: { ...shared.model, help: 'path of the trained .onnx file' },
    untrained: {
      kind: 'model',
      label: 'Untrained twin',
      flag: '<untrained>',
      help: 'path of the same model untrained',
    },
    feeds: {
      kind: 'files',
      label: 'Graphs',
      flag: '--feeds <paths...>',
      help: '.safetensors or .npz files with one graph each, by input name',
      one: 'graph',
      extensions: ['safetensors', 'npz'],
    },
    tail: {
      kind: 'number',
      label: 'Far end (share)',
      flag: '--tail <share>',
      help: "of the untrained model's fitted distribution that counts as its far end",
      default: 0.001,
    },
  },
  run({ engine, ...setup }, { model, untrained: twin, feeds, tail }, signal) {
    const graphs = feeds.map((file) => ({ feeds: resolve(file) }));
    return compareRatios(engine, { ...setup, model, twin, graphs, tail }, signal);
  },
  present: presentRatios,
  json({ model, twin, tail, ratios }, { feeds }) {
    return {
      model,
      untrained: twin,
      feeds,
      tail,
      ratios: ratios.map(({ of, layer, trained, untrained, gamma, limit, outside, outsideUntrained }) => ({
        of,
        layer,
        trained,
        untrained,
        /** Of −log10(ratio) of the untrained model. */
        gamma,
        limit,
        outside,
        outside_untrained: outsideUntrained,
      })),
    };
  },
});
