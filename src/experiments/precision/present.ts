import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { windowSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import { type PrecisionResult, precisionConclusion } from './compute.js';
import { bf16Coarseness, headroom, pointName } from './passport.js';

/** Parts that blocks have in common, in the order in which a block computes them. */
const drawn = ['attn_in', 'attn_out', 'mlp_in', 'mlp_out'] as const;

export function presentPrecision(result: PrecisionResult, { text }: { readonly text: NamedText }): Presentation {
  const { model, tokens, prefix, layers, products, points, keep } = result;
  const blocks = Array.from({ length: layers }, (_, index) => index + 1);
  const inputName = (one: PrecisionResult['products'][number]) => pointName({ ...one, point: 'input' }, layers);
  const byPart = (of: (one: PrecisionResult['products'][number]) => number) => (part: string) =>
    blocks.map((block) => {
      const found = products.find((one) => one.block === block && one.part === part);
      return found ? of(found) : Number.NaN;
    });
  const tensor = byPart(({ int8 }) => int8.tensor);
  const token = byPart(({ int8 }) => int8.token);
  return {
    title: 'Precision',
    sentence: precisionConclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'text', value: text.name },
      ...windowSettings({ window: tokens, prefix }),
      { name: 'int8', value: 'symmetric, rounded half to even' },
    ],
    warnings: warningsOf(result),
    parts: [
      {
        kind: 'lines',
        heading: 'int8 error of what products read',
        x: { name: 'block', values: blocks },
        y: { name: 'relative error', format: 'share', log: true },
        lines: drawn.flatMap((part) => [
          { name: `${part}, per tensor`, values: tensor(part) },
          { name: `${part}, per token`, values: token(part) },
        ]),
      },
      {
        kind: 'table',
        heading: 'What products with a weight read',
        columns: [
          { name: 'input' },
          { name: 'largest', format: 'number' },
          { name: 'token' },
          { name: 'dim', format: 'plain' },
          { name: 'int8 per tensor', format: 'share' },
          { name: 'per token', format: 'share' },
          { name: 'become 0 per tensor', format: 'share' },
          { name: 'per token', format: 'share' },
          { name: 'row dispersion', format: 'ratio' },
          { name: 'excess kurtosis', format: 'number' },
          { name: 'nodes', format: 'words' },
          { name: 'weights', format: 'words' },
        ],
        rows: products.map((one) => [
          inputName(one),
          one.max,
          one.token === undefined ? '' : `${one.token}`,
          one.dim,
          one.int8.tensor,
          one.int8.token,
          one.underflow.tensor,
          one.underflow.token,
          one.dispersion,
          one.kurtosis,
          one.nodes.map(({ name, op }) => name || op).join(', '),
          one.weights.join(', '),
        ]),
      },
      {
        kind: 'table',
        heading: 'Passport: how many times activations fit below the largest number',
        columns: [
          { name: 'point' },
          { name: 'largest', format: 'number' },
          { name: 'token' },
          { name: 'dim', format: 'plain' },
          { name: 'fp16', format: 'ratio' },
          { name: 'fp8 e4m3', format: 'ratio' },
          { name: 'fp8 e5m2', format: 'ratio' },
          { name: 'bf16 step at the largest ÷ median', format: 'number' },
          { name: 'tensor', format: 'words' },
        ],
        rows: points.map((point) => [
          pointName(point, layers),
          point.max,
          point.token === undefined ? '' : `${point.token}`,
          point.dim,
          headroom(point, 'fp16'),
          headroom(point, 'fp8_e4m3'),
          headroom(point, 'fp8_e5m2'),
          bf16Coarseness(point),
          point.tensor,
        ]),
      },
      ...(keep.length === 0
        ? []
        : [
            {
              kind: 'table' as const,
              heading: 'Nodes to keep in fp32 (node_block_list)',
              columns: [{ name: 'node' }, { name: 'operator' }],
              rows: keep.map(({ name, op }) => [name, op]),
            },
          ]),
    ],
  };
}

function warningsOf({ unmeasured, keep }: PrecisionResult): string[] {
  const beside =
    unmeasured === 1
      ? 'One tensor that a product reads was not looked at: it is'
      : `${unmeasured} tensors that products read were not looked at: they are`;
  const unnamed = keep.filter(({ name }) => name === '').length;
  return [
    ...(unmeasured === 0 ? [] : [`${beside} computed from something else than the tokens shown.`]),
    ...(unnamed === 0
      ? []
      : [
          `${unnamed} of the nodes to keep in fp32 have no name in the file, so no list can name them; name them first.`,
        ]),
  ];
}
