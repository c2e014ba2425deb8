/** Large weights some columns at a time: of these alone there are copies while they are rounded and packed. */
import type { Attribute, Node } from './model.js';

/** Makes nodes. */
export interface NodeMaker {
  /** A node with one output, which it returns. */
  readonly node: (op: string, inputs: readonly string[], attributes?: Readonly<Record<string, Attribute>>) => string;
  /** A constant of a list of integers. */
  readonly integers: (values: readonly number[]) => string;
}

/** Some columns of a weight, from the first to before the last. */
export type Slices = (from: number, to: number) => string;

/**
 * Entries of a weight that is rounded at once: what comes in between is no larger. Of 32 MB each, for glibc's malloc gives
 * what is as large back to the system when it is freed, and keeps what is smaller where it likes.
 */
const roundedAtOnce = 2 ** 23;

/** Where a weight [rows, columns] is cut, from and to before; nowhere where it is not large. */
function columnRanges(rows: number, columns: number): readonly (readonly [from: number, to: number])[] {
  const parts = Math.min(columns, Math.floor((rows * columns) / roundedAtOnce));
  if (parts < 2) return [];
  const starts = Array.from({ length: parts + 1 }, (_, i) => Math.round((i * columns) / parts));
  return starts.slice(1).map((to, i) => [starts[i] ?? 0, to]);
}

/** What matrices are turned from, by the name of what they are then. */
export function turnedTables(nodes: readonly Node[]): ReadonlyMap<string, string> {
  const turned = nodes.filter(turnsMatrix);
  return new Map(turned.map(({ inputs: [table = ''], outputs: [name = ''] }) => [name, table]));
}

/**
 * Where the weight is a table that is turned, as a tied output head's is, rows of the table are: each of the parts would
 * turn all of it else, for they are computed one by one.
 */
export function slicesOf({ node, integers }: NodeMaker, weight: string, tables: ReadonlyMap<string, string>): Slices {
  const table = tables.get(weight);
  const slice = (value: string, from: number, to: number, axis: number) =>
    node('Slice', [value, integers([from]), integers([to]), integers([axis])]);
  return (from, to) =>
    table === undefined ? slice(weight, from, to, -1) : node('Transpose', [slice(table, from, to, 0)], swapped);
}

/**
 * What a product with a weight [rows, columns] gives, made by `inPart` of some columns at a time; undefined where the weight
 * is not large.
 */
export function inColumns(
  { node }: NodeMaker,
  [rows, columns]: readonly [number, number],
  columnsOf: Slices,
  inPart: (part: string, columns: number) => string,
): string | undefined {
  const ranges = columnRanges(rows, columns);
  if (ranges.length === 0) return undefined;
  const parts = ranges.map(([from, to]) => inPart(columnsOf(from, to), to - from));
  return node('Concat', parts, { axis: { kind: 'int', value: -1n } });
}

/** Of a matrix. */
export const swapped = { perm: { kind: 'ints', value: [1n, 0n] } } as const;

function turnsMatrix({ op, domain, attributes }: Node): boolean {
  const perm = attributes.get('perm');
  return op === 'Transpose' && domain === '' && perm?.kind === 'ints' && perm.value.join() === '1,0';
}
