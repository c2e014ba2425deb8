/**
 * Attention patterns that an operator hides, rebuilt beside it as ordinary nodes from the operator's own inputs:
 * softmax(mask(cap(scale · Q Kᵀ))). Caches are taken as empty and padding masks as all ones, which is how runs are fed.
 *
 * Sources: ContribOperators.md of ONNX Runtime (Attention, QAttention, MultiHeadAttention, GroupQueryAttention) and
 * the ONNX operator specification (Attention-23/24).
 */
import {
  type Attribute,
  DataType,
  floatAttribute,
  intAttribute,
  intsAttribute,
  type Model,
  type Node,
} from '../onnx/model.js';
import type { Attention } from './anatomy.js';

/** Nodes to append to a graph, and the pattern they make: float32 [batch, heads, queries, keys]. */
export interface PatternNodes {
  readonly nodes: readonly Node[];
  readonly tensor: string;
  /** What queries are multiplied by and what the pattern weighs, [batch, key/value heads or heads, keys, head_dim]. */
  readonly keys: string | undefined;
  readonly values: string | undefined;
}

/** Why the pattern of an operator can't be rebuilt, in words; undefined where it can. */
export function patternObstacle(node: Node): string | undefined {
  const where = `the operator ${node.op}${node.domain === '' ? '' : ` of ${node.domain}`}`;
  const rebuild = rebuilders[`${node.domain}.${node.op}`];
  if (!rebuild) return `it is hidden in ${where}, which Sinkscope cannot rebuild`;
  if (node.op === 'Attention' && node.domain !== '' && intAttribute(node, 'do_rotary', 0))
    return `it is hidden in ${where} with do_rotary, which Sinkscope cannot rebuild`;
  if (node.op === 'GroupQueryAttention' && !intAttribute(node, 'num_heads', 0))
    return `${where} does not state its heads`;
  return undefined;
}

/**
 * The pattern of an attention whose operator hides it.
 *
 * @param prefix begins every new name; must not begin a name of the graph.
 * @returns undefined where {@link patternObstacle} gives a reason.
 */
export function patternNodes(model: Model, attention: Attention, prefix: string): PatternNodes | undefined {
  if ('tensor' in attention.pattern) {
    const { keys, values } = attention;
    return { nodes: [], tensor: attention.pattern.tensor, keys, values };
  }
  const node = attention.pattern.operator;
  if (patternObstacle(node) !== undefined) return undefined;
  const build = new Builder(prefix);
  const operands = rebuilders[`${node.domain}.${node.op}`]?.(build, node, model);
  if (!operands) return undefined;
  return { tensor: softmaxOf(build, operands), keys: operands.k, values: operands.v, nodes: build.nodes };
}

/** What any attention operator comes down to. */
interface Operands {
  /** [batch, heads, queries, head_dim]. */
  readonly q: string;
  /** [batch, heads or key/value heads, keys, head_dim]. */
  readonly k: string;
  /** As `k`. */
  readonly v: string;
  /** False where it is known that every query head has a key head of its own. */
  readonly grouped: boolean;
  /** Factor of the scores; 0 stands for 1/√head_dim. */
  readonly scale: number;
  readonly softcap?: number;
  readonly causal?: boolean;
  /** Keys a query sees, its own included; undefined for all. */
  readonly window?: number;
  /** Added to the scores, or a boolean mask (true: seen); broadcast to [batch, heads, queries, keys]. */
  readonly bias?: { readonly value: string; readonly boolean: boolean };
  /** Logit of an extra key for each head, [heads], or '' for logit 0; it takes weight and is dropped. */
  readonly sink?: string;
}

function softmaxOf(build: Builder, operands: Operands): string {
  const q = build.float32(operands.q);
  const k = operands.grouped ? repeated(build, q, build.float32(operands.k)) : build.float32(operands.k);
  let scores = build.node('MatMul', [q, build.transpose(k, [0, 1, 3, 2])]);
  scores = build.node('Mul', [scores, operands.scale !== 0 ? build.float(operands.scale) : inverseRoot(build, q)]);
  if (operands.softcap) {
    const cap = build.float(operands.softcap);
    scores = build.node('Mul', [build.node('Tanh', [build.node('Div', [scores, cap])]), cap]);
  }
  if (operands.bias) {
    const { value, boolean } = operands.bias;
    scores = boolean
      ? build.node('Where', [value, scores, build.float(Number.NEGATIVE_INFINITY)])
      : build.node('Add', [scores, build.float32(value)]);
  }
  if (operands.causal || operands.window !== undefined)
    scores = build.node('Where', [unseen(build, q, k, operands.window), build.float(Number.NEGATIVE_INFINITY), scores]);
  if (operands.sink === undefined) return build.node('Softmax', [scores], { axis: -1 });

  const logit =
    operands.sink === ''
      ? build.float(0)
      : build.node('Reshape', [build.float32(operands.sink), build.ints([1, -1, 1, 1])]);
  const rows = build.node('Slice', [build.node('Shape', [scores]), build.ints([0]), build.ints([3])]);
  const column = build.node('Expand', [logit, build.node('Concat', [rows, build.ints([1])], { axis: 0 })]);
  const pattern = build.node('Softmax', [build.node('Concat', [scores, column], { axis: -1 })], { axis: -1 });
  return build.slice(pattern, 3, 0, -1);
}

