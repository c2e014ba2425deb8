/** What differs between two files that were described. */
import { formatNumber } from '../../src/analysis/format.js';
import { numberType } from '../../src/analysis/precision.js';
import type { DescribedWeight, Description } from '../../src/engine/contract/description.js';
import type { TableData } from '../table.js';
import { blockInWords, formatBytes, type ModelDrawing } from './drawing.js';

export interface FileDifference {
  readonly what: string;
  readonly here: string;
  readonly there: string;
}

export interface Differences {
  readonly rows: readonly FileDifference[];
  /** Blocks, 1-based, that are not the same or that one of them does not have. */
  readonly blocks: ReadonlySet<number>;
}

/** Facts and blocks that are not the same, and how many weights are not, by what is not the same in them. */
export function differencesOf(
  here: { readonly drawing: ModelDrawing; readonly description: Description },
  there: { readonly drawing: ModelDrawing; readonly description: Description },
): Differences {
  const facts = paired(here.drawing.facts, there.drawing.facts);
  const inputs = paired(here.drawing.inputs, there.drawing.inputs).map((row) => ({
    ...row,
    what: `input ${row.what}`,
  }));
  const blocks = new Set<number>();
  const rows: FileDifference[] = [];
  const most = Math.max(here.drawing.blocks.length, there.drawing.blocks.length);
  for (let index = 0; index < most; index++) {
    const [mine, other] = [here.drawing.blocks[index], there.drawing.blocks[index]];
    const words = [mine, other].map((block) => (block ? blockInWords({ ...block, change: undefined }) : 'none'));
    const [left = '', right = ''] = words.map((one) => one.replace(/^block \d+; /, ''));
    if (left === right) continue;
    blocks.add(index + 1);
    // The same difference in one block after another is one row.
    const last = rows.at(-1);
    const range = last && /^block (\d+)(?:–(\d+))?$/.exec(last.what);
    if (range && last.here === left && last.there === right && Number(range[2] ?? range[1]) === index)
      rows[rows.length - 1] = { ...last, what: `block ${range[1]}–${index + 1}` };
    else rows.push({ what: `block ${index + 1}`, here: left, there: right });
  }
  return { rows: [...facts, ...inputs, ...rows, ...weightRows(here.description, there.description)], blocks };
}

function paired(
  here: readonly { readonly name: string; readonly value: string }[],
  there: readonly { readonly name: string; readonly value: string }[],
): FileDifference[] {
  const other = new Map(there.map(({ name, value }) => [name, value]));
  const names = new Set([...here.map(({ name }) => name), ...other.keys()]);
  const own = new Map(here.map(({ name, value }) => [name, value]));
  return [...names]
    .map((what) => ({ what, here: own.get(what) ?? 'none', there: other.get(what) ?? 'none' }))
    .filter((row) => row.here !== row.there);
}

function weightRows(here: Description, there: Description): FileDifference[] {
  const other = new Map(there.weights.map((weight) => [weight.name, weight]));
  const own = new Map(here.weights.map((weight) => [weight.name, weight]));
  const only = (weights: readonly DescribedWeight[], others: ReadonlyMap<string, DescribedWeight>) =>
    weights.filter(({ name }) => !others.has(name));
  const [mine, theirs] = [only(here.weights, other), only(there.weights, own)];
  const both = here.weights.flatMap((weight) => {
    const match = other.get(weight.name);
    return match ? [[weight, match] as const] : [];
  });
  const changed = both.filter(([a, b]) => numberType(a) !== numberType(b) || a.shape.join() !== b.shape.join());
  const summed = (weights: readonly DescribedWeight[]) =>
    `${formatNumber(weights.length)}, ${formatBytes(weights.reduce((sum, { bytes }) => sum + bytes, 0))}`;
  return [
    ...(mine.length + theirs.length > 0
      ? [{ what: 'weights that the other has not', here: summed(mine), there: summed(theirs) }]
      : []),
    ...changed.slice(0, 100).map(([a, b]) => ({
      what: `weight ${a.name}`,
      here: `${numberType(a)} [${a.shape.join(', ')}]`,
      there: `${numberType(b)} [${b.shape.join(', ')}]`,
    })),
    ...(changed.length > 100
      ? [{ what: 'more weights of another type or shape', here: `${changed.length - 100}`, there: '' }]
      : []),
  ];
}

/** @param name of the file that is compared with */
export function differencesTable(rows: Differences['rows'], name: string): TableData {
  return {
    caption: `What differs from ${name}`,
    captioned: true,
    columns: ['what', 'this file', name].map((one) => ({ name: one })),
    words: [true, true, true],
    rows: rows.length,
    cells: (row) => [rows[row]?.what ?? '', rows[row]?.here ?? '', rows[row]?.there ?? ''],
  };
}
