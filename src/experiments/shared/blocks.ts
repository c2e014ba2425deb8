/** A model block by block, as it was and quantised: what both experiments on quantised models show first. */
import { formatNumber, formatValue } from '../../analysis/format.js';
import type { MassiveActivation } from '../../analysis/massive.js';
import type { CellValue, TablePart } from '../../analysis/presentation.js';
import { greatest, least } from '../../statistics/numbers.js';
import { type Sqnr, swappedName } from './divergence.js';

export interface BlockFacts {
  readonly layers: number;
  /** Mean KLD in nats of the quantised model. */
  readonly kld: number;
  /** Of h_k, by k, as far as they are known. */
  readonly sqnr: readonly Sqnr[];
  /** Of the embedding (0), the blocks from 1 on, and the output head, when they are known; `alone` where it was measured. */
  readonly swap: readonly { readonly alone?: number | undefined; readonly restored: number }[];
  /** Products that were looked at one by one, and the mean KLD with each alone as it was. */
  readonly products?: readonly {
    readonly block: number;
    readonly part: string;
    readonly node: string;
    readonly restored: number;
  }[];
  /** What stands out in the model as it was, and in the quantised one where that was looked at. */
  readonly massive?: {
    readonly reference: readonly MassiveActivation[];
    readonly model?: readonly MassiveActivation[] | undefined;
  };
}

/**
 * Blocks as rows. Bars are the longer the more there is to gain: little signal to noise, much lost with the block alone,
 * much gained with it restored.
 */
export function blocksTable({ layers, kld, sqnr, swap, products = [], massive }: BlockFacts): TablePart {
  const all = Array.from({ length: layers + 2 }, (_, part) => part);
  const finite = (values: readonly (number | undefined)[]) =>
    values.filter((one): one is number => one !== undefined && Number.isFinite(one));
  const decibels = finite(sqnr.flatMap(({ cumulative, local }) => [cumulative, local]));
  const alone = finite(swap.map((one) => one.alone));
  const restored = finite(swap.map((one) => one.restored));
  const gains = finite(products.map((one) => gainOf(one.restored, kld)));
  const noisy: Range = [greatest(decibels, 0), least(decibels, 0)];
  const columns: Column[] = [
    { name: 'part', of: (part) => swappedName(part, layers) },
    { name: 'SQNR, cumulative (dB)', range: noisy, of: (part) => noise(sqnr[part]?.cumulative) },
    { name: 'local (dB)', range: noisy, of: (part) => noise(sqnr[part]?.local) },
    ...(alone.length === 0
      ? []
      : [
          {
            name: 'KLD alone (nats)',
            range: [0, greatest([...alone, kld].filter(Number.isFinite), 0)] as const,
            of: (part: number) => swap[part]?.alone ?? null,
          },
        ]),
    {
      name: 'restored (nats)',
      // Without a mean to fall from, what is left is drawn from nothing.
      range: Number.isFinite(kld) ? [kld, least(restored, 0)] : [0, greatest(restored, 0)],
      of: (part) => swap[part]?.restored ?? null,
    },
    ...(products.length === 0
      ? []
      : [
          {
            name: 'gain of its products',
            format: 'share' as const,
            range: [0, greatest(gains, 0)] as const,
            of: (part: number) =>
              products
                .filter(({ block }) => block === part)
                .toSorted((a, b) => placeOf(a.part) - placeOf(b.part) || a.node.localeCompare(b.node))
                .map((one) => ({
                  name: `${one.part}${one.node === '' ? '' : ` ${one.node}`}`,
                  value: gainOf(one.restored, kld),
                })),
          },
        ]),
    ...(massive
      ? [
          {
            name: 'what begins to stand out',
            format: 'words' as const,
            of: (part: number) => standingOut(massive, part > layers ? undefined : part),
          },
        ]
      : []),
  ];
  return {
    kind: 'table',
    heading: 'Block by block: the longer a bar, the more is lost there',
    columns: columns.map(({ of, ...column }) => column),
    rows: all.map((part) => columns.map(({ of }) => of(part))),
    // The head reads what the last block leaves.
    layers: all.map((part) => Math.min(part, layers)),
  };
}

/** In the order in which a block computes them. */
const parts = ['attn_in', 'attn_out', 'mlp_in', 'mlp_out', 'head'];
/** Experts and what else has a name of its own come last. */
const placeOf = (part: string) => (parts.includes(part) ? parts.indexOf(part) : parts.length);

type Range = readonly [number, number];

interface Column {
  readonly name: string;
  readonly format?: 'share' | 'words';
  readonly range?: Range;
  of(part: number): CellValue;
}

/** Nothing differs where the ratio is infinite; minus infinity and NaN are of states that are no numbers. */
function noise(decibels: number | undefined): CellValue {
  if (decibels === undefined) return null;
  if (Number.isFinite(decibels)) return decibels;
  return decibels === Number.POSITIVE_INFINITY ? 'same' : 'no numbers';
}

/** What of the KLD goes with a product restored. */
const gainOf = (restored: number, kld: number) => 1 - restored / kld;

/** The strongest that stands out first in h_`layer`, massive before large, and how many more there are. */
function standingOut({ reference, model }: NonNullable<BlockFacts['massive']>, layer: number | undefined): string {
  const [first, ...others] = layer === undefined ? [] : reference.filter(({ onset }) => onset === layer);
  if (layer === undefined || !first) return '';
  const valueIn = ({ values }: Pick<MassiveActivation, 'values'>) => formatValue(values[layer] ?? Number.NaN);
  const now = like(model, first);
  const quantised = model === undefined ? '' : now?.values[layer] === undefined ? ' → does not' : ` → ${valueIn(now)}`;
  const more = others.length === 0 ? '' : `; and ${formatNumber(others.length)} more`;
  return `${first.kind}: token ${first.token}, dim ${first.dim}, ${valueIn(first)}${quantised}${more}`;
}

const like = (found: readonly MassiveActivation[] | undefined, { token, dim }: MassiveActivation) =>
  found?.find((one) => one.token === token && one.dim === dim);
