import { resolve } from 'node:path';
import { schemeNames } from '../../engine/contract/pair.js';
import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { fileOf } from '../shared/json.js';
import type { NamedText } from '../values.js';
import { type DoctorResult, diagnose } from './compute.js';
import { dSinkOf, isVoid } from './conclusion.js';
import { namesOf, presentDoctor, soughtNamesOf } from './present.js';

export const doctor = define({
  id: 'doctor',
  title: 'Quantisation doctor',
  about: 'quantising',
  command: 'Quantisation Doctor',
  description: 'Which blocks and products break when the model is quantised, and the fewest to exclude.',
  help: 'find which products break when a model is quantised, and the fewest to exclude',
  saves: 'write the list of nodes to exclude as JSON, in the forms that quantisers take',
  inputs: {
    model: shared.model,
    text: shared.text,
    scheme: {
      kind: 'choice',
      label: 'Scheme',
      flag: '--scheme <name>',
      help: 'how the model is to be quantised, simulated; of no use with a file that is there',
      choices: schemeNames,
    },
    against: {
      kind: 'model',
      label: 'Quantised file',
      flag: '--against <quantised>',
      help: 'a file that was made from the model, in place of a scheme',
      open: 'the scheme',
    },
    calibration: {
      ...shared.calibration,
      document: 'bundled',
      help: 'another such file, to measure ranges, outliers and factors on',
      open: 'the text itself, which int8-static refuses',
    },
    saveSmooth: {
      kind: 'words',
      label: 'File for the smoothed model',
      flag: '--save-smooth <file>',
      help: 'write the model that SmoothQuant makes, in floats, as an ONNX file with its weights beside it',
      writes: true,
      open: 'none',
    },
    window: shared.window,
    tokens: shared.tokens,
    aim: {
      kind: 'number',
      label: 'KL divergence to come under (nats)',
      flag: '--max-kld <nats>',
      help: 'mean KL divergence that the list is to bring it under',
      least: 0,
      open: 'a quarter of what it is',
    },
  },
  run({ engine, ...setup }, { text, scheme, against, calibration, saveSmooth, ...values }, signal) {
    const by =
      against === undefined ? ({ what: 'scheme', scheme } as const) : ({ what: 'file', model: against } as const);
    const calibrationText = calibration?.text;
    const file = saveSmooth === undefined ? undefined : resolve(saveSmooth);
    return diagnose(engine, { ...setup, ...values, by, text: text.text, calibrationText, saveSmooth: file }, signal);
  },
  present: presentDoctor,
  json(result, { text, calibration }) {
    const { model, windows, perplexity, kld, aim, blocks, products, chosen, curve, without, bounded } = result;
    const { remedies, untried, undone, ranked, calibrated } = result;
    const { window, stride, prefix, left } = windows;
    return {
      model,
      ...quantisationJson(result),
      file: fileOf(text),
      calibration: calibration ? fileOf(calibration) : null,
      /** What of it was run: windows, and tokens of each, fewer than `window` where it has no more. */
      calibrated: calibrated ? { windows: calibrated.sequences.length, tokens: calibrated.window } : null,
      window,
      stride,
      prefix: prefix ?? null,
      tokens: perplexity.reference.tokens,
      left,
      /** Of these tokens, those that blocks and products are ranked on. */
      ranked,
      max_kld: aim ?? null,
      kld,
      perplexity: { reference: perplexity.reference.perplexity, quantised: perplexity.model.perplexity },
      /**
       * Blocks as a whole first (0: the embedding, L + 1: the output head), then products of the worst: `measured`, or
       * estimated from what their block gains.
       */
      ranking: [
        ...blocks.map(({ block, restored }) => {
          return { block, part: null, node: null, weights: [], restored, measured: true };
        }),
        ...products.map(({ block, part, node, weights, restored, measured }) => {
          return { block, part, node, weights, restored, measured };
        }),
      ],
      without,
      exclude: namesOf(chosen),
      kld_after: chosen.kld,
      curve: curve.map(({ products, bytes, kld, perplexity }) => {
        return { products: products.length, bytes, kld, perplexity };
      }),
      bounded,
      remedies: remedies.map((remedy) => {
        const { name, how, kld, perplexity, bytes, tokens, file = null } = remedy;
        const dSink = dSinkOf(result, remedy) ?? null;
        return { name, how, kld, perplexity, bytes, tokens, d_sink: dSink, void: isVoid(result, remedy), file };
      }),
      untried,
      /** Parts of the diagnosis that a run that was stopped did not come to. */
      undone,
    };
  },
  file: (result, { text }) => listOf(result, text),
});

const quantisationJson = ({ by }: Pick<DoctorResult, 'by'>) =>
  by.what === 'scheme' ? { scheme: by.scheme, against: null } : { scheme: null, against: by.model };

/** The list as tools take it, and what it was made for. */
function listOf(result: DoctorResult, text: NamedText) {
  const { model, identity, windows, aim, kld, chosen } = result;
  const names = namesOf(chosen);
  const float = { activation: { dtype: ['fp32'] }, weight: { dtype: ['fp32'] } };
  return {
    made_for: {
      model,
      identity,
      ...quantisationJson(result),
      file: fileOf(text),
      window: windows.window,
      prefix: windows.prefix ?? null,
      max_kld: aim ?? null,
      kld: kld.mean,
      kld_after: chosen.kld,
    },
    /** `onnxruntime.quantization` (`quantize_dynamic`, `quantize_static`, `MatMulNBitsQuantizer`) and Olive's passes. */
    nodes_to_exclude: soughtNamesOf(chosen),
    /** `--extra_options int4_nodes_to_exclude=…` of onnxruntime-genai's model builder. */
    int4_nodes_to_exclude: names.join(','),
    /** `nncf.IgnoredScope(**ignored_scope)`. */
    ignored_scope: { names },
    /** `PostTrainingQuantConfig(op_name_dict=…)` of Intel Neural Compressor. */
    op_name_dict: Object.fromEntries(names.map((name) => [name, float])),
  };
}
