/**
 * com.microsoft Attention and QAttention: the projections to Q, K, V are inside, as one matrix and one bias.
 * Source: ContribOperators.md of ONNX Runtime.
 */
import { floatAttribute, intAttribute, intsAttribute } from '../../onnx/model.js';
import type { Builder } from './builder.js';
import {
  type AttentionOperator,
  argument,
  type Call,
  hidden,
  type Obstacle,
  type Operands,
  unstated,
} from './operator.js';

export const attention: AttentionOperator = {
  domain: 'com.microsoft',
  op: 'Attention',
  inputs: ['states', 'weight', 'bias', 'padding', 'past', 'mask', 'past-length'],
  outputs: ['weighed', 'present'],
  heads: 'num_heads',
  rebuild: (call, build) => projected(call, build, argument(call, 'states'), argument(call, 'weight')),
};

export const quantisedAttention: AttentionOperator = {
  domain: 'com.microsoft',
  op: 'QAttention',
  inputs: ['states', 'weight', 'bias', 'states-scale', 'weight-scale', 'padding', 'states-zero', 'weight-zero', 'past'],
  outputs: ['weighed', 'present'],
  heads: 'num_heads',
  rebuild(call, build) {
    const dequantised = (...roles: Parameters<typeof argument>[1][]) =>
      build.node(
        'DequantizeLinear',
        roles.map((role) => argument(call, role)).filter((value) => value !== ''),
        { axis: 1 },
      );
    const states = dequantised('states', 'states-scale', 'states-zero');
    return projected(call, build, states, dequantised('weight', 'weight-scale', 'weight-zero'));
  },
};

/** As the end of a slice: all that is left. */
const maxExtent = 2 ** 31 - 1;

/** Queries, keys and values are columns of `states` times `weight`, in this order. */
function projected(call: Call, build: Builder, states: string, weight: string): Operands | Obstacle {
  const { node, model } = call;
  if (intAttribute(node, 'do_rotary', 0)) return hidden(node, ' with do_rotary');
  const heads = intAttribute(node, 'num_heads', 0);
  if (heads < 1) return unstated(node, 'its heads');
  const third = (model.graph.initializers.get(argument(call, 'weight'))?.dims.at(-1) ?? 0) / 3;
  const [queries = 0, keys = 0] = intsAttribute(node, 'qkv_hidden_sizes') ?? [third, third];
  if (!(Number.isInteger(queries) && Number.isInteger(keys) && queries > 0 && keys > 0))
    return unstated(node, 'how wide its queries and keys are');
  const bias = argument(call, 'bias');
  const product = build.node('MatMul', [states, weight]);
  const qkv = bias ? build.node('Add', [product, bias]) : product;
  const [mask, past] = [argument(call, 'mask'), argument(call, 'past')];
  const cached = (part: number) => (past === '' ? '' : build.node('Gather', [past, build.int(part)], { axis: 0 }));
  return {
    q: build.heads(build.slice(qkv, 2, 0, queries), heads),
    k: build.behind(cached(0), build.heads(build.slice(qkv, 2, queries, queries + keys), heads)),
    v: build.behind(cached(1), build.heads(build.slice(qkv, 2, queries + keys, maxExtent), heads)),
    grouped: false,
    scale: floatAttribute(node, 'scale', 0),
    causal: intAttribute(node, 'unidirectional', 0) !== 0,
    bias: mask ? { value: mask, boolean: false } : undefined,
  };
}
