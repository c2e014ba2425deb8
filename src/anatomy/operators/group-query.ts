/**
 * com.microsoft GroupQueryAttention: key/value heads shared, rotary positions inside, window, sinks; causal unless it says
 * otherwise.
 * Source: ContribOperators.md of ONNX Runtime.
 */
import { DataType, floatAttribute, intAttribute, type Node } from '../../onnx/model.js';
import type { Builder } from './builder.js';
import { type AttentionOperator, argument, type Call, hidden, unstated } from './operator.js';

export const groupQueryAttention: AttentionOperator = {
  domain: 'com.microsoft',
  op: 'GroupQueryAttention',
  inputs: [
    'query',
    'key',
    'value',
    'past-key',
    'past-value',
    'last-key',
    'key-count',
    'cos',
    'sin',
    'positions',
    'mask',
    'sink',
    'key-scale',
    'value-scale',
    'query-norm',
    'key-norm',
  ],
  outputs: ['weighed', 'present-key', 'present-value', 'scores'],
  heads: 'num_heads',
  kvHeads: 'kv_num_heads',
  room: (node) => (intAttribute(node, 'sliding_window_cache', 0) ? windowOf(node) : undefined),
  rebuild(call, build) {
    const { node } = call;
    const heads = intAttribute(node, 'num_heads', 0);
    if (heads < 1) return unstated(node, 'its heads');
    if (argument(call, 'query-norm') || argument(call, 'key-norm'))
      return hidden(node, ' with norms of queries and keys');
    const kvHeads = intAttribute(node, 'kv_num_heads', heads);
    const [mask, sink] = [argument(call, 'mask'), argument(call, 'sink')];
    const { q, k, v } = split(call, build, heads, kvHeads);
    const before = tokensBefore(call, build, q);
    const rotate = rotation(call, build, before);
    // Of a buffer, what is filled stands first.
    const filled = (role: 'past-key' | 'past-value') => {
      const past = argument(call, role);
      return past && before ? build.node('Slice', [past, build.ints([0]), before, build.ints([2])]) : '';
    };
    return {
      q: rotate(q, heads),
      k: build.behind(filled('past-key'), rotate(k, kvHeads)),
      v: build.behind(filled('past-value'), v),
      grouped: kvHeads !== heads,
      scale: floatAttribute(node, 'scale', 0),
      softcap: floatAttribute(node, 'softcap', 0),
      causal: intAttribute(node, 'causal', 1) !== 0 || windowOf(node) !== undefined,
      window: windowOf(node),
      bias: mask ? { value: mask, boolean: false } : undefined,
      sink: sink || intAttribute(node, 'smooth_softmax', 0) === 1 ? sink : undefined,
    };
  },
};

/** Keys that a query sees, its own included. */
function windowOf(node: Node): number | undefined {
  const window = intAttribute(node, 'local_window_size', -1);
  return window > 0 ? window : undefined;
}

/** Queries, keys and values, [batch, heads, tokens, head_dim]: given apart, or as heads of the query one after another. */
function split(call: Call, build: Builder, heads: number, kvHeads: number) {
  const [query, key] = [argument(call, 'query'), argument(call, 'key')];
  if (key)
    return {
      q: build.heads(query, heads),
      k: build.heads(key, kvHeads),
      v: build.heads(argument(call, 'value'), kvHeads),
    };
  const all = build.heads(query, heads + 2 * kvHeads);
  return {
    q: build.slice(all, 1, 0, heads),
    k: build.slice(all, 1, heads, heads + kvHeads),
    v: build.slice(all, 1, heads + kvHeads, heads + 2 * kvHeads),
  };
}

/** Tokens behind the first query, [1], as the index of the last key tells; '' where that is left out. */
function tokensBefore(call: Call, build: Builder, q: string): string {
  const last = argument(call, 'last-key');
  if (last === '') return '';
  const index = build.node('Reshape', [build.node('Cast', [last], { to: DataType.int64 }), build.ints([-1])]);
  const first = build.slice(index, 0, 0, 1);
  return build.node('Sub', [build.node('Add', [first, build.ints([1])]), build.extent(q, 2)]);
}

/**
 * What turns queries and keys by their positions, where the operator does.
 *
 * @param before the first position, [1]; '' for 0
 */
function rotation(call: Call, build: Builder, before: string): (value: string, heads: number) => string {
  const { node, model } = call;
  const [cos, sin] = [argument(call, 'cos'), argument(call, 'sin')];
  if (!intAttribute(node, 'do_rotary', 0) || !cos) return (value) => value;
  const half = model.graph.initializers.get(cos)?.dims[1];
  const positions = argument(call, 'positions') || before || build.ints([0]);
  return (value, heads) =>
    build.node(
      'RotaryEmbedding',
      [value, positions, cos, sin],
      {
        interleaved: intAttribute(node, 'rotary_interleaved', 0),
        ...(half ? { num_heads: heads, rotary_embedding_dim: 2 * half } : {}),
      },
      node.domain,
    );
}
