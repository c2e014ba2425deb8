/**
 * com.microsoft MultiHeadAttention: Q, K, V apart, or packed as [batch, tokens, heads, 3 (or 2), head_dim].
 * Source: ContribOperators.md of ONNX Runtime.
 */
import { floatAttribute, intAttribute } from '../../onnx/model.js';
import { type AttentionOperator, argument, hidden, unstated } from './operator.js';

export const multiHeadAttention: AttentionOperator = {
  domain: 'com.microsoft',
  op: 'MultiHeadAttention',
  inputs: [
    'query',
    'key',
    'value',
    'bias',
    'padding',
    'mask',
    'past-key',
    'past-value',
    'past-length',
    'other', // cache_indirection, of beam search
  ],
  outputs: ['weighed', 'present-key', 'present-value', 'scores'],
  heads: 'num_heads',
  rebuild(call, build) {
    const { node, model } = call;
    const [query, key, value] = [argument(call, 'query'), argument(call, 'key'), argument(call, 'value')];
    const [bias, mask] = [argument(call, 'bias'), argument(call, 'mask')];
    const heads = intAttribute(node, 'num_heads', 0);
    if (heads < 1) return unstated(node, 'its heads');
    const width = (model.graph.initializers.get(bias)?.dims[0] ?? 0) / 3;
    if (bias && !(Number.isInteger(width) && width > 0))
      return hidden(node, ' with a bias that is no constant of three equal parts');
    const packed = (value: string, index: number) =>
      build.transpose(build.node('Gather', [value, build.int(index)], { axis: 3 }), [0, 2, 1, 3]);
    const biased = (value: string, index: number) =>
      bias ? build.node('Add', [value, build.slice(bias, 0, index * width, (index + 1) * width)]) : value;
    const rank = (value: string) => model.graph.valueInfo.get(value)?.shape?.length ?? 3;
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
      k: build.behind(argument(call, 'past-key'), k),
      v: build.behind(argument(call, 'past-value'), v),
      grouped: false,
      scale: floatAttribute(node, 'scale', 0),
      causal: intAttribute(node, 'unidirectional', 0) !== 0,
      bias: mask ? { value: mask, boolean: false } : undefined,
    };
  },
};
