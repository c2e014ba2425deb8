/** Operators that move elements: what they do is undone, and what was copied is summed. */
import { intAttribute, intsAttribute } from '../../onnx/model.js';
import { elements, type Shape } from '../calculus.js';
import { axisIn, NoRule, type Rule, type RuleCall, ruleOf } from '../rule.js';

/** The same elements in another shape. */
const reshaping = ruleOf((call, g) => [call.build.reshape(g, call.shape(call.input(0)))], { flows: [0] });

const axisOf = ({ node }: RuleCall, rank: number, fallback: number): number =>
  axisIn(intAttribute(node, 'axis', fallback), rank);

const transpose = ruleOf((call, g) => {
  const rank = call.shape(call.input(0)).length;
  const perm = intsAttribute(call.node, 'perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  return [
    call.build.transpose(
      g,
      perm.map((_, axis) => perm.indexOf(axis)),
    ),
  ];
});

const expand = ruleOf((call, g) => [call.build.sumTo(g, call.shape(call.output(0)), call.shape(call.input(0)))], {
  flows: [0],
});

const tile = ruleOf(
  (call, g) => {
    const { build } = call;
    const own = call.shape(call.input(0));
    const times = call.shape(call.output(0)).map((extent, axis) => extent / (own[axis] || 1));
    const split = build.reshape(
      g,
      own.flatMap((extent, axis) => [times[axis] ?? 1, extent]),
    );
    return [
      build.reshape(
        build.sum(
          split,
          own.map((_, axis) => 2 * axis),
        ),
        own,
      ),
    ];
  },
  { flows: [0] },
);

const concat = ruleOf((call, g) => {
  const rank = call.shape(call.output(0)).length;
  const axis = axisOf(call, rank, 0);
  let from = 0;
  return call.node.inputs.map((name, i) => {
    const extent = call.shape(name)[axis] ?? 0;
    const start = from;
    from += extent;
    return call.wants(i) ? call.build.slice(g, axis, start, start + extent) : undefined;
  });
});

const split: Rule = {
  flows: [0],
  adjoints(call) {
    const axis = axisOf(call, call.shape(call.input(0)).length, 0);
    const parts = call.node.outputs.map((name, i) => call.adjoint(i) ?? call.build.zeros(call.shape(name)));
    return [call.build.node('Concat', parts, { axis })];
  },
};

/** Starts, ends, axes and steps, as inputs. */
const slice = ruleOf(
  (call, g) => {
    const { build } = call;
    const shape = call.shape(call.input(0));
    const [starts, axes, steps] = [call.numbers(1), call.numbers(3), call.numbers(4)];
    if (!starts) throw new NoRule('where it begins is not known');
    let adjoint = g;
    const reached = [...call.shape(call.output(0))];
    for (const [i, given] of starts.entries()) {
      const axis = axisIn(axes?.[i] ?? i, shape.length);
      const step = steps?.[i] ?? 1;
      const [extent, count] = [shape[axis] ?? 0, reached[axis] ?? 0];
      const from = Math.min(Math.max(given < 0 ? given + extent : given, 0), step < 0 ? extent - 1 : extent);
      if (step === 1) adjoint = build.padded(adjoint, shape.length, axis, from, extent - count - from);
      else {
        const places = build.ints(Array.from({ length: count }, (_, place) => from + place * step));
        adjoint = picked(call, adjoint, reached, axis, 1, places, extent);
      }
      reached[axis] = extent;
    }
    return [adjoint];
  },
  { flows: [0], reads: [1, 3, 4] },
);

/**
 * The adjoint of picking entries along an axis.
 *
 * @param shape of `g`, in which `axes` axes from `axis` on count what was picked
 * @param extent of the axis in what it was picked from
 */
function picked(
  { build }: RuleCall,
  g: string,
  shape: Shape,
  axis: number,
  axes: number,
  indices: string,
  extent: number,
) {
  const [before, own, after] = [shape.slice(0, axis), shape.slice(axis, axis + axes), shape.slice(axis + axes)];
  const n = elements(own);
  const rows = build.reshape(g, [elements(before), n, elements(after)]);
  return build.reshape(build.scattered(rows, indices, n, extent), [...before, extent, ...after]);
}

const gather = ruleOf(
  (call, g) => {
    const shape = call.shape(call.input(0));
    const axis = axisOf(call, shape.length, 0);
    const [indices, out] = [call.input(1), call.shape(call.output(0))];
    return [picked(call, g, out, axis, out.length - shape.length + 1, indices, shape[axis] ?? 0)];
  },
  { flows: [0] },
);

const gatherElements = ruleOf(
  (call, g) => {
    const { build } = call;
    const [shape, out] = [call.shape(call.input(0)), call.shape(call.output(0))];
    const axis = axisOf(call, shape.length, 0);
    if (build.opset >= 16)
      return [build.node('ScatterElements', [build.zeros(shape), call.input(1), g], { axis, reduction: 'add' })];
    if (shape.some((extent, place) => place !== axis && extent !== out[place]))
      throw new NoRule('it picks from a part of the rows, in an opset that cannot add them up again');
    const last = shape.length - 1;
    const perm = [...shape.keys()].filter((place) => place !== axis).concat(axis);
    const turned = perm.map((place) => out[place] ?? 1);
    const [count, extent] = [turned[last] ?? 1, shape[axis] ?? 1];
    // [rows, count, extent] times [rows, 1, count]: each row by itself.
    const rows = elements(turned) / (count || 1);
    const values = build.node('Concat', [build.reshape(build.float(0), [1]), build.reshape(build.float(1), [1])], {
      axis: 0,
    });
    const indices = build.reshape(build.transpose(call.input(1), perm), [rows, count]);
    const hot = build.node('OneHot', [indices, build.ints([extent]), values]);
    const summed = build.product(build.reshape(build.transpose(g, perm), [rows, 1, count]), hot);
    const whole = build.reshape(summed, [...turned.slice(0, last), extent]);
    return [
      build.transpose(
        whole,
        perm.map((_, place) => perm.indexOf(place)),
      ),
    ];
  },
  { flows: [0] },
);

