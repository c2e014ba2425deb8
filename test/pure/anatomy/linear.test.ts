/** Which products with a weight read what. Exporters name nodes after modules: what a node is, its name tells. */
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type LinearInput, type LinearPart, linearInputs } from '../../../src/anatomy/linear.js';
import { recognise } from '../../../src/anatomy/recognise.js';
import { streamsOf } from '../../../src/anatomy/streams.js';
import { prepare } from '../../../src/onnx/prepare.js';
import { readModel } from '../../../src/onnx/read.js';
import { attentionLines, modelOf } from '../../support/graph.js';
import { at, found } from '../../support/lists.js';
import { folders } from '../../zoo/known.js';

const inputsOf = (file: string): readonly LinearInput[] => {
  const [{ model, anatomy }] = streamsOf(prepare(readModel(file)));
  return linearInputs(model, anatomy);
};

/** What modules are called in Hugging Face's, torch's and onnxruntime-genai's models. */
const names: readonly (readonly [RegExp, LinearPart])[] = [
  [/(self_attn|attn)\/(q|k|v|qkv)_proj\/MatMul/, 'attn_in'],
  [/(c_attn|query_key_value|self\/(query|key|value)|SelfAttention\/(q|k|v))\/(MatMul|Gemm)/, 'attn_in'],
  [/(self_attn\/(o_proj|out_proj|dense)|attn\/(c_proj|o_proj)|attention\/output\/dense)\/(MatMul|Gemm)/, 'attn_out'],
  [/(self_attention|attention)\/dense\/MatMul/, 'attn_out'],
  [/(mlp\/(gate_proj|up_proj|gate_up_proj|c_fc|fc1|dense_h_to_4h)|intermediate\/dense)\/(MatMul|Gemm)/, 'mlp_in'],
  [/mlp\/(down_proj|c_proj|fc2|dense_4h_to_h)\/(MatMul|Gemm)/, 'mlp_out'],
  [/lm_head\/MatMul/, 'head'],
];

/** The encoder that stands beside a decoder, and attention that is not the one shown of its block. */
const beside = /\/encoder\/block|temporal_attention/;

describe('nodes are what exporters call them', () => {
  const seen = new Map<LinearPart, number>();
  it.each(folders.map((folder) => [basename(folder), folder] as const))('%s', (_, folder) => {
    const inputs = inputsOf(join(folder, 'model.onnx'));
    expect(inputs).not.toEqual([]);
    for (const { block, products } of inputs)
      for (const { node, part } of products) {
        const [, expected] = names.find(([pattern]) => pattern.test(node.name)) ?? [];
        if (expected === undefined || beside.test(node.name)) continue;
        expect.soft([node.name, part]).toEqual([node.name, expected]);
        const [, index] = /(?:layers?|h|block)\.(\d+)\//.exec(node.name) ?? [];
        if (index !== undefined && !node.name.includes('albert')) expect.soft(block, node.name).toBe(Number(index) + 1);
        seen.set(expected, (seen.get(expected) ?? 0) + 1);
      }
  });

  it('and many are', () => {
    for (const part of ['attn_in', 'attn_out', 'mlp_in', 'mlp_out'] as const)
      expect(seen.get(part), part).toBeGreaterThan(40);
    expect(seen.get('head')).toBeGreaterThan(10);
  });
});

describe('a tensor is one entry', () => {
  const named = (folder: string) => {
    const path = found(folders, (one) => basename(one) === folder);
    return inputsOf(join(path, 'model.onnx')).map(({ block, part, products }) => [
      block,
      part,
      products.map(({ node, stored }) => [node.name, ...stored]),
    ]);
  };

  it('of all that read it, with the names of the file', () => {
    expect(named('llama-int8-dynamic').slice(0, 4)).toEqual([
      [
        1,
        'attn_in',
        [
          ['/model/layers.0/self_attn/q_proj/MatMul_quant', 'onnx::MatMul_1020_quantized'],
          ['/model/layers.0/self_attn/k_proj/MatMul_quant', 'onnx::MatMul_1027_quantized'],
          ['/model/layers.0/self_attn/v_proj/MatMul_quant', 'onnx::MatMul_1028_quantized'],
        ],
      ],
      [1, 'attn_out', [['/model/layers.0/self_attn/o_proj/MatMul_quant', 'onnx::MatMul_1051_quantized']]],
      [
        1,
        'mlp_in',
        [
          ['/model/layers.0/mlp/gate_proj/MatMul_quant', 'onnx::MatMul_1052_quantized'],
          ['/model/layers.0/mlp/up_proj/MatMul_quant', 'onnx::MatMul_1053_quantized'],
        ],
      ],
      [1, 'mlp_out', [['/model/layers.0/mlp/down_proj/MatMul_quant', 'onnx::MatMul_1054_quantized']]],
    ]);
  });

  it('where the projections are inside the attention', () => {
    expect(at(named('bert-ort-fused'), 0)).toEqual([1, 'attn_in', [['Attention_0', 'Attention_0_qkv_weight']]]);
  });

  it('where latents, low ranks and experts are between', () => {
    expect(named('deepseek_v3-ts-op17').map(([block, part]) => [block, part])).toEqual(
      expect.arrayContaining([
        [1, 'attn_latent'],
        [2, 'expert_in'],
        [2, 'expert_out'],
      ]),
    );
    const experts = named('mixtral-dynamo-op18').filter(([, part]) => part === 'expert_in' || part === 'expert_out');
    expect(experts.map(([block, part]) => `${block} ${part}`)).toEqual(
      [1, 2, 3].flatMap((block) => [`${block} expert_in`, `${block} expert_out`]),
    );
    expect(named('module-adapters-ts-op17').filter(([, part]) => part === 'low_rank')).not.toEqual([]);
  });
});

