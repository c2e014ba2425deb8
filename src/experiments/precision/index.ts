import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { fileOf } from '../shared/json.js';
import { fitInWords, measurePrecision } from './compute.js';
import { bf16Step, headroom } from './passport.js';
import { presentPrecision } from './present.js';

export const precision = define({
  id: 'precision',
  title: 'Precision',
  about: 'quantising',
  command: 'Precision Passport',
  description: 'What 8 bits cost at the input of every product, and whether the activations fit half precision.',
  help: 'show what int8 costs at the input of every product, and whether activations fit fp16, bf16 and fp8',
  inputs: {
    model: shared.model,
    text: shared.piece,
    tokens: shared.firstTokens,
  },
  run({ engine, ...setup }, { text, ...values }, signal) {
    return measurePrecision(engine, { ...setup, ...values, text: text.text }, signal);
  },
  present: presentPrecision,
  json(result, { text }) {
    const { model, tokens, prefix, products, points, keep } = result;
    return {
      model,
      file: fileOf(text),
      tokens,
      prefix: prefix ?? null,
      /** From 1; 0 is what comes before h_0, one more than there are blocks the output head. */
      products: products.map(({ block, part, nodes, weights, max, token, dim, ...costs }) => ({
        block,
        part,
        nodes: nodes.map(({ name }) => name),
        weights,
        max,
        token: token ?? null,
        dim,
        int8: costs.int8,
        underflow: costs.underflow,
        dispersion: costs.dispersion,
        kurtosis: costs.kurtosis,
      })),
      points: points.map((point) => ({
        layer: point.block,
        point: point.point,
        part: point.part ?? null,
        tensor: point.tensor,
        max: point.max,
        token: point.token ?? null,
        dim: point.dim,
        median: point.median,
        not_finite: point.nonFinite,
        fp16_headroom: headroom(point, 'fp16'),
        fp8_e4m3_headroom: headroom(point, 'fp8_e4m3'),
        fp8_e5m2_headroom: headroom(point, 'fp8_e5m2'),
        bf16_step: bf16Step(point.max),
      })),
      fp16: fitInWords(result),
      /** Names for a converter's `node_block_list`. */
      node_block_list: keep.flatMap(({ name }) => (name === '' ? [] : [name])),
    };
  },
});
