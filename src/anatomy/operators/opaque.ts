/**
 * Attention operators of ONNX Runtime whose pattern cannot be rebuilt: they are recognised and named.
 * Source: ContribOperators.md of ONNX Runtime.
 */
import type { AttentionOperator } from './operator.js';

export const opaqueOperators: readonly AttentionOperator[] = [
  {
    domain: 'com.microsoft',
    op: 'SparseAttention',
    inputs: [
      'query',
      'key',
      'value',
      'past-key',
      'past-value',
      'other', // rows and columns of the blocks that are seen
      'other',
      'key-count',
      'key-count',
      'cos',
      'sin',
    ],
    outputs: ['weighed', 'present-key', 'present-value'],
    heads: 'num_heads',
    kvHeads: 'kv_num_heads',
  },
  {
    domain: 'com.microsoft',
    op: 'PagedAttention',
    inputs: [
      'query',
      'key',
      'value',
      'other', // pages of keys and of values
      'other',
      'other', // where each sequence begins
      'past-length',
      'other', // which pages are whose
      'cos',
      'sin',
      'other', // where the new tokens go
      'sink',
      'query-norm',
      'key-norm',
      'key-scale',
      'value-scale',
      'other',
    ],
    outputs: ['weighed'],
    heads: 'num_heads',
    kvHeads: 'kv_num_heads',
  },
  {
    domain: 'com.microsoft',
    op: 'PackedAttention',
    // Tokens of all sequences one after another, without padding.
    inputs: ['states', 'weight', 'bias', 'other', 'other', 'mask'],
    outputs: ['weighed'],
    heads: 'num_heads',
  },
  {
    domain: 'com.microsoft',
    op: 'PackedMultiHeadAttention',
    inputs: ['query', 'key', 'value', 'bias', 'other', 'other', 'mask'],
    outputs: ['weighed'],
    heads: 'num_heads',
  },
  {
    domain: 'com.microsoft',
    op: 'DecoderAttention',
    inputs: [
      'query',
      'key',
      'weight', // of queries, then of keys and values
      'weight',
      'bias',
      'padding',
      'past-key',
      'past-value',
      'other', // switches
      'other',
      'other',
      'other',
    ],
    outputs: ['weighed', 'present-key', 'present-value'],
    heads: 'num_heads',
  },
  {
    domain: 'com.microsoft',
    op: 'DecoderMaskedSelfAttention',
    inputs: ['states', 'weight', 'bias', 'padding', 'past', 'mask', 'past-length', 'other', 'other'],
    outputs: ['weighed', 'present'],
    heads: 'num_heads',
  },
  {
    domain: 'com.microsoft',
    op: 'DecoderMaskedMultiHeadAttention',
    inputs: [
      'query',
      'key',
      'value',
      'padding',
      'mask',
      'past-key',
      'past-value',
      'past-length',
      'other',
      'other',
      'bias',
    ],
    outputs: ['weighed', 'present-key', 'present-value', 'scores'],
    heads: 'num_heads',
  },
  {
    domain: 'com.microsoft',
    op: 'LongformerAttention',
    inputs: ['states', 'weight', 'bias', 'padding', 'other', 'other', 'other'],
    outputs: ['weighed'],
    heads: 'num_heads',
  },
  {
    domain: 'com.microsoft',
    op: 'QOrderedAttention',
    inputs: [
      'states',
      'states-scale',
      'other', // scales of the projections' results
      'other',
      'other',
      'weight', // of queries, keys and values
      'weight',
      'weight',
      'weight-scale',
      'weight-scale',
      'weight-scale',
      'bias',
      'bias',
      'bias',
      'other', // scales of the scores, of the pattern and of what it weighs
      'other',
      'other',
      'padding',
      'past',
      'mask',
    ],
    outputs: ['weighed'],
    heads: 'num_heads',
  },
];
