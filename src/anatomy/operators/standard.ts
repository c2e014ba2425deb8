/** ai.onnx Attention (opset 23 and later). Source: the ONNX operator specification. */
import { DataType, floatAttribute, intAttribute, type Model } from '../../onnx/model.js';
import { type AttentionOperator, argument } from './operator.js';

export const standardAttention: AttentionOperator = {
  domain: '',
  op: 'Attention',
  inputs: ['query', 'key', 'value', 'mask', 'past-key', 'past-value', 'key-count'],
  outputs: ['weighed', 'present-key', 'present-value', 'scores'],
  heads: 'q_num_heads',
  kvHeads: 'kv_num_heads',
  rebuild(call, build) {
    const { node, model } = call;
    const heads = intAttribute(node, 'q_num_heads', 0);
    const kvHeads = intAttribute(node, 'kv_num_heads', heads);
    const [query, key, value] = [argument(call, 'query'), argument(call, 'key'), argument(call, 'value')];
    const q = heads ? build.heads(query, heads) : query;
    const k = heads ? build.heads(key, kvHeads) : key;
    const v = heads ? build.heads(value, kvHeads) : value;
    const [pastKey, pastValue] = [argument(call, 'past-key'), argument(call, 'past-value')];
    const mask = argument(call, 'mask');
    const window = intAttribute(node, 'left_window_size', -1);
    const ahead = intAttribute(node, 'right_window_size', -1);
    const filled = argument(call, 'key-count');
    // Queries come after the cache: one that grows, or one of fixed length that is filled so far.
    const offset = pastKey
      ? build.extent(pastKey, 2)
      : filled
        ? build.node('Sub', [filled, build.extent(q, 2)])
        : build.int(0);
    return {
      q,
      k: build.behind(pastKey, k),
      v: build.behind(pastValue, v),
      // Where the operator leaves its heads to the shapes, sharing is left to them too.
      grouped: heads === 0 || kvHeads !== heads,
      scale: floatAttribute(node, 'scale', 0),
      softcap: floatAttribute(node, 'softcap', 0),
      causal: intAttribute(node, 'is_causal', 0) !== 0,
      offset,
      window: window >= 0 ? window + 1 : undefined,
      ahead: ahead >= 0 ? ahead + 1 : undefined,
      filled: filled || undefined,
      bias: mask ? { value: mask, boolean: isBoolean(model, mask) } : undefined,
    };
  },
};

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
