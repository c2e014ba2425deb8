/** Models that are made for measuring: the shapes are real, the weights are not. */
import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import { encodeModel } from '../../src/onnx/encode.js';
import { type Attribute, DataType, type Node, type Tensor, type ValueInfo } from '../../src/onnx/model.js';
import { float32ToFloat16 } from '../../src/statistics/half.js';

/** A graph under construction; every `add` gives the name of the value it makes. */
class Builder {
  readonly nodes: Node[] = [];
  readonly initializers = new Map<string, Tensor>();
  weightBytes = 0;

  /** @param type of weights and constants, and so of all that is computed */
  constructor(
    private readonly weightFile: string,
    readonly type: DataType = DataType.float,
  ) {}

  add(op: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}, outputs = 1): string[] {
    const name = `${op}_${this.nodes.length}`;
    const made = Array.from({ length: outputs }, (_, i) => `${name}/${i}`);
    const domain = op === 'MatMulNBits' ? 'com.microsoft' : '';
    this.nodes.push({ name, op, domain, inputs, outputs: made, attributes: new Map(Object.entries(attributes)) });
    return made;
  }

  one(op: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    return this.add(op, inputs, attributes)[0] ?? '';
  }

  /** A weight in the weight file. */
  weight(dims: readonly number[], type: DataType = this.type): string {
    const bytes = type === DataType.float ? 4 : type === DataType.float16 ? 2 : 1;
    const length = bytes * dims.reduce((product, extent) => product * extent, 1);
    const data = { file: this.weightFile, offset: this.weightBytes, length };
    this.weightBytes += length;
    return this.initializer({ type, dims, data });
  }

  floats(dims: readonly number[], ...values: number[]): string {
    const data = this.type === DataType.float ? Float32Array.from(values) : float32ToFloat16(Float32Array.from(values));
    return this.initializer({ type: this.type, dims, data: bytesOf(data) });
  }

  ints(dims: readonly number[], ...values: number[]): string {
    return this.initializer({ type: DataType.int64, dims, data: bytesOf(BigInt64Array.from(values, BigInt)) });
  }

  private initializer(tensor: Omit<Tensor, 'name'>): string {
    const name = `weight_${this.initializers.size}`;
    this.initializers.set(name, { ...tensor, name });
    return name;
  }
}

function bytesOf(array: Float32Array | Uint16Array | BigInt64Array): Uint8Array {
  return new Uint8Array(array.buffer);
}

const int = (value: number): Attribute => ({ kind: 'int', value: BigInt(value) });
const ints = (...values: number[]): Attribute => ({ kind: 'ints', value: values.map(BigInt) });

/** Hidden state of `heads` heads [1, T, D] to [1, heads, T, D / heads]. */
function split(b: Builder, value: string, heads: number, width: number, order: readonly number[]): string {
  const shaped = b.one('Reshape', [value, b.ints([4], 0, 0, heads, width)]);
  return b.one('Transpose', [shaped], { perm: ints(...order) });
}

/** Scores, causal mask, softmax, values, heads joined again: [1, T, D]. */
function attend(b: Builder, q: string, k: string, v: string, mask: string, width: number, hidden: number): string {
  const scores = b.one('Div', [b.one('MatMul', [q, k]), b.floats([], Math.sqrt(width))]);
  const masked = b.one('Where', [
    mask,
    scores,
    b.floats([], b.type === DataType.float ? -3.4028234663852886e38 : -65504),
  ]);
  const mixed = b.one('MatMul', [b.one('Softmax', [masked], { axis: int(-1) }), v]);
  const joined = b.one('Transpose', [mixed], { perm: ints(0, 2, 1, 3) });
  return b.one('Reshape', [joined, b.ints([3], 0, 0, hidden)]);
}

/** Lower triangle of ones, [T, T], as booleans. */
function causalMask(b: Builder, tokens: string): string {
  const shape = b.one('Concat', [tokens, tokens], { axis: int(0) });
  const one: Tensor = { name: '', type: DataType.float, dims: [1], data: bytesOf(Float32Array.of(1)) };
  const ones = b.one('ConstantOfShape', [shape], { value: { kind: 'tensor', value: one } });
  return b.one('Cast', [b.one('Trilu', [ones], { upper: int(0) })], { to: int(DataType.bool) });
}

