/** Operators that treat each element by itself. */
import { DataType, floatAttribute, intAttribute } from '../../onnx/model.js';
import type { Calculus } from '../calculus.js';
import { type Adjoints, NoRule, type Rule, type RuleCall, ruleOf } from '../rule.js';

/** The adjoint of x from that of y = f(x). */
type Unary = (build: Calculus, g: string, x: string, y: string, call: RuleCall) => string;

const unary = (make: Unary): Rule =>
  ruleOf((call, g) => [make(call.build, g, call.input(0), call.output(0), call)], { flows: [0] });

const one = (build: Calculus) => build.float(1);
const positive = (build: Calculus, x: string) => build.node('Greater', [x, build.float(0)]);

/** g · f'(x) for x > 0, else g · what `below` makes of it. */
const branched = (build: Calculus, x: string, above: string, below: string) =>
  build.node('Where', [positive(build, x), above, below]);

/** The adjoint of each operand of y = f(a, b), summed to its shape. */
const binary = (
  left: (build: Calculus, g: string, a: string, b: string, y: string) => string,
  right: (build: Calculus, g: string, a: string, b: string, y: string) => string,
): Rule =>
  ruleOf((call, g) => {
    const { build } = call;
    const [a, b, y] = [call.input(0), call.input(1), call.output(0)];
    return [left, right].map((make, i) =>
      call.wants(i) ? build.sumTo(make(build, g, a, b, y), call.shape(y), call.shape(call.input(i))) : undefined,
    );
  });

/** Of operators over any number of operands, which are broadcast. */
const variadic = (make: (call: RuleCall, g: string, index: number) => string): Rule =>
  ruleOf((call, g) =>
    call.node.inputs.map((name, i) =>
      call.wants(i) ? call.build.sumTo(make(call, g, i), call.shape(call.output(0)), call.shape(name)) : undefined,
    ),
  );

/** The largest or smallest operand, which shares the adjoint with those that equal it. */
const extreme = variadic(({ build, node, output }, g, i) => {
  const hits = node.inputs.map((name) => build.float32(build.node('Equal', [name, output(0)])));
  return build.div(build.mul(g, hits[i] ?? ''), build.node('Sum', hits));
});

const clip = ruleOf(
  (call, g) => {
    const { build, node } = call;
    const x = call.input(0);
    const bound = (index: number, attribute: string) => {
      if (call.input(index) !== '') return call.input(index);
      return node.attributes.has(attribute) ? build.float(floatAttribute(node, attribute, 0)) : undefined;
    };
    const [least, most] = [bound(1, 'min'), bound(2, 'max')];
    const above = least === undefined ? g : build.node('Where', [build.node('Less', [x, least]), build.float(0), g]);
    return [
      most === undefined ? above : build.node('Where', [build.node('Greater', [x, most]), build.float(0), above]),
    ];
  },
  { flows: [0] },
);

const power = ruleOf(
  (call, g) => {
    const { build } = call;
    const [x, exponent, y] = [call.input(0), call.input(1), call.output(0)];
    const [to, base] = [call.shape(y), call.shape(x)];
    const known = call.numbers(1);
    const constant = known?.length === 1 ? known[0] : undefined;
    const slope = () => {
      if (constant === 1) return g;
      if (constant === 2) return build.times(build.mul(g, x), 2);
      const e = build.float32(exponent);
      return build.mul(build.mul(g, e), build.node('Pow', [x, build.sub(e, one(build))]));
    };
    return [
      call.wants(0) ? build.sumTo(slope(), to, base) : undefined,
      call.wants(1)
        ? build.sumTo(build.mul(g, build.mul(y, build.node('Log', [x]))), to, call.shape(exponent))
        : undefined,
    ];
  },
  { reads: [1] },
);

const where = ruleOf(
  (call, g) => {
    const { build } = call;
    const [condition, to] = [call.input(0), call.shape(call.output(0))];
    const parts = [
      build.node('Where', [condition, g, build.float(0)]),
      build.node('Where', [condition, build.float(0), g]),
    ];
    return [undefined, ...parts.map((part, i) => build.sumTo(part, to, call.shape(call.input(i + 1))))];
  },
  { flows: [1, 2] },
);

const leaky = ruleOf((call, g): Adjoints => {
  const { build } = call;
  const [x, slope] = [call.input(0), call.input(1)];
  const to = call.shape(x);
  return [
    branched(build, x, g, build.mul(g, slope)),
    call.wants(1) ? build.sumTo(branched(build, x, build.float(0), build.mul(g, x)), to, call.shape(slope)) : undefined,
  ];
});

