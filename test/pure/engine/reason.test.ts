import { describe, expect, it } from 'vitest';
import { reasonOf } from '../../../src/engine/stages/reason.js';

/** What ONNX Runtime 1.30 said of fixtures that were fed what does not fit, and of damaged ones; on Windows, of its issues. */
const said: readonly (readonly [message: string, reason: string])[] = [
  [
    "Non-zero status code returned while running Add node. Name:'/decoder/layers.0/self_attn/Add' Status Message: /onnxruntime_src/onnxruntime/core/providers/cpu/math/element_wise_ops.h:563 void onnxruntime::BroadcastIterator::Init(ptrdiff_t, ptrdiff_t) axis == 1 || axis == largest was false. Attempting to broadcast an axis by a dimension other than 1. 4 by 8\n",
    'axis == 1 || axis == largest was false. Attempting to broadcast an axis by a dimension other than 1. 4 by 8',
  ],
  [
    "Non-zero status code returned while running Gather node. Name:'/wte/Gather' Status Message: indices element out of data bounds, idx=99999999 must be within the inclusive range [-160,159]",
    'indices element out of data bounds, idx=99999999 must be within the inclusive range [-160,159]',
  ],
  [
    "Non-zero status code returned while running If node. Name:'optimum::if' Status Message: Non-zero status code returned while running Gather node. Name:'/m/transformer/wpe/Gather' Status Message: indices element out of data bounds, idx=99999999 must be within the inclusive range [-64,63]",
    'indices element out of data bounds, idx=99999999 must be within the inclusive range [-64,63]',
  ],
  [
    "Non-zero status code returned while running GatherBlockQuantized node. Name:'/model/embed_tokens/GatherBlockQuantized' Status Message: /onnxruntime_src/onnxruntime/contrib_ops/cpu/quantization/gather_block_quantized.cc:216 onnxruntime::contrib::GatherBlockQuantized<unsigned char, long int>::CopyDataAndDequantize<float>(const unsigned char*, const long int*, const float*, const unsigned char*, float*, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, onnxruntime::concurrency::ThreadPool*) const::<lambda(int64_t, std::unordered_map<long int, long int>&)> indices_val >= -gather_axis_dim && indices_val < gather_axis_dim was false. indices element out of data bounds, idx=99999999 must be within the inclusive range [-160,159]\n",
    'indices_val >= -gather_axis_dim && indices_val < gather_axis_dim was false. indices element out of data bounds, idx=99999999 must be within the inclusive range [-160,159]',
  ],
  [
    '/onnxruntime_src/onnxruntime/core/graph/graph.cc:1295 onnxruntime::Graph::Graph(const onnxruntime::Model&, onnx::GraphProto*, const std::unordered_map<std::__cxx11::basic_string<char>, int>&, onnxruntime::Version, onnxruntime::IOnnxRuntimeOpSchemaCollectionPtr, onnxruntime::Graph*, const onnxruntime::Node*, const onnxruntime::logging::Logger&, bool) [ONNXRuntimeError] : 1 : FAIL : tensorprotoutils.cc:2128 ConstantNodeProtoToTensorProto Constant node:  has no data attributes\n',
    'Constant node: has no data attributes',
  ],
  [
    "Non-zero status code returned while running Concat node. Name:'/model/Concat_1' Status Message: concatbase.h:133 PrepareForComputeImpl Non concat axis dimensions must match: Axis 3 has mismatched dimensions of 16 and 4",
    'Non concat axis dimensions must match: Axis 3 has mismatched dimensions of 16 and 4',
  ],
  [
    "Non-zero status code returned while running Expand node. Name:'/Expand' Status Message: D:\\a\\_work\\1\\s\\onnxruntime\\core\\framework\\op_kernel.cc:83 onnxruntime::OpKernelContext::OutputMLValue status.IsOK() was false. Expand: invalid (negative) extent",
    'status.IsOK() was false. Expand: invalid (negative) extent',
  ],
  [
    '/onnxruntime_src/onnxruntime/core/session/utils.cc:1 std::vector<T> onnxruntime::F<T>::operator()(gsl::span<const T>) const [with T = float; U = std::pair<int, int>] x (y) was false.\nStacktrace:\n#0 0x7f00\n',
    'x (y) was false.',
  ],
  [
    'Load model from a/model.onnx failed:Protobuf parsing failed.',
    'Load model from a/model.onnx failed:Protobuf parsing failed.',
  ],
];

describe('the reason in what ONNX Runtime says', () => {
  it.each(said)('%s', (message, reason) => {
    expect(reasonOf(message)).toBe(reason);
  });

  it('keeps the end of what is long, and something of what is nothing else', () => {
    expect(reasonOf(`${'a'.repeat(1000)} is why`)).toMatch(/^…a{293} is why$/);
    expect(reasonOf('/a/b.cc:12 void f(int) ')).toContain('f(int)');
    expect(reasonOf('/a/b.cc:12 void f((int')).toContain('f((int');
    expect(reasonOf('')).toBe('');
  });

  it('of a type that the binding does not take is said in words', () => {
    expect(reasonOf('Unsupported data type: 16')).toMatch(/bfloat16.*convert the model to float16 or float32$/);
    expect(reasonOf('Unsupported data type: 160')).toBe('Unsupported data type: 160');
  });

  it('is found in time, whatever it is', () => {
    for (const text of ['(', 'a::', '<', 'Status Message: ', 'a ', '\\', '::<lambda(']) {
      expect(reasonOf(`/a/b.cc:1 ${text.repeat(100_000)}`).length).toBeLessThan(302);
    }
  });
});
