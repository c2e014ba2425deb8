/** A tensor as vectors: what a product with a weight multiplies. */
import { floats, size, type Value } from './value.js';

export interface RowVectors {
  /** [rows, dims], row-major. */
  readonly values: Float32Array;
  readonly rows: number;
  readonly dims: number;
}

/** @param axis the one that vectors lie along, from the end; rows are all others, in their order */
export function rowVectors(value: Value, axis: number): RowVectors {
  const at = value.dims.length + axis;
  const dims = value.dims[at] ?? 1;
  const rows = dims === 0 ? 0 : size(value.dims) / dims;
  const elements = floats(value);
  const inner = size(value.dims.slice(at + 1));
  if (inner === 1) return { values: elements, rows, dims };
  const values = new Float32Array(elements.length);
  for (let row = 0; row < rows; row++) {
    const start = Math.floor(row / inner) * dims * inner + (row % inner);
    for (let dim = 0; dim < dims; dim++) values[row * dims + dim] = elements[start + dim * inner] ?? 0;
  }
  return { values, rows, dims };
}
