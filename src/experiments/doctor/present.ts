import { counted, formatNumber } from '../../analysis/format.js';
import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { blocksTable } from '../shared/blocks.js';
import { leftWarnings, windowSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import { type DoctorResult, doctorConclusion, type Kept } from './compute.js';

/** What the model is held against, in a word or two. */
export const quantisationName = ({ by }: Pick<DoctorResult, 'by'>): string =>
  by.what === 'scheme' ? by.scheme : modelName(by.model);

export function presentDoctor(result: DoctorResult, { text }: { readonly text: NamedText }): Presentation {
  const { model, windows, perplexity, kld, sqnr, swap, massive, aim, products, curve, chosen } = result;
  return {
    title: 'Quantisation doctor',
    sentence: doctorConclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'quantised', value: quantisationName(result) },
      { name: 'text', value: text.name },
      ...windowSettings(windows, perplexity.reference.tokens),
      { name: 'aim', value: `${formatNumber(aim)} nats` },
    ],
    warnings: [...leftWarnings(windows), ...listWarnings(result)],
    parts: [
      blocksTable({ kld: kld.mean, sqnr, swap, products, massive: { reference: massive } }),
      {
        kind: 'table',
        heading: 'KL divergence with one product as it was',
        columns: [
          { name: 'product' },
          { name: 'block', format: 'plain' },
          { name: 'part', format: 'words' },
          { name: 'nats' },
          { name: 'gain', format: 'share' },
        ],
        rows: products.map(({ node, block, part, restored }) => [
          node === '' ? '(no name)' : node,
          block,
          part,
          restored,
          1 - restored / kld.mean,
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
        kind: 'text',
        heading: 'To be excluded',
        paragraphs: chosen.products.length === 0 ? ['nothing'] : namesOf(chosen),
      },
    ],
  };
}

/** Names of the nodes that are to be excluded; those without one are left out. */
export const namesOf = ({ products }: Kept): string[] => products.map(({ node }) => node).filter((node) => node !== '');

function listWarnings({ without, chosen, by, saturating }: DoctorResult): string[] {
  const nameless = chosen.products.length - namesOf(chosen).length;
  return [
    ...(nameless === 0
      ? []
      : [
          `${counted(nameless, 'product')} of the list have no name in the file, so no tool can be told to exclude them.`,
        ]),
    ...(without === 0
      ? []
      : by.what === 'scheme'
        ? [
            `${counted(without, 'product')} of the model stay as they are: the scheme takes MatMul of an activation with a matrix in single precision.`,
          ]
        : [
            `${counted(without, 'product')} of the model could not be told in the quantised file, and were not looked at.`,
          ]),
    // Of a file that was made it is remarked with every result.
    ...(saturating && by.what === 'scheme'
      ? [
          'Sums of products of bytes saturate on this processor, which has no VNNI instructions: elsewhere the quantised model does better. Weights of 7 bits (reduce_range) do not saturate.',
        ]
      : []),
  ];
}
