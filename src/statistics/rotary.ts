/**
 * Rotary positions (arXiv:2104.09864), told from what they do: a key at position p is the key at 0 with pairs of its
 * dims turned by p · frequency. A file states neither which dims are pairs nor how fast they turn.
 */

/** How keys and queries are turned: dims beyond the pairs stay. */
export interface Rotation {
  /** `halves`: dim d and d + pairs. `neighbours`: dims 2d and 2d + 1. */
  readonly layout: 'halves' | 'neighbours';
  /** Radians from one position to the next, by pair; their sign is that of the first dim towards the second. */
  readonly frequencies: Float64Array;
}

/** Rows of one vector at positions 0, 1, …: [rows, dims] of each head. */
export interface PositionedRows {
  readonly heads: readonly Float32Array[];
  readonly rows: number;
  readonly dims: number;
}

/**
 * How rows of one and the same vector are turned from position to position.
 *
 * @param tolerance how far numbers may be off, relative to the longest row
 * @returns undefined where they are turned by no rotation; one without frequencies where they are all alike
 */
export function rotationOf(positioned: PositionedRows, tolerance: number): Rotation | undefined {
  const { dims } = positioned;
  const still: Rotation = { layout: 'halves', frequencies: new Float64Array(0) };
  if (isTurned(positioned, still, tolerance)) return still;
  for (const layout of ['halves', 'neighbours'] as const) {
    for (let pairs = Math.floor(dims / 2); pairs > 0; pairs--) {
      const rotation = { layout, frequencies: frequenciesOf(positioned, layout, pairs) };
      if (isTurned(positioned, rotation, tolerance)) return rotation;
      // Dims that turn by themselves turn alike with fewer pairs of neighbours.
      if (layout === 'neighbours') break;
    }
  }
  return undefined;
}

const placesOf = ({ layout, frequencies }: Rotation, pair: number): readonly [number, number] =>
  layout === 'halves' ? [pair, pair + frequencies.length] : [2 * pair, 2 * pair + 1];

/** From the head whose pair is longest; a difference of angles is known up to whole turns, so that steps double. */
function frequenciesOf({ heads, rows, dims }: PositionedRows, layout: Rotation['layout'], pairs: number): Float64Array {
  const frequencies = new Float64Array(pairs);
  const among = { layout, frequencies };
  for (let pair = 0; pair < pairs; pair++) {
    const [a, b] = placesOf(among, pair);
    const lengthOf = (head: Float32Array) => Math.hypot(head[a] ?? 0, head[b] ?? 0);
    const head = heads.reduce((best, one) => (lengthOf(one) > lengthOf(best) ? one : best));
    const angle = (row: number) => Math.atan2(head[row * dims + b] ?? 0, head[row * dims + a] ?? 0);
    let frequency = 0;
    for (let step = 1; step < rows; step = step === rows - 1 ? rows : Math.min(2 * step, rows - 1)) {
      const beyond = angle(step) - angle(0) - step * frequency;
      frequency += (beyond - 2 * Math.PI * Math.round(beyond / (2 * Math.PI))) / step;
    }
    frequencies[pair] = frequency;
  }
  return frequencies;
}

/** Whether every row is the first, turned. */
function isTurned({ heads, rows, dims }: PositionedRows, rotation: Rotation, tolerance: number): boolean {
  return heads.every((head) => {
    const first = head.subarray(0, dims);
    const bound = tolerance * Math.hypot(...first);
    for (let row = 1; row < rows; row++) {
      const turned = Float32Array.from(first);
      turnRow(turned, 0, turning(rotation, row), rotation);
      for (let d = 0; d < dims; d++)
        if (!(Math.abs((turned[d] ?? 0) - (head[row * dims + d] ?? 0)) <= bound)) return false;
    }
    return true;
  });
}

/** Cosines and sines of a step of so many positions, by pair. */
export interface Turning {
  readonly cos: Float64Array;
  readonly sin: Float64Array;
}

export function turning({ frequencies }: Rotation, positions: number): Turning {
  return {
    cos: frequencies.map((frequency) => Math.cos(positions * frequency)),
    sin: frequencies.map((frequency) => Math.sin(positions * frequency)),
  };
}

/** Turns the vector that begins at `at`, in place. */
export function turnRow(data: Float32Array, at: number, { cos, sin }: Turning, rotation: Rotation): void {
  for (let pair = 0; pair < cos.length; pair++) {
    const [first, second] = placesOf(rotation, pair);
    const [a, b] = [data[at + first] ?? 0, data[at + second] ?? 0];
    const [c, s] = [cos[pair] ?? 1, sin[pair] ?? 0];
    data[at + first] = a * c - b * s;
    data[at + second] = a * s + b * c;
  }
}