/** Whether each of the tokens sees each of all keys, [tokens, keys], as booleans; the keys are those before them too. */
function seenMask(b: Builder, places: string, keys: string): string {
  const own = b.one('Unsqueeze', [places, b.ints([1], 1)]);
  return b.one('LessOrEqual', [b.one('Unsqueeze', [keys, b.ints([1], 0)]), own]);
}

const position = { scores: [0, 2, 1, 3], keys: [0, 2, 3, 1] } as const;

/** Blocks, heads and their width of GPT-2 small. */
export const gpt2Shape = { layers: 12, heads: 12, width: 64 } as const;

/**
 * GPT-2 small: 12 blocks, D = 768, 12 heads, tied embedding of 50,257; LayerNorm, biases, GELU by tanh.
 *
 * @param cached whether it takes keys and values of earlier tokens, `past.0.key` …, and gives those of all, `present.0.key` …
 */
function gpt2(b: Builder, cached = false): string {
  const { layers, heads } = gpt2Shape;
  const [hidden, vocabulary, context] = [768, 50257, 1024];
  const width = hidden / heads;
  const linear = (x: string, from: number, to: number) =>
    b.one('Add', [b.one('MatMul', [x, b.weight([from, to])]), b.weight([to])]);
  const norm = (x: string) =>
    b.one('LayerNormalization', [x, b.weight([hidden]), b.weight([hidden])], {
      axis: int(-1),
      epsilon: { kind: 'float', value: 1e-5 },
    });

  const table = b.weight([vocabulary, hidden]);
  const tokens = b.one('Slice', [b.one('Shape', ['input_ids']), b.ints([1], 1), b.ints([1], 2)]);
  const count = b.one('Squeeze', [tokens, b.ints([1], 0)]);
  const zero = b.ints([], 0);
  const extent = () => b.one('Slice', [b.one('Shape', ['past.0.key']), b.ints([1], 2), b.ints([1], 3)]);
  const before = cached ? b.one('Squeeze', [extent(), b.ints([1], 0)]) : zero;
  const all = cached ? b.one('Add', [before, count]) : count;
  const places = b.one('Range', [before, all, b.ints([], 1)]);
  const mask = cached ? seenMask(b, places, b.one('Range', [zero, all, b.ints([], 1)])) : causalMask(b, tokens);
  /** Joined to what is in the cache, and given as what will be. */
  const kept = (layer: number, part: string, own: string) => {
    const present = `present.${layer}.${part}`;
    const inputs = [`past.${layer}.${part}`, own];
    const attributes = new Map([['axis', int(2)]]);
    b.nodes.push({ name: present, op: 'Concat', domain: '', inputs, outputs: [present], attributes });
    return present;
  };
  let h = b.one('Add', [b.one('Gather', [table, 'input_ids']), b.one('Gather', [b.weight([context, hidden]), places])]);
  for (let layer = 0; layer < layers; layer++) {
    const qkv = linear(norm(h), hidden, 3 * hidden);
    const [q = '', k = '', v = ''] = b.add('Split', [qkv, b.ints([3], hidden, hidden, hidden)], { axis: int(-1) }, 3);
    const own = (part: string, value: string) =>
      cached ? kept(layer, part, split(b, value, heads, width, position.scores)) : undefined;
    const keys = own('key', k);
    const mixed = attend(
      b,
      split(b, q, heads, width, position.scores),
      keys ? b.one('Transpose', [keys], { perm: ints(0, 1, 3, 2) }) : split(b, k, heads, width, position.keys),
      own('value', v) ?? split(b, v, heads, width, position.scores),
      mask,
      width,
      hidden,
    );
    h = b.one('Add', [h, linear(mixed, hidden, hidden)]);
    h = b.one('Add', [h, linear(gelu(b, linear(norm(h), hidden, 4 * hidden)), 4 * hidden, hidden)]);
  }
  return b.one('MatMul', [norm(h), b.one('Transpose', [table], { perm: ints(1, 0) })]);
}

function gelu(b: Builder, x: string): string {
  const cubed = b.one('Mul', [b.one('Pow', [x, b.floats([], 3)]), b.floats([], 0.044715)]);
  const inner = b.one('Mul', [b.one('Add', [x, cubed]), b.floats([], Math.sqrt(2 / Math.PI))]);
  const gate = b.one('Add', [b.one('Tanh', [inner]), b.floats([], 1)]);
  return b.one('Mul', [b.one('Mul', [x, b.floats([], 0.5)]), gate]);
}