const floating = new Set<DataType>([DataType.float, DataType.float16, DataType.double, DataType.bfloat16]);

export const pointwise: Readonly<Record<string, Rule>> = {
  Identity: unary((_, g) => g),
  Dropout: unary((_, g) => g),
  Cast: unary((_, g, __, ___, { node }) => {
    if (!floating.has(intAttribute(node, 'to', 0))) throw new NoRule('it casts to integers');
    return g;
  }),
  CastLike: unary((_, g) => g),
  Neg: unary((build, g) => build.neg(g)),
  Abs: unary((build, g, x) => build.mul(g, build.node('Sign', [x]))),
  Exp: unary((build, g, _, y) => build.mul(g, y)),
  Log: unary((build, g, x) => build.div(g, x)),
  Sqrt: unary((build, g, _, y) => build.div(g, build.times(y, 2))),
  Reciprocal: unary((build, g, _, y) => build.neg(build.mul(g, build.mul(y, y)))),
  Sin: unary((build, g, x) => build.mul(g, build.node('Cos', [x]))),
  Cos: unary((build, g, x) => build.neg(build.mul(g, build.node('Sin', [x])))),
  Tanh: unary((build, g, _, y) => build.mul(g, build.sub(one(build), build.mul(y, y)))),
  Sigmoid: unary((build, g, _, y) => build.mul(g, build.mul(y, build.sub(one(build), y)))),
  Erf: unary((build, g, x) =>
    build.mul(g, build.times(build.node('Exp', [build.neg(build.mul(x, x))]), 2 / Math.sqrt(Math.PI))),
  ),
  Softplus: unary((build, g, x) => build.mul(g, build.node('Sigmoid', [x]))),
  Softsign: unary((build, g, x) => {
    const span = build.add2(one(build), build.node('Abs', [x]));
    return build.div(g, build.mul(span, span));
  }),
  Relu: unary((build, g, x) => build.where(positive(build, x), g)),
  LeakyRelu: unary((build, g, x, _, { node }) =>
    branched(build, x, g, build.times(g, floatAttribute(node, 'alpha', 0.01))),
  ),
  Elu: unary((build, g, x, y, { node }) =>
    branched(build, x, g, build.mul(g, build.add2(y, build.float(floatAttribute(node, 'alpha', 1))))),
  ),
  Celu: unary((build, g, x, _, { node }) =>
    branched(build, x, g, build.mul(g, build.node('Exp', [build.times(x, 1 / floatAttribute(node, 'alpha', 1))]))),
  ),
  Selu: unary((build, g, x, y, { node }) => {
    const [alpha, gamma] = [floatAttribute(node, 'alpha', 1.67326319), floatAttribute(node, 'gamma', 1.05070102)];
    return branched(build, x, build.times(g, gamma), build.mul(g, build.add2(y, build.float(alpha * gamma))));
  }),
  ThresholdedRelu: unary((build, g, x, _, { node }) =>
    build.where(build.node('Greater', [x, build.float(floatAttribute(node, 'alpha', 1))]), g),
  ),
  HardSigmoid: unary((build, g, _, y, { node }) => {
    const inside = build.node('And', [positive(build, y), build.node('Less', [y, one(build)])]);
    return build.where(inside, build.times(g, floatAttribute(node, 'alpha', 0.2)));
  }),
  HardSwish: unary((build, g, x) => {
    const slope = build.add2(build.times(x, 1 / 3), build.float(0.5));
    const inner = build.node('Where', [build.node('Greater', [x, build.float(3)]), one(build), slope]);
    return build.node('Where', [build.node('Less', [x, build.float(-3)]), build.float(0), build.mul(g, inner)]);
  }),
  Clip: clip,
  Pow: power,
  Where: where,
  PRelu: leaky,
  Add: binary(
    (_, g) => g,
    (_, g) => g,
  ),
  Sub: binary(
    (_, g) => g,
    (build, g) => build.neg(g),
  ),
  Mul: binary(
    (build, g, _, b) => build.mul(g, b),
    (build, g, a) => build.mul(g, a),
  ),
  Div: binary(
    (build, g, _, b) => build.div(g, b),
    (build, g, _, b, y) => build.neg(build.div(build.mul(g, y), b)),
  ),
  Mod: ruleOf(({ build, shape, input, output }, g) => [build.sumTo(g, shape(output(0)), shape(input(0)))], {
    flows: [0],
  }),
  Sum: variadic((_, g) => g),
  Mean: variadic(({ build, node }, g) => build.times(g, 1 / node.inputs.length)),
  Max: extreme,
  Min: extreme,
};
