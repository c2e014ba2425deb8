/**
 * Along which axis of a value a token's vector lies: the last one, as linear layers leave it, or another one where the
 * layers are convolutions over one token ([batch, D, 1, T], [batch, D, T]) or multiply by their weights from the left.
 */
import { intAttribute, intsAttribute, type Node } from '../onnx/model.js';
import type { Block, Turn } from './anatomy.js';
import { declaredExtents, partialVector } from './extents.js';
import type { Flow } from './flow.js';
import { factors, isPointwise } from './ops.js';
import { type WeightProduct, weightProduct } from './products.js';
import type { ResidualStream } from './residual.js';

/** Where the vectors of a value lie. */
export interface VectorPlace {
  /** Counted from the end: -1 is the last axis. */
  readonly axis: number;
  /** Axes of the value, where they are known. */
  readonly rank: number | undefined;
  /** Elements of a vector, where they are known. */
  readonly width: number | undefined;
}

/** How far a way back is gone. */
const maxDepth = 48;

/** Follows the axis of vectors forward from what tells it: products with weights, lookups, norms. */
export class VectorAxes {
  private readonly known = new Map<string, VectorPlace | undefined>();

  constructor(private readonly flow: Flow) {}

  /** Takes `value` to have its vectors where another one has them. */
  note(value: string, place: VectorPlace | undefined): void {
    if (place) this.known.set(value, place);
  }

  /** Undefined where nothing tells. */
  of(value: string, depth = 0): VectorPlace | undefined {
    if (this.known.has(value)) return this.known.get(value);
    const node = this.flow.producer(value);
    if (!node || depth > maxDepth) return undefined;
    const found = this.after(node, depth + 1);
    const place = found && { ...found, rank: found.rank ?? declaredExtents(this.flow, value)?.length };
    this.known.set(value, place);
    return place;
  }

  /** The one axis that a Slice cuts; undefined where it cuts several or nothing tells. */
  sliced(node: Node): number | undefined {
    const starts = intsAttribute(node, 'starts') ?? partialVector(this.flow, node.inputs[1] ?? '');
    const given =
      intsAttribute(node, 'axes') ?? (node.inputs[3] ? partialVector(this.flow, node.inputs[3]) : undefined);
    const axes = given ?? (starts && [...starts.keys()]);
    return axes?.length === 1 ? axes[0] : undefined;
  }

  private after(node: Node, depth: number): VectorPlace | undefined {
    if (node.op.includes('Conv')) return this.convolved(node);
    const product = weightProduct(this.flow, node);
    const before = () => {
      const places = this.flow.reads(node).flatMap((input) => this.of(input, depth) ?? []);
      const [first] = places;
      return first && { ...first, rank: first.rank ?? places.find(({ rank }) => rank !== undefined)?.rank };
    };
    if (product) {
      const place = ofProduct(product);
      return place && { ...place, rank: place.rank ?? (place.axis === -1 ? undefined : before()?.rank) };
    }
    switch (node.op) {
      case 'Transpose':
        return turned(before(), intsAttribute(node, 'perm'));
      case 'Squeeze':
      case 'Unsqueeze':
        return this.resized(node, before());
      case 'Reshape':
        return this.reshaped(node, before());
      case 'Flatten':
        return flattened(before(), intAttribute(node, 'axis', 1));
      case 'Gather':
        return this.flow.isConstant(node.inputs[0] ?? '') ? last : this.picked(node, before());
    }
    return isPointwise(node) ? before() : undefined;
  }

  /** Channels are the second axis, however many neighbours are seen. */
  private convolved(node: Node): VectorPlace | undefined {
    const weight = factors(node)?.[1] ?? '';
    const rank = (intsAttribute(node, 'kernel_shape')?.length ?? Number.NaN) + 2;
    return Number.isNaN(rank)
      ? undefined
      : { axis: 1 - rank, rank, width: this.flow.model.graph.initializers.get(weight)?.dims[0] };
  }

  private resized(node: Node, place: VectorPlace | undefined): VectorPlace | undefined {
    const axes = intsAttribute(node, 'axes') ?? partialVector(this.flow, node.inputs[1] ?? '');
    if (!place || !axes || axes.some((axis) => axis === undefined)) return undefined;
    const change = node.op === 'Squeeze' ? -axes.length : axes.length;
    const rank = place.rank === undefined ? undefined : place.rank + change;
    // Axes are those of the larger value.
    const larger = node.op === 'Squeeze' ? place.rank : rank;
    const fromEnd = axes.map((axis = 0) => (axis < 0 ? axis : axis - (larger ?? Number.NaN))).sort((a, b) => b - a);
    if (fromEnd.some(Number.isNaN)) return undefined;
    let { axis } = place;
    for (const each of fromEnd) {
      if (node.op === 'Unsqueeze' && each >= axis) axis--;
    }
    if (node.op === 'Squeeze') axis += fromEnd.filter((each) => each > place.axis).length;
    return { ...place, axis, rank };
  }

