/** Reductions along axes: sums, means, extremes, softmaxes and norms. */
import { floatAttribute, intAttribute, intsAttribute } from '../../onnx/model.js';
import { elements, type Shape } from '../calculus.js';
import { axisIn, NoRule, type Rule, type RuleCall, ruleOf } from '../rule.js';

/** The axes that are reduced. */
function axesOf(call: RuleCall, shape: Shape): readonly number[] {
  const { node } = call;
  const axes = call.numbers(1) ?? intsAttribute(node, 'axes');
  if (axes && axes.length > 0) return axes.map((axis) => axisIn(axis, shape.length));
  return intAttribute(node, 'noop_with_empty_axes', 0) ? [] : [...shape.keys()];
}

/** The adjoint of x from that of y = reduce(x), both with the reduced axes at an extent of 1. */
const reduction = (
  make: (call: RuleCall, g: string, x: string, y: string, axes: readonly number[], shape: Shape) => string,
): Rule =>
  ruleOf(
    (call, g) => {
      const { build } = call;
      const x = call.input(0);
      const shape = call.shape(x);
      const axes = axesOf(call, shape);
      const kept = shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
      const made = make(call, build.reshape(g, kept), x, build.reshape(call.output(0), kept), axes, shape);
      return [build.node('Expand', [made, build.ints(shape)])];
    },
    { flows: [0], reads: [1] },
  );

/** The largest or smallest elements, which share the adjoint where several are equal. */
const extreme = reduction(({ build }, g, x, y, axes) => {
  const hits = build.float32(build.node('Equal', [x, y]));
  return build.div(build.mul(g, hits), build.sum(hits, axes));
});

/** The axes of a softmax: one, or before opset 13 all from there on. */
function softmaxAxes({ node, build }: RuleCall, shape: Shape): readonly number[] {
  const axis = axisIn(intAttribute(node, 'axis', build.opset >= 13 ? -1 : 1), shape.length);
  return build.opset >= 13 ? [axis] : [...shape.keys()].filter((place) => place >= axis);
}

/** x̂ = (x − mean) · r or x · r with r = 1/√(mean square + ε), by the axes of a norm. */
function normed(call: RuleCall, axes: readonly number[], epsilon: number, centred: boolean) {
  const { build } = call;
  const x = call.input(0);
  const shape = call.shape(x);
  const inner = centred ? build.sub(x, build.mean(x, shape, axes)) : x;
  const power = build.mean(build.mul(inner, inner), shape, axes);
  const inverse = build.node('Reciprocal', [build.node('Sqrt', [build.add2(power, build.float(epsilon))])]);
  return { unit: build.mul(inner, inverse), inverse };
}

const norm = (centred: boolean): Rule =>
  ruleOf((call, g) => {
    const { build, node } = call;
    const [scale, bias] = [call.input(1), call.input(2)];
    const shape = call.shape(call.input(0));
    const first = axisIn(intAttribute(node, 'axis', -1), shape.length);
    const axes = [...shape.keys()].filter((axis) => axis >= first);
    const { unit, inverse } = normed(call, axes, floatAttribute(node, 'epsilon', 1e-5), centred);
    const scaled = scale ? build.mul(g, scale) : g;
    const along = build.mul(unit, build.mean(build.mul(scaled, unit), shape, axes));
    const across = centred ? build.sub(scaled, build.mean(scaled, shape, axes)) : scaled;
    return [
      build.mul(inverse, build.sub(across, along)),
      call.wants(1) ? build.sumTo(build.mul(g, unit), shape, call.shape(scale)) : undefined,
      call.wants(2) ? build.sumTo(g, shape, call.shape(bias)) : undefined,
    ];
  });

/** Running statistics are constants. */
const batchNorm = ruleOf(
  (call, g) => {
    const { build, node } = call;
    const shape = call.shape(call.input(0));
    const along = shape.map((extent, axis) => (axis === 1 ? extent : 1));
    const deviation = build.node('Sqrt', [
      build.add2(call.input(4), build.float(floatAttribute(node, 'epsilon', 1e-5))),
    ]);
    return [build.mul(g, build.reshape(build.div(call.input(1), deviation), along))];
  },
  { flows: [0] },
);

/** Each channel of each example by itself. */
const instanceNorm = ruleOf(
  (call, g) => {
    const { build, node } = call;
    const shape = call.shape(call.input(0));
    const axes = [...shape.keys()].filter((axis) => axis > 1);
    const along = shape.map((extent, axis) => (axis === 1 ? extent : 1));
    const { unit, inverse } = normed(call, axes, floatAttribute(node, 'epsilon', 1e-5), true);
    const scaled = build.mul(g, build.reshape(call.input(1), along));
    const part = build.mul(unit, build.mean(build.mul(scaled, unit), shape, axes));
    return [build.mul(inverse, build.sub(build.sub(scaled, build.mean(scaled, shape, axes)), part))];
  },
  { flows: [0] },
);

const lpNorm = ruleOf((call, g) => {
  const { build, node } = call;
  if (intAttribute(node, 'p', 2) !== 2) throw new NoRule('its p is not 2');
  const [x, y] = [call.input(0), call.output(0)];
  const axes = [axisIn(intAttribute(node, 'axis', -1), call.shape(x).length)];
  const length = build.node('Sqrt', [build.sum(build.mul(x, x), axes)]);
  return [build.div(build.sub(g, build.mul(y, build.sum(build.mul(g, y), axes))), length)];
});

export const reductions: Readonly<Record<string, Rule>> = {
  ReduceSum: reduction((_, g) => g),
  ReduceMean: reduction(({ build }, g, _, __, axes, shape) =>
    build.times(g, 1 / elements(axes.map((axis) => shape[axis] ?? 1))),
  ),
  ReduceMax: extreme,
  ReduceMin: extreme,
  ReduceSumSquare: reduction(({ build }, g, x) => build.times(build.mul(g, x), 2)),
  ReduceL1: reduction(({ build }, g, x) => build.mul(g, build.node('Sign', [x]))),
  // At nothing but zeros the length has no direction.
  ReduceL2: reduction(({ build }, g, x, y) =>
    build.where(build.node('Greater', [y, build.float(0)]), build.div(build.mul(g, x), y)),
  ),
  ReduceLogSum: reduction(({ build }, g, _, y) => build.div(g, build.node('Exp', [y]))),
  ReduceLogSumExp: reduction(({ build }, g, x, y) => build.mul(g, build.node('Exp', [build.sub(x, y)]))),
  Softmax: ruleOf((call, g) => {
    const { build } = call;
    const y = call.output(0);
    const weighted = build.mul(g, y);
    return [build.sub(weighted, build.mul(y, build.sum(weighted, softmaxAxes(call, call.shape(y)))))];
  }),
  LogSoftmax: ruleOf((call, g) => {
    const { build } = call;
    const y = call.output(0);
    return [build.sub(g, build.mul(build.node('Exp', [y]), build.sum(g, softmaxAxes(call, call.shape(y)))))];
  }),
  LayerNormalization: norm(true),
  RMSNormalization: norm(false),
  SimplifiedLayerNormalization: norm(false),
  BatchNormalization: batchNorm,
  InstanceNormalization: instanceNorm,
  LpNormalization: lpNorm,
};
