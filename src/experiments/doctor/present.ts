import { counted, formatNumber } from '../../analysis/format.js';
import type { Presentation } from '../../analysis/presentation.js';
import type { RestorableProduct } from '../../engine/contract/restore.js';
import { modelName } from '../../models/find.js';
import { blocksTable } from '../shared/blocks.js';
import { calibrationSetting, lostWarnings, windowSettings } from '../shared/settings.js';
import type { TextWindows } from '../shared/text.js';
import type { NamedText } from '../values.js';
import type { Chapter, DoctorResult, Kept } from './compute.js';
import { doctorConclusion, dSinkOf, isVoid } from './conclusion.js';
import type { Cure } from './remedies.js';

/** What the model is held against, in a word or two. */
export const quantisationName = ({ by }: Pick<DoctorResult, 'by'>): string =>
  by.what === 'scheme' ? by.scheme : modelName(by.model);

/** A text that fills no window is calibrated on as the short one that it is, which is said with how short it is. */
function calibrationName({ window, asked }: TextWindows, { name }: NamedText): string {
  if (asked === undefined) return name;
  return `${name}, which has no more than ${counted(window, 'token')} of a window of ${formatNumber(asked)}`;
}

export function presentDoctor(
  result: DoctorResult,
  { text, calibration }: { readonly text: NamedText; readonly calibration?: NamedText | undefined },
): Presentation {
  const {
    model,
    layers,
    windows,
    ranked,
    perplexity,
    kld,
    sqnr,
    swap,
    massive,
    calibrated,
    aim,
    products,
    curve,
    chosen,
    remedies,
  } = result;
  return {
    title: 'Quantisation doctor',
    sentence: doctorConclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'quantised', value: quantisationName(result) },
      { name: 'text', value: text.name },
      ...windowSettings(windows, perplexity.reference.tokens),
      ...(calibrated && calibration
        ? [calibrationSetting(calibrationName(calibrated, calibration), calibrated.sequences.length)]
        : []),
      ...(ranked < perplexity.reference.tokens ? [{ name: 'ranked on', value: `${ranked} tokens` }] : []),
      { name: 'aim', value: aim === undefined ? 'any number' : `${formatNumber(aim)} nats` },
      ...untriedSettings(result),
    ],
    warnings: [...lostWarnings(windows), ...listWarnings(result)],
    parts: [
      blocksTable({ layers, kld: kld.mean, sqnr, swap, products, massive: { reference: massive } }),
      {
        kind: 'table',
        heading: 'KL divergence with one product as it was',
        columns: [
          { name: 'product' },
          { name: 'block', format: 'plain' },
          { name: 'part', format: 'words' },
          { name: 'nats' },
          { name: 'gain', format: 'share' },
          { name: 'how', format: 'words' },
        ],
        rows: products.map(({ node, block, part, restored, measured }) => [
          node === '' ? '(no name)' : node,
          block,
          part,
          restored,
          1 - restored / kld.mean,
          measured ? 'measured' : 'estimated',
        ]),
      },
      {
        kind: 'lines',
        heading: 'KL divergence by products kept as they were',
        x: { name: 'products', values: curve.map(({ products }) => products.length) },
        y: { name: 'nats', log: false },
        lines: [{ name: 'mean', values: curve.map(({ kld }) => kld) }],
      },
      {
        kind: 'table',
        heading: 'What it gives',
        columns: [
          { name: 'model' },
          { name: 'KL divergence' },
          { name: 'perplexity', format: 'fixed' },
          { name: 'weights kept (MB)', format: 'fixed' },
        ],
        rows: [
          ['as it was', 0, perplexity.reference.perplexity, null],
          ['quantised', kld.mean, perplexity.model.perplexity, 0],
          [`without ${counted(chosen.products.length, 'product')}`, chosen.kld, chosen.perplexity, chosen.bytes / 1e6],
        ],
      },
      {
        kind: 'table',
        heading: 'Remedies, each by itself',
        columns: [
          { name: 'remedy', format: 'words' },
          { name: 'with', format: 'words' },
          { name: 'KL divergence' },
          { name: 'perplexity', format: 'fixed' },
          { name: 'weights kept (MB)', format: 'fixed' },
          { name: 'tokens' },
          { name: 'D_sink (nats)' },
        ],
        rows: remedies.map((remedy) => [
          cureNames[remedy.name],
          isVoid(result, remedy) ? `${remedy.how}: void, perplexity is above ten times that of the model` : remedy.how,
          remedy.kld,
          remedy.perplexity,
          remedy.bytes / 1e6,
          remedy.tokens,
          dSinkOf(result, remedy) ?? null,
        ]),
      },
      {
        kind: 'text',
        heading: 'To be excluded',
        paragraphs: chosen.products.length === 0 ? ['nothing'] : namesOf(chosen),
      },
    ],
  };
}