  /** A place of an axis, which goes where the index is a scalar. */
  private picked(node: Node, place: VectorPlace | undefined): VectorPlace | undefined {
    const index = this.flow.model.graph.initializers.get(node.inputs[1] ?? '')?.dims.length;
    const at = intAttribute(node, 'axis', 0);
    if (!place || index === 1) return place;
    const fromEnd = at < 0 ? at : at - (place.rank ?? Number.NaN);
    if (index !== 0 || Number.isNaN(fromEnd) || fromEnd === place.axis) return place.axis === -1 ? place : undefined;
    const rank = place.rank === undefined ? undefined : place.rank - 1;
    return { ...place, axis: fromEnd > place.axis ? place.axis + 1 : place.axis, rank };
  }

  private reshaped(node: Node, place: VectorPlace | undefined): VectorPlace | undefined {
    const target = partialVector(this.flow, node.inputs[1] ?? '');
    const rank = target?.length;
    if (!place) return undefined;
    if (place.axis === -1) return { ...place, rank };
    const places = target?.flatMap((extent, at) => (extent === place.width ? [at] : [])) ?? [];
    const [at, ...others] = places;
    if (rank === undefined || at === undefined || others.length > 0) return undefined;
    return { ...place, axis: at - rank, rank };
  }
}

/** Where the vectors of a stream's points lie, and of what else a graph computes. */
export function vectorAxesOf(flow: Flow, { from, steps }: ResidualStream): VectorAxes {
  const vectors = new VectorAxes(flow);
  const [first] = steps;
  // What a branch gives is laid out as what it is added to.
  const placed = ({ node, skip, branches }: ResidualStream['steps'][number]) => {
    const place = branches.map(({ output }) => vectors.of(output)).find((found) => found !== undefined);
    const ranks = [skip, ...(node ? flow.reads(node) : [])].map((term) => vectors.of(term)?.rank);
    return place && { ...place, rank: place.rank ?? ranks.find((rank) => rank !== undefined) };
  };
  if (first && first.skip === from && vectors.of(from) === undefined) vectors.note(from, placed(first));
  for (const step of steps) vectors.note(step.sum, placed(step));
  return vectors;
}

/** What has to be turned of what is shown, each once. */
export function turnsOf(vectors: VectorAxes, values: Iterable<string | undefined>): readonly Turn[] {
  return [...new Set(values)].flatMap((value): Turn[] => {
    const place = value === undefined ? undefined : vectors.of(value);
    if (value === undefined || !place || place.axis === -1 || place.rank === undefined) return [];
    return [{ value, axis: place.rank + place.axis, rank: place.rank }];
  });
}

/** The values of a block in which each token has a vector. */
export const vectorsIn = ({ residPost, residMid, mlpIntermediate, mlpOutput, attention }: Block) => [
  residPost,
  residMid,
  mlpIntermediate,
  mlpOutput,
  attention?.output,
  attention?.projected,
];

const last: VectorPlace = { axis: -1, rank: undefined, width: undefined };

function turned(place: VectorPlace | undefined, perm: readonly number[] | undefined): VectorPlace | undefined {
  if (!place || !perm) return undefined;
  const rank = perm.length;
  const at = perm.indexOf(rank + place.axis);
  return at < 0 ? undefined : { ...place, axis: at - rank, rank };
}

/** Of what becomes two axes: vectors are still one of them where no other axis went into it. */
function flattened(place: VectorPlace | undefined, axis: number): VectorPlace | undefined {
  if (place?.rank === undefined) return undefined;
  const [at, cut] = [place.rank + place.axis, axis < 0 ? axis + place.rank : axis];
  if (at === 0 && cut === 1) return { ...place, axis: -2, rank: 2 };
  return at === cut && cut === place.rank - 1 ? { ...place, axis: -1, rank: 2 } : undefined;
}

/** Where a product with a weight leaves its columns. */
function ofProduct({ node, weight, columns: width }: WeightProduct): VectorPlace | undefined {
  const equation = node.attributes.get('equation');
  if (equation?.kind === 'string') {
    const [terms = '', result = ''] = equation.value.replaceAll(/\s/g, '').split('->');
    const sides = terms.split(',');
    const [own = '', other = ''] = node.inputs[0] === weight ? sides : sides.toReversed();
    const axes = [...result].flatMap((axis, at) => (own.includes(axis) && !other.includes(axis) ? [at] : []));
    if (axes.length !== 1 || axes[0] === undefined) return undefined;
    return { axis: axes[0] - result.length, rank: result.includes('.') ? undefined : result.length, width };
  }
  const isLeft = factors(node)?.[0] === weight;
  return { axis: isLeft ? -2 : -1, rank: node.op.includes('Gemm') ? 2 : undefined, width };
}
