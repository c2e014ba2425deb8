/** Rounding as if it were not there (straight-through, arXiv:1308.3432), and turns by position, which turn back. */
import { DataType, intAttribute } from '../../onnx/model.js';
import type { Calculus } from '../calculus.js';
import { axisIn, NoRule, type Rule, type RuleCall, ruleOf } from '../rule.js';

const remark = 'rounding to integers is taken as if it were not there (straight-through)';

/** A scale or zero point in a shape that is broadcast to the value: one for all, or one for each entry of an axis. */
function spread({ build, node, shape: shapeOf }: RuleCall, value: string, given: string): string {
  const [shape, own] = [shapeOf(value), shapeOf(given)];
  if (intAttribute(node, 'block_size', 0) > 0) throw new NoRule('it has scales for blocks');
  if (own.length === 0 || (own.length === 1 && own[0] === 1)) return given;
  const axis = axisIn(intAttribute(node, 'axis', 1), shape.length);
  return build.reshape(
    given,
    shape.map((extent, place) => (place === axis ? extent : 1)),
  );
}

const floats8 = new Set([17, 18, 19, 20]);

/**
 * x in whole steps of a scale: what a step is worth is what an adjoint is divided by. What is beyond the limits of the
 * integers stays there whatever it is, as in PyTorch's fake quantisation: it is further from its step than rounding is.
 */
const quantise = ruleOf(
  (call, g) => {
    const { build, node } = call;
    const [x, zero] = [call.input(0), call.input(2)];
    if (floats8.has(call.stored(2) ?? intAttribute(node, 'output_dtype', 0)))
      throw new NoRule('it rounds to floats of eight bits');
    const scale = spread(call, x, call.input(1));
    const given = plain(build, call.output(0), zero === '' ? '' : spread(call, x, zero));
    const off = build.node('Abs', [build.sub(build.div(x, scale), given)]);
    const within = build.node('Less', [off, build.float(0.501)]);
    return [build.where(within, build.div(g, scale))];
  },
  { flows: [0], remark },
);

const dequantise = ruleOf((call, g) => [call.build.mul(g, spread(call, call.input(0), call.input(1)))], {
  flows: [0],
  remark,
});

const dynamic: Rule = {
  flows: [0],
  outputs: [0],
  remark,
  adjoints(call) {
    const g = call.adjoint(0);
    return g === undefined ? [] : [call.build.div(g, call.output(1))];
  },
};

/** Integers less their zero point, in floats. */
function plain(build: Calculus, value: string, zero: string): string {
  const floats = build.node('Cast', [value], { to: DataType.float });
  return zero === '' ? floats : build.sub(floats, build.node('Cast', [zero], { to: DataType.float }));
}

const matMulInteger = ruleOf(
  (call, g) => {
    const { build } = call;
    const own = call.shape(call.input(0));
    const made = build.product(g, plain(build, call.input(1), call.input(3)), { b: true });
    const batch = call.shape(call.output(0)).slice(0, -1);
    return [build.sumTo(made, [...batch, own.at(-1) ?? 1], own)];
  },
  { flows: [0], remark },
);

/** A turn is undone by the opposite one. */
const rotary = (sines: number): Rule =>
  ruleOf(
    (call, g) => {
      const { build, node } = call;
      return [
        build.like(
          node,
          [g, ...node.inputs.slice(1)].map((name, i) => (i === sines ? build.neg(name) : name)),
        ),
      ];
    },
    { flows: [0] },
  );

export const rounding: Readonly<Record<string, Rule>> = {
  QuantizeLinear: quantise,
  DequantizeLinear: dequantise,
  'com.microsoft.QuantizeLinear': quantise,
  'com.microsoft.DequantizeLinear': dequantise,
  DynamicQuantizeLinear: dynamic,
  MatMulInteger: matMulInteger,
  'com.microsoft.RotaryEmbedding': rotary(3),
  RotaryEmbedding: rotary(2),
};
