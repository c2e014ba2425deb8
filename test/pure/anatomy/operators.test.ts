/** The table of attention operators against what ONNX Runtime and onnx declare of them (`operators.py`). */
import { describe, expect, it } from 'vitest';
import { attentionOperators } from '../../../src/anatomy/operators/table.js';
import declared from './operators.json' with { type: 'json' };

/** What an input of this name is, whichever operator has it. */
const meanings: readonly (readonly [role: string, names: RegExp])[] = [
  ['states', /^input$/],
  ['weight', /^(weights?|[QKV]_weight|q_weight|kv_weight)$/],
  ['bias', /^([QKV]_)?bias$/],
  ['query', /^(query|Q)$/],
  ['key', /^(key|K)$/],
  ['value', /^(value|V)$/],
  ['padding', /^(mask_index|key_padding_mask|mask)$/],
  ['mask', /^(attention_bias|attn_mask)$/],
  ['past', /^past$/],
  ['past-key', /^past_key$/],
  ['past-value', /^past_value$/],
  ['past-length', /^past_(sequence_length|seqlens)$/],
  ['last-key', /^seqlens_k$/],
  ['key-count', /^(total_sequence_length|key_total_sequence_lengths|nonpad_kv_seqlen)$/],
  ['cos', /^cos_cache$/],
  ['sin', /^sin_cache$/],
  ['positions', /^position_ids$/],
  ['sink', /^head_sink$/],
  ['states-scale', /^(input_scale|scale_input)$/],
  ['states-zero', /^input_zero_point$/],
  ['weight-scale', /^(weight_scale|scale_[QKV]_weight)$/],
  ['weight-zero', /^weight_zero_point$/],
  ['key-scale', /^k_scale$/],
  ['value-scale', /^v_scale$/],
  ['query-norm', /^q_norm_weight$/],
  ['key-norm', /^k_norm_weight$/],
];

/** Names that are other things elsewhere: DecoderAttention's caches are no pages, as PagedAttention's are. */
const exceptions: Readonly<Record<string, string>> = {
  'com.microsoft.DecoderAttention key_cache': 'past-key',
  'com.microsoft.DecoderAttention value_cache': 'past-value',
};

const results: readonly (readonly [result: string, names: RegExp])[] = [
  ['weighed', /^(output|Y)$/],
  ['present', /^present$/],
  ['present-key', /^(present_key|new_key_cache)$/],
  ['present-value', /^(present_value|new_value_cache)$/],
  ['scores', /^(qk|output_qk|qk_matmul_output)$/],
];

const meaningOf = (table: typeof meanings, name: string) => table.find(([, names]) => names.test(name))?.[0];

describe.each(attentionOperators.map((operator) => [`${operator.domain}.${operator.op}`, operator] as const))(
  '%s',
  (name, { inputs, outputs, heads, kvHeads }) => {
    const schema = new Map(Object.entries(declared)).get(name);

    it('takes what its schema declares, in this order', () => {
      const roles = schema?.inputs.map(
        (input) => exceptions[`${name} ${input}`] ?? meaningOf(meanings, input) ?? 'other',
      );
      expect(inputs).toEqual(roles);
    });

    it('gives what its schema declares', () => {
      const given = schema?.outputs.map((output) => meaningOf(results, output) ?? 'other');
      expect(outputs).toEqual(given?.filter((result) => result !== 'other'));
    });

    it('counts heads where its schema does', () => {
      expect(schema?.attributes).toContain(heads);
      expect(kvHeads).toBe(schema?.attributes.find((attribute) => attribute === 'kv_num_heads'));
    });
  },
);

it('is known by one entry', () => {
  const names = attentionOperators.map(({ domain, op }) => `${domain}.${op}`);
  expect(new Set(names).size).toBe(names.length);
});
