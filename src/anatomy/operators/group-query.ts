/**
 * com.microsoft GroupQueryAttention: key/value heads shared, rotary positions inside, window, sinks; causal unless it says
 * otherwise.
 * Source: ContribOperators.md of ONNX Runtime.
 */
import { floatAttribute, intAttribute, type Node } from '../../onnx/model.js';
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
    const rotate = rotation(call, build);
    return {
      q: rotate(q, heads),
      k: rotate(k, kvHeads),
      v,
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

/** What turns queries and keys by their positions, where the operator does. */
function rotation(call: Call, build: Builder): (value: string, heads: number) => string {
  const { node, model } = call;
  const [cos, sin] = [argument(call, 'cos'), argument(call, 'sin')];
  if (!intAttribute(node, 'do_rotary', 0) || !cos) return (value) => value;
  const half = model.graph.initializers.get(cos)?.dims[1];
  const positions = argument(call, 'positions') || build.ints([0]);
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