describe('operators', () => {
  /** A model whose one block has this MLP, from `normed` to `added`. */
  const mlpOf = (lines: string, more: Parameters<typeof modelOf>[1] = {}) => {
    const model = prepare(
      modelOf(
        `h0 = Gather(table, ids)
         ${attentionLines}
         normed = LayerNormalization(h1, gain) axis=-1
         ${lines}
         h2 = Add(h1, added)
         out = MatMul(h2, turned)`,
        {
          inputs: { ids: ['batch', 'tokens'] },
          types: { ids: 7 },
          outputs: ['out'],
          ...more,
          weights: {
            table: [40, 8],
            turned: [8, 40],
            square: [8, 8],
            gain: [8],
            up: [8, 32],
            down: [32, 8],
            upTurned: [32, 8],
            downTurned: [8, 32],
            ...more.weights,
          },
        },
      ),
    );
    return linearInputs(model, recognise(model))
      .filter(({ part }) => !part.startsWith('attn') && part !== 'head')
      .map(({ part, tensor, axis, products }) => [part, tensor, axis, products.flatMap(({ stored }) => stored)]);
  };

  it.each<[string, string, ReturnType<typeof mlpOf>]>([
    [
      'a convolution without neighbours',
      `turned1 = Transpose(normed) perm=0,2,1
       wide = Conv(turned1, convUp) kernel_shape=1
       inner = Relu(wide)
       narrow = Conv(inner, convDown)
       added = Transpose(narrow) perm=0,2,1`,
      [
        ['mlp_in', 'turned1', -2, ['convUp']],
        ['mlp_out', 'inner', -2, ['convDown']],
      ],
    ],
    [
      'a weight on the left, and a Gemm of what is turned',
      `turned1 = Transpose(normed) perm=0,2,1
       wide = MatMul(upTurned, turned1)
       inner = Relu(wide)
       flat = Squeeze(inner, zero)
       narrow = Gemm(flat, downTurned) transA=1 transB=1
       added = Unsqueeze(narrow, zero)`,
      [
        ['mlp_in', 'turned1', -2, ['upTurned']],
        ['mlp_out', 'flat', -2, ['downTurned']],
      ],
    ],
    [
      'experts in one operator',
      `routed = MatMul(normed, router)
       added = com.microsoft.MoE(normed, routed, stackUp, , stackDown) k=2`,
      [['expert_in', 'normed', -1, ['router', 'stackUp', 'stackDown']]],
    ],
    [
      'quantised experts in one operator',
      `routed = MatMul(normed, router)
       added = com.microsoft.QMoE(normed, routed, stackUp, scale, , stackDown, scale) k=2`,
      [['expert_in', 'normed', -1, ['router', 'stackUp', 'stackDown']]],
    ],
    [
      'weights that are dequantised',
      `x8 = QuantizeLinear(normed, scale)
       x = DequantizeLinear(x8, scale)
       w = DequantizeLinear(up, scale)
       wide = MatMul(x, w)
       inner = Relu(wide)
       half = Cast(inner) to=10
       halfDown = Cast(down) to=10
       narrow = MatMul(half, halfDown)
       added = Cast(narrow) to=1`,
      [
        ['mlp_in', 'normed', -1, ['up']],
        ['mlp_out', 'inner', -1, ['down']],
      ],
    ],
    [
      'products that are none of a vector with a matrix',
      `wide = MatMul(normed, up)
       angles = MatMul(wide, one)
       inner = Relu(wide)
       narrow = MatMul(inner, down)
       shifted = Conv(narrow, neighbours) kernel_shape=3 pads=1,1
       added = Add(narrow, shifted)`,
      [
        ['mlp_in', 'normed', -1, ['up']],
        ['mlp_out', 'inner', -1, ['down']],
      ],
    ],
  ])('%s', (_, lines, expected) => {
    const weights = {
      convUp: [32, 8, 1],
      convDown: [8, 32, 1],
      router: [8, 4],
      stackUp: [4, 32, 8],
      stackDown: [4, 8, 32],
      scale: [1],
      one: [1, 32],
      neighbours: [8, 8, 3],
    };
    expect(mlpOf(lines, { weights, integers: { zero: [0] } })).toEqual(expected);
  });

  it('a quantised product keeps its name', () => {
    const model = modelOf('y = QLinearMatMul(x, s, z, w, s, z, s, z)', {
      inputs: { x: ['tokens', 8] },
      weights: { w: [8, 8], s: [1], z: [1] },
      outputs: ['y'],
    });
    const nodes = model.graph.nodes.map((node) => ({ ...node, name: 'layer/proj' }));
    const prepared = prepare({ ...model, graph: { ...model.graph, nodes } });
    expect(prepared.graph.nodes.filter(({ op }) => op === 'MatMul').map(({ name }) => name)).toEqual(['layer/proj']);
  });
});