/** What models like LLaMA differ in. */
interface LlamaShape {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  /** Of keys and values: each is shared by as many heads as are more. */
  readonly kvHeads: number;
  /** Width of the gated MLP. */
  readonly wide: number;
  readonly vocabulary: number;
  /** Whether the embedding table is the unembedding as well. */
  readonly tied: boolean;
  /** Weights of products in four bits, in blocks of 32 with a scale each, as `onnxruntime-genai` writes them. */
  readonly int4?: boolean;
}

/** LLaMA's; with 16 blocks 1.2 billion parameters. */
const llama1b: LlamaShape = {
  layers: 16,
  hidden: 2048,
  heads: 32,
  kvHeads: 32,
  wide: 8192,
  vocabulary: 32000,
  tied: false,
};

/** Of Llama 2 7B, in four bits 4.6 GB. */
const llama7b: LlamaShape = {
  layers: 32,
  hidden: 4096,
  heads: 32,
  kvHeads: 32,
  wide: 11008,
  vocabulary: 32000,
  tied: false,
  int4: true,
};

/** SmolLM2-135M's: 540 MB, of which the head is a fifth. */
export const smol: LlamaShape = {
  layers: 30,
  hidden: 576,
  heads: 9,
  kvHeads: 3,
  wide: 1536,
  vocabulary: 49152,
  tied: true,
};

/** RMSNorm, no biases, gated MLP, keys and values of a group repeated. */
function llama(b: Builder, { layers, hidden, heads, kvHeads, wide, vocabulary, tied, int4 }: LlamaShape): string {
  const width = hidden / heads;
  const plain = (x: string, from: number, to: number) => b.one('MatMul', [x, b.weight([from, to])]);
  const few = (x: string, from: number, to: number) => {
    const blocks = from / 32;
    const [packed, scales] = [b.weight([to, blocks, 16], DataType.uint8), b.weight([to * blocks])];
    const attributes = { K: int(from), N: int(to), bits: int(4), block_size: int(32), accuracy_level: int(4) };
    return b.one('MatMulNBits', [x, packed, scales], attributes);
  };
  const linear = int4 ? few : plain;
  const norm = (x: string) => {
    const mean = b.one('ReduceMean', [b.one('Mul', [x, x])], { axes: ints(-1), keepdims: int(1) });
    const root = b.one('Sqrt', [b.one('Add', [mean, b.floats([], 1e-5)])]);
    return b.one('Mul', [b.one('Div', [x, root]), b.weight([hidden])]);
  };
  const shared = (x: string, order: readonly number[]) => {
    const own = split(b, linear(x, hidden, kvHeads * width), kvHeads, width, order);
    if (kvHeads === heads) return own;
    const repeated = b.one('Concat', Array<string>(heads / kvHeads).fill(b.one('Unsqueeze', [own, b.ints([1], 2)])), {
      axis: int(2),
    });
    // 0 keeps an extent, but those of the repeated value stand one further back.
    const shape = b.one('Shape', [own]);
    const rest = b.one('Slice', [shape, b.ints([1], 2), b.ints([1], 4)]);
    return b.one('Reshape', [repeated, b.one('Concat', [b.ints([2], 1, heads), rest], { axis: int(0) })]);
  };

  const table = b.weight([vocabulary, hidden]);
  const tokens = b.one('Slice', [b.one('Shape', ['input_ids']), b.ints([1], 1), b.ints([1], 2)]);
  const mask = causalMask(b, tokens);
  let h = b.one('Gather', [table, 'input_ids']);
  for (let layer = 0; layer < layers; layer++) {
    const x = norm(h);
    const mixed = attend(
      b,
      split(b, linear(x, hidden, hidden), heads, width, position.scores),
      shared(x, position.keys),
      shared(x, position.scores),
      mask,
      width,
      hidden,
    );
    h = b.one('Add', [h, linear(mixed, hidden, hidden)]);
    const y = norm(h);
    const gate = linear(y, hidden, wide);
    const gated = b.one('Mul', [b.one('Mul', [gate, b.one('Sigmoid', [gate])]), linear(y, hidden, wide)]);
    h = b.one('Add', [h, linear(gated, wide, hidden)]);
  }
  const last = norm(h);
  return tied
    ? b.one('MatMul', [last, b.one('Transpose', [table], { perm: ints(1, 0) })])
    : linear(last, hidden, vocabulary);
}