/**
 * Names under which ONNX Runtime's quantisers look for them: `quantize_dynamic` has made a `MatMul` of a `Gemm` by then.
 * They pass over names that they do not know.
 */
export const soughtNamesOf = ({ products }: { readonly products: readonly Pick<RestorableProduct, 'node' | 'op'>[] }) =>
  products.flatMap(({ node, op }) => (node === '' ? [] : op === 'Gemm' ? [node, `${node}_MatMul`] : [node]));

/** Names of the nodes that are to be excluded; those without one are left out. */
export const namesOf = ({ products }: Kept): string[] => products.map(({ node }) => node).filter((node) => node !== '');

/** What remedies are called. */
export const cureNames: Readonly<Record<Cure['name'], string>> = {
  exclude: 'exclude the list',
  tokens: 'keep tokens in float',
  prefix: 'begin with a fixed prefix',
  smooth: 'smooth activations into weights',
  'per-token': 'a scale for each token',
};

const partNames: Readonly<Record<Chapter, string>> = {
  blocks: 'not all windows were compared',
  products: 'products were not ranked',
  list: 'the list is not at its end',
  remedies: 'not all remedies were tried',
};

/** Remedies that a scheme or a file leaves no room for: nothing is wrong with that. Said once of several of one reason. */
const untriedSettings = ({ untried }: DoctorResult) =>
  [...new Set(untried.map(({ why }) => why))].map((reason) => {
    const names = untried.filter(({ why }) => why === reason).map(({ name }) => cureNames[name]);
    return { name: 'not tried', value: `${names.join(', ')} (${reason})` };
  });

function listWarnings(result: DoctorResult): string[] {
  const { without, kinds, computed, chosen, by, saturating, undone, bounded, calibrated, curve, remedies } = result;
  const nameless = chosen.products.length - namesOf(chosen).length;
  return [
    ...(undone.length === 0 ? [] : [`This is not all: ${undone.map((part) => partNames[part]).join(', ')}.`]),
    ...(bounded
      ? [
          `As many lists as there are products in the ranking were measured to choose the next one; the end of the ${curve.length - 1} on the curve is in the order that was known by then.`,
        ]
      : []),
    ...(!calibrated && remedies.some(({ name }) => name === 'smooth' || name === 'prefix')
      ? ['Smoothing and prefix are measured on the text that they are made from: give another to calibrate on.']
      : []),
    ...(by.what === 'scheme' && by.scheme === 'fp16'
      ? [
          'Products alone are rounded. What of the rest a converter rounds depends on its list and on what the runtime fuses: expect its file to be about twice as far away, and ask “precision” whether norms overflow.',
        ]
      : []),
    ...(nameless === 0
      ? []
      : [
          `${counted(nameless, 'product')} of the list have no name in the file, so no tool can be told to exclude them.`,
        ]),
    ...(without === 0
      ? []
      : by.what === 'scheme'
        ? [
            `${counted(without, 'product')} of the model (${kinds.join(', ')}) are none that ${by.scheme} takes, and stay as they are.`,
          ]
        : [
            `${counted(without, 'product')} of the model could not be told in the quantised file, and were not looked at.`,
          ]),
    ...(computed === 0
      ? []
      : [
          `${computed === result.of ? 'The weights' : `The weights of ${computed} of ${result.of} products`} are computed in the file from constants (as by Cast or Transpose). Quantisers pass by such products until the constants are folded (quant_pre_process of onnxruntime.quantization); the scheme takes them.`,
        ]),
    // Of a file that was made it is remarked with every result.
    ...(saturating && by.what === 'scheme'
      ? [
          'Sums of products of bytes saturate on this processor, which has no VNNI instructions: elsewhere the quantised model does better. Weights of 7 bits (reduce_range) do not saturate.',
        ]
      : []),
  ];
}