/** Key heads repeated for the query heads that share them, neighbours first. */
function repeated(build: Builder, q: string, k: string): string {
  const one = build.ints([1]);
  const share = build.node('Div', [build.extent(q, 1), build.extent(k, 1)]);
  const times = build.node('Concat', [one, one, build.node('Reshape', [share, one]), one], { axis: 0 });
  const copies = build.node('Expand', [build.node('Reshape', [k, build.ints([0, 0, 1, -1])]), times]);
  const [own, given] = [build.node('Shape', [k]), build.node('Shape', [q])];
  const extents = build.node('Concat', [build.slice(given, 0, 0, 2), build.slice(own, 0, 2, 4)], { axis: 0 });
  return build.node('Reshape', [copies, extents]);
}

/** 1/√head_dim of queries [batch, heads, queries, head_dim]. */
function inverseRoot(build: Builder, q: string): string {
  const extent = build.node('Cast', [build.extent(q, 3)], { to: DataType.float });
  return build.node('Div', [build.float(1), build.node('Sqrt', [extent])]);
}

/** True where key j lies after query i, or `window` or more before it; queries are the last of the keys. */
function unseen(build: Builder, q: string, k: string, window: number | undefined): string {
  const [queries, keys] = [build.extent(q, 2), build.extent(k, 2)];
  const first = build.node('Sub', [keys, queries]);
  const i = build.node('Reshape', [build.node('Range', [first, keys, build.int(1)]), build.ints([-1, 1])]);
  const j = build.node('Reshape', [build.node('Range', [build.int(0), keys, build.int(1)]), build.ints([1, -1])]);
  const after = build.node('Greater', [j, i]);
  if (window === undefined) return after;
  const seen = build.node('Greater', [j, build.node('Sub', [i, build.int(window)])]);
  return build.node('Or', [after, build.node('Not', [seen])]);
}

type Rebuild = (build: Builder, node: Node, model: Model) => Operands | undefined;

const rebuilders: Readonly<Record<string, Rebuild>> = {
  'com.microsoft.Attention': packedWeights,
  'com.microsoft.QAttention': packedWeights,
  'com.microsoft.MultiHeadAttention': multiHead,
  'com.microsoft.GroupQueryAttention': groupQuery,
  '.Attention': standard,
};

/** As the end of a slice: all that is left. */
const maxExtent = 2 ** 31 - 1;

/** com.microsoft Attention and QAttention: the projections to Q, K, V are inside, as one matrix and one bias. */
function packedWeights(build: Builder, node: Node, model: Model): Operands | undefined {
  const quantised = node.op === 'QAttention';
  const argument = (index: number) => node.inputs[index] ?? '';
  const dequantised = (value: number, scale: number, zero: number) =>
    build.node(
      'DequantizeLinear',
      [argument(value), argument(scale), argument(zero)].filter((name) => name !== ''),
      { axis: 1 },
    );
  const x = quantised ? dequantised(0, 3, 6) : argument(0);
  const weight = quantised ? dequantised(1, 4, 7) : argument(1);
  const heads = intAttribute(node, 'num_heads', 0);
  const columns = model.graph.initializers.get(argument(1))?.dims.at(-1);
  const sizes = intsAttribute(node, 'qkv_hidden_sizes');
  const [queryWidth, keyWidth] = sizes ?? (columns ? [columns / 3, columns / 3] : []);
  if (!Number.isInteger(queryWidth) || !Number.isInteger(keyWidth) || heads < 1) return undefined;
  let qkv = build.node('MatMul', [x, weight]);
  if (argument(2)) qkv = build.node('Add', [qkv, argument(2)]);
  const bias = argument(quantised ? -1 : 5);
  return {
    q: build.heads(build.slice(qkv, 2, 0, queryWidth), heads),
    k: build.heads(build.slice(qkv, 2, queryWidth, queryWidth + keyWidth), heads),
    v: build.heads(build.slice(qkv, 2, queryWidth + keyWidth, maxExtent), heads),
    grouped: false,
    scale: floatAttribute(node, 'scale', 0),
    causal: intAttribute(node, 'unidirectional', 0) !== 0,
    bias: bias ? { value: bias, boolean: false } : undefined,
  };
}

