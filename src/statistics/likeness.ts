/** How alike vectors are. */

/**
 * The cosine of the angle between each row of [rows, dims] and a vector [dims]; NaN where one of both is zero or is no
 * number.
 */
export function cosinesWith(vector: Float32Array, values: Float32Array): Float32Array {
  const dims = vector.length;
  const cosines = new Float32Array(values.length / dims);
  const own = Math.sqrt(dot(vector, vector, 0));
  for (const row of cosines.keys()) {
    const norm = Math.sqrt(dot(values.subarray(row * dims, (row + 1) * dims), values, row * dims));
    cosines[row] = dot(vector, values, row * dims) / (own * norm);
  }
  return cosines;
}

function dot(one: Float32Array, values: Float32Array, from: number): number {
  let sum = 0;
  for (let i = 0; i < one.length; i++) sum += (one[i] ?? 0) * (values[from + i] ?? 0);
  return sum;
}