const gatherNd = ruleOf(
  (call, g) => {
    const { build, node } = call;
    if (intAttribute(node, 'batch_dims', 0) !== 0) throw new NoRule('it has batch_dims');
    const [shape, out] = [call.shape(call.input(0)), call.shape(call.input(1))];
    const depth = out.at(-1) ?? 1;
    const [leading, rest] = [shape.slice(0, depth), shape.slice(depth)];
    const n = elements(out.slice(0, -1));
    // Indices of rows, negative ones counted from the end, as one number each.
    const extents = build.ints(leading);
    const given = build.reshape(build.node('Cast', [call.input(1)], { to: 7 }), [n, depth]);
    const counted = build.node('Where', [build.node('Less', [given, build.int(0)]), build.add2(given, extents), given]);
    const strides = leading.map((_, axis) => elements(leading.slice(axis + 1)));
    const flat = build.sum(build.mul(counted, build.ints(strides)), [1]);
    const rows = build.reshape(g, [1, n, elements(rest)]);
    return [build.reshape(build.scattered(rows, flat, n, elements(leading)), shape)];
  },
  { flows: [0] },
);

const reductionOf = ({ node }: RuleCall): string => {
  const attribute = node.attributes.get('reduction');
  return attribute?.kind === 'string' ? attribute.value : 'none';
};

/** What is written over has no adjoint; what is written takes it from where it stands. */
const scatter = (taken: (call: RuleCall, g: string) => string): Rule =>
  ruleOf(
    (call, g) => {
      const { build } = call;
      const reduction = reductionOf(call);
      if (reduction !== 'none' && reduction !== 'add') throw new NoRule(`it reduces by "${reduction}"`);
      const updates = taken(call, g);
      const [, indices = '', written = ''] = call.node.inputs;
      const kept = () => build.like(call.node, [g, indices, build.zeros(call.shape(written))]);
      return [reduction === 'add' ? g : kept(), undefined, updates];
    },
    { flows: [0, 2] },
  );

const pad = ruleOf(
  (call, g) => {
    const { build, node } = call;
    const mode = node.attributes.get('mode');
    if (mode?.kind === 'string' && mode.value !== 'constant') throw new NoRule(`it pads by "${mode.value}"`);
    const shape = call.shape(call.input(0));
    const pads = call.numbers(1) ?? intsAttribute(node, 'pads');
    if (!pads) throw new NoRule('how much it pads is not known');
    const named = call.numbers(3) ?? [...shape.keys()];
    return [
      named.reduce((adjoint, given, i) => {
        const axis = axisIn(given, shape.length);
        const before = pads[i] ?? 0;
        const after = pads[i + named.length] ?? 0;
        const extent = shape[axis] ?? 0;
        // Where it cuts (a negative number), zeros come back.
        const cut = build.slice(
          adjoint,
          axis,
          Math.max(before, 0),
          Math.max(before, 0) + extent + Math.min(before, 0) + Math.min(after, 0),
        );
        return build.padded(cut, shape.length, axis, Math.max(-before, 0), Math.max(-after, 0));
      }, g),
    ];
  },
  { flows: [0], reads: [1, 3] },
);

const cumSum = ruleOf(
  (call, g) => {
    const { build, node } = call;
    const [exclusive, reverse] = [intAttribute(node, 'exclusive', 0), intAttribute(node, 'reverse', 0)];
    return [build.node('CumSum', [g, call.input(1)], { exclusive, reverse: reverse ? 0 : 1 })];
  },
  { flows: [0] },
);

/** The chosen values; which they are is a constant. */
const topK: Rule = {
  flows: [0],
  outputs: [0],
  adjoints(call) {
    const g = call.adjoint(0);
    const shape = call.shape(call.input(0));
    if (g === undefined) return [];
    if (call.output(1) === '') throw new NoRule('it does not give which it chooses');
    const axis = axisOf(call, shape.length, -1);
    return [call.build.node('ScatterElements', [call.build.zeros(shape), call.output(1), g], { axis })];
  },
};

export const shaping: Readonly<Record<string, Rule>> = {
  Reshape: reshaping,
  Flatten: reshaping,
  Squeeze: reshaping,
  Unsqueeze: reshaping,
  Transpose: transpose,
  Expand: expand,
  Tile: tile,
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherNd,
  ScatterElements: scatter((call, g) =>
    call.build.node('GatherElements', [g, call.input(1)], { axis: intAttribute(call.node, 'axis', 0) }),
  ),
  ScatterND: scatter((call, g) => call.build.node('GatherND', [g, call.input(1)])),
  Pad: pad,
  CumSum: cumSum,
  TopK: topK,
  Trilu: ruleOf((call, g) => [call.build.like(call.node, [g, ...call.node.inputs.slice(1)])], { flows: [0] }),
};