/** com.microsoft MultiHeadAttention: Q, K, V apart, or packed as [batch, tokens, heads, 3 (or 2), head_dim]. */
function multiHead(build: Builder, node: Node, model: Model): Operands | undefined {
  const [query = '', key = '', value = '', bias = '', , attentionBias = ''] = node.inputs;
  const heads = intAttribute(node, 'num_heads', 0);
  if (heads === 0) return undefined;
  const packed = (value: string, index: number) =>
    build.transpose(build.node('Gather', [value, build.int(index)], { axis: 3 }), [0, 2, 1, 3]);
  const rank = (value: string) => model.graph.valueInfo.get(value)?.shape?.length ?? 3;
  const width = (model.graph.initializers.get(bias)?.dims[0] ?? 0) / 3;
  if (bias && !Number.isInteger(width)) return undefined;
  const biased = (value: string, index: number) =>
    bias ? build.node('Add', [value, build.slice(bias, 0, index * width, (index + 1) * width)]) : value;
  const q = key ? build.heads(biased(query, 0), heads) : packed(query, 0);
  const k = !key
    ? packed(query, 1)
    : rank(key) === 5
      ? packed(key, 0)
      : rank(key) === 4
        ? key
        : build.heads(biased(key, 1), heads);
  const v = !key
    ? packed(query, 2)
    : rank(key) === 5
      ? packed(key, 1)
      : rank(value) === 4
        ? value
        : build.heads(biased(value, 2), heads);
  return {
    q,
    k,
    v,
    grouped: false,
    scale: floatAttribute(node, 'scale', 0),
    causal: intAttribute(node, 'unidirectional', 0) !== 0,
    bias: attentionBias ? { value: attentionBias, boolean: false } : undefined,
  };
}

/** com.microsoft GroupQueryAttention: causal, with key/value heads shared, rotary positions inside, window, sinks. */
function groupQuery(build: Builder, node: Node, model: Model): Operands {
  const argument = (index: number) => node.inputs[index] ?? '';
  const heads = intAttribute(node, 'num_heads', 0);
  const kvHeads = intAttribute(node, 'kv_num_heads', heads);
  let q: string;
  let k: string;
  let v: string;
  if (argument(1)) {
    q = build.heads(argument(0), heads);
    k = build.heads(argument(1), kvHeads);
    v = build.heads(argument(2), kvHeads);
  } else {
    const all = build.heads(argument(0), heads + 2 * kvHeads);
    q = build.slice(all, 1, 0, heads);
    k = build.slice(all, 1, heads, heads + kvHeads);
    v = build.slice(all, 1, heads + kvHeads, heads + 2 * kvHeads);
  }
  if (intAttribute(node, 'do_rotary', 0) && argument(7)) {
    const half = model.graph.initializers.get(argument(7))?.dims[1];
    const positions = argument(9) || build.ints([0]);
    const rotated = (value: string, count: number) =>
      build.node(
        'RotaryEmbedding',
        [value, positions, argument(7), argument(8)],
        {
          interleaved: intAttribute(node, 'rotary_interleaved', 0),
          ...(half ? { num_heads: count, rotary_embedding_dim: 2 * half } : {}),
        },
        node.domain,
      );
    [q, k] = [rotated(q, heads), rotated(k, kvHeads)];
  }
  const window = intAttribute(node, 'local_window_size', -1);
  const smooth = intAttribute(node, 'smooth_softmax', 0) === 1;
  return {
    q,
    k,
    v,
    grouped: kvHeads !== heads,
    scale: floatAttribute(node, 'scale', 0),
    softcap: floatAttribute(node, 'softcap', 0),
    causal: true,
    window: window > 0 ? window : undefined,
    bias: argument(10) ? { value: argument(10), boolean: false } : undefined,
    sink: argument(11) || smooth ? argument(11) : undefined,
  };
}