/** Random weights, small enough that nothing overflows; one block of them over and over. */
function writeRandom(file: string, bytes: number): void {
  const block = new Float32Array(2 ** 20);
  let state = 1;
  for (let i = 0; i < block.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    block[i] = 0.08 * (state / 2 ** 32 - 0.5);
  }
  const descriptor = openSync(file, 'w');
  for (let done = 0; done < bytes; done += block.byteLength) {
    writeSync(descriptor, block, 0, Math.min(block.byteLength, bytes - done));
  }
  closeSync(descriptor);
}

/** Zeros that take no room on the disk. */
function writeSparse(file: string, bytes: number): void {
  const descriptor = openSync(file, 'w');
  ftruncateSync(descriptor, bytes);
  closeSync(descriptor);
}

export interface BenchModel {
  readonly file: string;
  readonly weightBytes: number;
}

/** Names of a cache's inputs, or with `present` of what is given for them. */
export const cacheNames = (which: 'past' | 'present'): string[] =>
  Array.from({ length: gpt2Shape.layers }, (_, layer) =>
    ['key', 'value'].map((part) => `${which}.${layer}.${part}`),
  ).flat();

/** GPT-2 small with a cache, in `folder`. */
export function writeCached(folder: string): BenchModel {
  const { heads, width } = gpt2Shape;
  const cache = (which: 'past' | 'present') =>
    cacheNames(which).map((name): ValueInfo => ({ name, type: DataType.float, shape: ['batch', heads, which, width] }));
  const values = { inputs: cache('past'), outputs: cache('present') };
  return write(join(folder, 'gpt2-cached'), (b) => gpt2(b, true), writeRandom, 50257, values);
}

/** Writes the models that are run into `folder`. */
export function writeModels(folder: string): { gpt2: BenchModel; llama: BenchModel; smol: BenchModel } {
  return {
    gpt2: write(join(folder, 'gpt2-shape'), (b) => gpt2(b), writeRandom, 50257),
    llama: write(join(folder, 'llama-1b-shape'), (b) => llama(b, llama1b), writeSparse, 32000),
    smol: write(join(folder, 'smollm2-shape'), (b) => llama(b, smol), writeRandom, smol.vocabulary),
  };
}

/** Writes a model of the shape of LLaMA with `layers` blocks into `folder`, its weights a hole. */
export function writeLlama(folder: string, layers: number): BenchModel {
  return write(join(folder, `llama-${layers}`), (b) => llama(b, { ...llama1b, layers }), writeSparse, 32000);
}

/** Writes models of the size that people have into `folder`: 1.2 billion parameters in half precision, 7 in four bits. */
export function writeLarge(folder: string): { half: BenchModel; int4: BenchModel } {
  const none = { inputs: [], outputs: [] };
  return {
    half: write(join(folder, 'llama-1b-fp16'), (b) => llama(b, llama1b), writeSparse, 32000, none, DataType.float16),
    int4: write(join(folder, 'llama-7b-int4'), (b) => llama(b, llama7b), writeSparse, llama7b.vocabulary),
  };
}

function write(
  folder: string,
  build: (b: Builder) => string,
  fill: (file: string, bytes: number) => void,
  vocabulary: number,
  more: { readonly inputs: readonly ValueInfo[]; readonly outputs: readonly ValueInfo[] } = { inputs: [], outputs: [] },
  type: DataType = DataType.float,
): BenchModel {
  mkdirSync(folder);
  const weightFile = join(folder, 'weights.bin');
  const builder = new Builder(weightFile, type);
  const inputs: ValueInfo[] = [{ name: 'input_ids', type: DataType.int64, shape: ['batch', 'tokens'] }, ...more.inputs];
  const logits = build(builder);
  builder.nodes.push({
    name: 'output',
    op: 'Identity',
    domain: '',
    inputs: [logits],
    outputs: ['logits'],
    attributes: new Map(),
  });
  const graph = {
    name: basename(folder),
    nodes: builder.nodes,
    inputs,
    outputs: [{ name: 'logits', type, shape: ['batch', 'tokens', vocabulary] }, ...more.outputs],
    initializers: builder.initializers,
    valueInfo: new Map(),
  };
  const file = join(folder, 'model.onnx');
  writeFileSync(
    file,
    encodeModel(
      {
        irVersion: 8,
        opsets: new Map([
          ['', 17],
          ['com.microsoft', 1],
        ]),
        graph,
      },
      folder,
    ),
  );
  fill(weightFile, builder.weightBytes);
  return { file, weightBytes: builder.weightBytes };
}
