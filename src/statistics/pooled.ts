/** A matrix made smaller for the eye: of each cell of neighbouring entries the one that stands out most. */

/** How many entries of the matrix lie in a cell along each axis; the last cell of an axis may have fewer. */
export interface Pooled {
  readonly rows: number;
  readonly columns: number;
  readonly pool: { readonly rows: number; readonly columns: number };
  /** Of each cell the entry of largest magnitude, with its sign; NaN where the cell holds one. [rows, columns] */
  readonly values: Float32Array;
  /** Where in the matrix that entry is: row · columns of the matrix + column; of equal ones the first. [rows, columns] */
  readonly places: Int32Array;
}

/**
 * Max pooling of |x|, which keeps every spike that a mean or a sample would lose. Cells are equally large and as small as
 * the bounds allow: with no more than `most` rows and columns the matrix itself.
 *
 * @param data [rows, columns], row-major
 * @param most cells along each axis, from 1 on
 */
export function pooled(
  data: Float32Array,
  rows: number,
  columns: number,
  most: { readonly rows: number; readonly columns: number },
): Pooled {
  const pool = {
    rows: Math.max(1, Math.ceil(rows / most.rows)),
    columns: Math.max(1, Math.ceil(columns / most.columns)),
  };
  const cells = { rows: Math.ceil(rows / pool.rows), columns: Math.ceil(columns / pool.columns) };
  const values = new Float32Array(cells.rows * cells.columns);
  const places = new Int32Array(values.length).fill(-1);
  const largest = new Float32Array(values.length).fill(-1);
  for (let row = 0; row < rows; row++) {
    const first = Math.floor(row / pool.rows) * cells.columns;
    for (let column = 0; column < columns; column++) {
      const place = row * columns + column;
      const cell = first + Math.floor(column / pool.columns);
      const value = data[place] ?? Number.NaN;
      const magnitude = Math.abs(value);
      // What is no number is larger than all, as NumPy and PyTorch have it, and nothing is larger than that.
      const most = largest[cell] ?? 0;
      if (!(magnitude > most || (Number.isNaN(magnitude) && !Number.isNaN(most)))) continue;
      largest[cell] = magnitude;
      values[cell] = value;
      places[cell] = place;
    }
  }
  return { ...cells, pool, values, places };
}
