/** What a graph does with a picture before its first block: cut it into patches, and perhaps keep some of them only. */
import { intAttribute, intsAttribute } from '../onnx/model.js';
import type { Anatomy, Input } from './anatomy.js';
import type { Flow } from './flow.js';
import { factors, isPassThrough, isShapeOnly } from './ops.js';

/** A convolution over the pixels whose steps are its own extent cuts them into patches. */
export function patchOf(
  flow: Flow,
  pixels: string,
): (NonNullable<Anatomy['patch']> & { channels?: number }) | undefined {
  for (const node of readers(flow, pixels)) {
    const [height, width] = intsAttribute(node, 'kernel_shape') ?? [];
    const strides = intsAttribute(node, 'strides') ?? [];
    if (!node.op.includes('Conv') || !height || !width || strides[0] !== height || strides[1] !== width) continue;
    const perGroup = dimsOf(flow, factors(node)?.[1])?.[1];
    return { height, width, ...(perGroup && { channels: perGroup * intAttribute(node, 'group', 1) }) };
  }
  return undefined;
}

/**
 * True where nothing of `value` counts but the order of its elements, ascending: the noise by which a masked
 * autoencoder shuffles patches.
 */
export function isOrder(flow: Flow, value: string): boolean {
  const nodes = readers(flow, value);
  const unread = (output: string | undefined) =>
    output === undefined ||
    (flow.consumers(output).every(isShapeOnly) && !flow.model.graph.outputs.some(({ name }) => name === output));
  return (
    nodes.length > 0 &&
    nodes.every((node) => node.op === 'TopK' && intAttribute(node, 'largest', 1) === 0 && unread(node.outputs[0]))
  );
}

/** The input that takes a picture, [batch, 3, height, width]; undefined in a model that takes none. */
export function pixelInput(inputs: readonly Input[]): Input | undefined {
  return inputs.find(
    ({ role, shape, extents }) => role === 'features' && shape?.length === 4 && (extents[1] ?? shape[1]) === 3,
  );
}

/** What reads the elements of `value`, in whatever shape and precision. */
function readers(flow: Flow, value: string) {
  const found = new Set<ReturnType<Flow['consumers']>[number]>();
  const open = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const node of flow.consumers(next)) {
      if (isShapeOnly(node) || found.has(node)) continue;
      if (isPassThrough(node) && node.inputs[0] === next) for (const one of node.outputs) open.push(one);
      else if (!isPassThrough(node)) found.add(node);
    }
  }
  return [...found];
}

/** Extents of a weight, which may be kept quantised or in another precision. */
function dimsOf(flow: Flow, weight: string | undefined): readonly number[] | undefined {
  if (weight === undefined) return undefined;
  for (let value: string | undefined = weight; value !== undefined; value = flow.producer(value)?.inputs[0]) {
    const tensor = flow.model.graph.initializers.get(value);
    if (tensor) return tensor.dims;
  }
  return undefined;
}
