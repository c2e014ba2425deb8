import { resolve } from 'node:path';
import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { definitionJson } from '../shared/json.js';
import { pictureEndings } from '../shared/pictures.js';
import { fixMean } from './compute.js';
import { presentVision } from './present.js';

export const vision = define({
  id: 'vision',
  title: 'Fix-mean in a vision model',
  about: 'massive',
  command: 'Fix-Mean in a Vision Model…',
  description: 'What a vision model’s massive activations are for: set to zero, and to their mean over other images.',
  help: "measure how a vision model's output changes when massive activations are set to zero or their mean",
  inputs: {
    model: { ...shared.model, help: 'path of a .onnx file' },
    images: {
      kind: 'files',
      label: 'Images or pixel tensors',
      flag: '--images <paths...>',
      help: 'pictures (PNG, JPEG, WebP, GIF, BMP, TIFF), at least two',
      also: { flag: '--feeds <paths...>', help: '.safetensors or .npz files with the pixels of one picture each' },
      one: 'picture',
      extensions: [...pictureEndings, 'safetensors', 'npz'],
    },
    dims: {
      kind: 'whole',
      label: 'Dims',
      flag: '--dims <n>',
      help: 'how many dimensions are set',
      unit: 'dimensions',
      least: 1,
      default: 1,
    },
    seed: shared.seed,
  },
  run({ engine, ...setup }, { images: files, ...values }, signal) {
    const images = files.map((file) => {
      const path = resolve(file);
      return /\.(safetensors|npz)$/i.test(file) ? { feeds: path } : { image: path };
    });
    return fixMean(engine, { ...setup, ...values, images }, signal);
  },
  present: presentVision,
  json(result, { images }) {
    const { model, tokens, outputShape, thresholds, seed, layer, dims, entries, massive, largestRatio, rows } = result;
    return {
      model,
      images,
      T: tokens,
      output_shape: outputShape,
      thresholds: { ...definitionJson(thresholds), soft: thresholds.soft },
      seed,
      layer,
      dims,
      /** By image. */
      entries,
      massive,
      largest_ratio: largestRatio,
      rows: rows.map(({ name, cosine, leastCosine, change, sameTop }) => {
        return { name, cosine, least_cosine: leastCosine, change, same_top: sameTop };
      }),
    };
  },
});