/** ai.onnx Attention (opset 23 and later). */
function standard(build: Builder, node: Node, model: Model): Operands {
  const [query = '', key = '', value = '', mask = '', pastKey = '', pastValue = ''] = node.inputs;
  const heads = intAttribute(node, 'q_num_heads', 0);
  const kvHeads = intAttribute(node, 'kv_num_heads', heads);
  const q = heads ? build.heads(query, heads) : query;
  const own = heads ? build.heads(key, kvHeads) : key;
  const ownValue = heads ? build.heads(value, kvHeads) : value;
  const window = intAttribute(node, 'left_window_size', -1);
  return {
    q,
    k: pastKey ? build.node('Concat', [pastKey, own], { axis: 2 }) : own,
    v: pastValue ? build.node('Concat', [pastValue, ownValue], { axis: 2 }) : ownValue,
    // Where the operator leaves its heads to the shapes, sharing is left to them too.
    grouped: heads === 0 || kvHeads !== heads,
    scale: floatAttribute(node, 'scale', 0),
    softcap: floatAttribute(node, 'softcap', 0),
    causal: intAttribute(node, 'is_causal', 0) !== 0,
    window: window >= 0 ? window + 1 : undefined,
    bias: mask ? { value: mask, boolean: isBoolean(model, mask) } : undefined,
  };
}

const logical = new Set('And Or Not Xor Equal Less LessOrEqual Greater GreaterOrEqual IsNaN IsInf'.split(' '));
const shaping = new Set(
  'Identity Reshape Unsqueeze Squeeze Expand Transpose Slice Gather GatherND Concat Pad'.split(' '),
);

/** Whether a mask is boolean: declared so, or made by a logical operator. */
function isBoolean(model: Model, value: string): boolean {
  const { graph } = model;
  const info = graph.valueInfo.get(value) ?? graph.inputs.find(({ name }) => name === value);
  if (info?.type !== undefined) return info.type === DataType.bool;
  const tensor = graph.initializers.get(value);
  if (tensor) return tensor.type === DataType.bool;
  const node = graph.nodes.find(({ outputs }) => outputs.includes(value));
  if (!node) return false;
  if (node.op === 'Cast') return intAttribute(node, 'to', 0) === DataType.bool;
  return logical.has(node.op) || (shaping.has(node.op) && isBoolean(model, node.inputs[0] ?? ''));
}

/** Collects nodes under fresh names. Uses only forms of operators that are the same in every opset since 11. */
class Builder {
  readonly nodes: Node[] = [];

  constructor(private readonly prefix: string) {}

  node(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, number | readonly number[]>> = {},
    domain = '',
  ): string {
    const entries = Object.entries(attributes).map(([name, value]): [string, Attribute] => [
      name,
      typeof value === 'number' ? { kind: 'int', value: BigInt(value) } : { kind: 'ints', value: value.map(BigInt) },
    ]);
    return this.add(op, inputs, new Map(entries), domain);
  }

  ints(values: readonly number[]): string {
    return this.constant(DataType.int64, [values.length], new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
  }

  int(value: number): string {
    return this.constant(DataType.int64, [], new Uint8Array(BigInt64Array.of(BigInt(value)).buffer));
  }

  float(value: number): string {
    return this.constant(DataType.float, [], new Uint8Array(Float32Array.of(value).buffer));
  }

  float32(value: string): string {
    return this.node('Cast', [value], { to: DataType.float });
  }

  transpose(value: string, perm: readonly number[]): string {
    return this.node('Transpose', [value], { perm });
  }

  slice(value: string, axis: number, start: number, end: number): string {
    return this.node('Slice', [value, this.ints([start]), this.ints([end]), this.ints([axis])]);
  }

  /** Extent of an axis, a scalar. */
  extent(value: string, axis: number): string {
    return this.node('Gather', [this.node('Shape', [value]), this.int(axis)]);
  }

  /** [batch, tokens, heads · head_dim] to [batch, heads, tokens, head_dim]. */
  heads(value: string, heads: number): string {
    return this.transpose(this.node('Reshape', [value, this.ints([0, 0, heads, -1])]), [0, 2, 1, 3]);
  }

  private constant(type: DataType, dims: readonly number[], data: Uint8Array): string {
    return this.add(
      'Constant',
      [],
      new Map([['value', { kind: 'tensor', value: { name: '', type, dims, data } }]]),
      '',
    );
  }

  private add(
    op: string,
    inputs: readonly string[],
    attributes: ReadonlyMap<string, Attribute>,
    domain: string,
  ): string {
    const name = `${this.prefix}${this.nodes.length}`;
    this.nodes.push({ name, op, domain, inputs, outputs: [name], attributes });
    return name;
  }
}
