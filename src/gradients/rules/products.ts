/** Sums of products: matrices, Einstein sums, convolutions. */
import { floatAttribute, intAttribute, intsAttribute } from '../../onnx/model.js';
import { elements } from '../calculus.js';
import { NoRule, type Rule, type RuleCall, ruleOf } from '../rule.js';

const costly = { costly: true };

/** `MatMul` and ONNX Runtime's form with transposed operands and a factor. */
const matMul = ruleOf((call, g) => {
  const { build, node } = call;
  if (intAttribute(node, 'transBatchA', 0) || intAttribute(node, 'transBatchB', 0))
    throw new NoRule('it transposes batches');
  const [a, b] = [call.input(0), call.input(1)];
  const [own, other, out] = [call.shape(a), call.shape(b), call.shape(call.output(0))];
  const [turnedA, turnedB] = [intAttribute(node, 'transA', 0) !== 0, intAttribute(node, 'transB', 0) !== 0];
  const alpha = floatAttribute(node, 'alpha', 1);
  const scaled = alpha === 1 ? g : build.times(g, alpha);
  // Vectors as matrices of one row or column.
  const left = own.length === 1 ? [1, ...own] : own;
  const right = other.length === 1 ? [...other, 1] : other;
  const wide = [
    ...out.slice(0, out.length - (own.length === 1 ? 0 : 1) - (other.length === 1 ? 0 : 1)),
    left.at(turnedA ? -1 : -2) ?? 1,
    right.at(turnedB ? -2 : -1) ?? 1,
  ];
  const [x, y] = [own.length === 1 ? build.reshape(a, left) : a, other.length === 1 ? build.reshape(b, right) : b];
  const full = out.length === wide.length ? scaled : build.reshape(scaled, wide);
  const batch = wide.slice(0, -2);
  const back = (made: string, to: readonly number[], given: readonly number[]) => {
    const summed = build.sumTo(made, [...batch, ...to.slice(-2)], to);
    return to.length === given.length ? summed : build.reshape(summed, given);
  };
  const ofLeft = () =>
    turnedA ? build.product(y, full, { a: turnedB, b: true }) : build.product(full, y, { b: !turnedB });
  const ofRight = () => {
    if (right.length === 2 && left.length > 2 && !turnedA) {
      // One matrix for all batches: its adjoint is one product.
      const rows = build.reshape(x, [elements(left.slice(0, -1)), left.at(-1) ?? 1]);
      const adjoints = build.reshape(full, [elements(wide.slice(0, -1)), wide.at(-1) ?? 1]);
      return turnedB ? build.product(adjoints, rows, { a: true }) : build.product(rows, adjoints, { a: true });
    }
    const made = turnedB ? build.product(full, x, { a: true, b: turnedA }) : build.product(x, full, { a: !turnedA });
    return back(made, right, other);
  };
  return [call.wants(0) ? back(ofLeft(), left, own) : undefined, call.wants(1) ? ofRight() : undefined];
}, costly);

/** α A B + β C. */
const gemm = ruleOf((call, g) => {
  const { build, node } = call;
  const [a, b, c] = [call.input(0), call.input(1), call.input(2)];
  const [turnedA, turnedB] = [intAttribute(node, 'transA', 0) !== 0, intAttribute(node, 'transB', 0) !== 0];
  const [alpha, beta] = [floatAttribute(node, 'alpha', 1), floatAttribute(node, 'beta', 1)];
  const scaled = alpha === 1 ? g : build.times(g, alpha);
  const out = call.shape(call.output(0));
  return [
    call.wants(0)
      ? turnedA
        ? build.product(b, scaled, { a: turnedB, b: true })
        : build.product(scaled, b, { b: !turnedB })
      : undefined,
    call.wants(1)
      ? turnedB
        ? build.product(scaled, a, { a: true, b: turnedA })
        : build.product(a, scaled, { a: !turnedA })
      : undefined,
    call.wants(2) ? build.sumTo(beta === 1 ? g : build.times(g, beta), out, call.shape(c)) : undefined,
  ];
}, costly);

/** Letters of each operand and of the result, with letters of their own in place of dots. */
function termsOf(call: RuleCall): { readonly operands: readonly string[]; readonly result: string } {
  const attribute = call.node.attributes.get('equation');
  const equation = attribute?.kind === 'string' ? attribute.value.replaceAll(' ', '') : '';
  const [left = '', result] = equation.split('->');
  if (result === undefined) throw new NoRule('its equation does not say what it gives');
  const unused = [...'ZYXWVUTSRQPONMLKJIHGFEDCBA'].filter((letter) => !equation.includes(letter));
  const spelled = (term: string, rank: number) => {
    const letters = term.replace('...', '').length;
    return term.replace(
      '...',
      unused
        .slice(0, rank - letters)
        .reverse()
        .join(''),
    );
  };
  const operands = left.split(',').map((term, i) => spelled(term, call.shape(call.input(i)).length));
  return { operands, result: spelled(result, call.shape(call.output(0)).length) };
}

const einsum = ruleOf((call, g) => {
  const { build } = call;
  const { operands, result } = termsOf(call);
  const extents = new Map<string, number>();
  for (const [i, term] of operands.entries())
    for (const [axis, letter] of [...term].entries())
      extents.set(letter, Math.max(extents.get(letter) ?? 1, call.shape(call.input(i))[axis] ?? 1));
  return operands.map((term, i) => {
    if (!call.wants(i)) return undefined;
    if (new Set(term).size < term.length) throw new NoRule('it takes a diagonal');
    const others = operands.flatMap((other, j) => (j === i ? [] : [{ term: other, name: call.input(j) }]));
    const known = (letter: string) => result.includes(letter) || others.some((other) => other.term.includes(letter));
    // What is summed over in this operand alone has the same adjoint all along.
    const reached = [...term].filter(known).join('');
    const equation = `${[result, ...others.map((other) => other.term)].join(',')}->${reached}`;
    const made = build.node('Einsum', [g, ...others.map(({ name }) => name)], { equation });
    const own = call.shape(call.input(i));
    const kept = [...term].map((letter) => (known(letter) ? (extents.get(letter) ?? 1) : 1));
    const wide = [...term].map((letter) => extents.get(letter) ?? 1);
    const spread = reached === term ? made : build.node('Expand', [build.reshape(made, kept), build.ints(wide)]);
    return build.sumTo(spread, wide, own);
  });
}, costly);

const conv = ruleOf(
  (call, g) => {
    const { build, node } = call;
    const [x, weight] = [call.input(0), call.input(1)];
    const [own, kernel, out] = [call.shape(x), call.shape(weight), call.shape(call.output(0))];
    const places = own.length - 2;
    const ones = Array.from({ length: places }, () => 1);
    const strides = intsAttribute(node, 'strides') ?? ones;
    const dilations = intsAttribute(node, 'dilations') ?? ones;
    const automatic = node.attributes.get('auto_pad');
    const mode = automatic?.kind === 'string' ? automatic.value : 'NOTSET';
    const given = intsAttribute(node, 'pads');
    // Extents of the kernel, and how much is padded at either end.
    const spans = ones.map((_, i) => ((kernel[i + 2] ?? 1) - 1) * (dilations[i] ?? 1) + 1);
    const pads = ones.map((_, i): [number, number] => {
      if (mode === 'NOTSET') return [given?.[i] ?? 0, given?.[i + places] ?? 0];
      if (mode === 'VALID') return [0, 0];
      const all = Math.max(0, ((out[i + 2] ?? 1) - 1) * (strides[i] ?? 1) + (spans[i] ?? 1) - (own[i + 2] ?? 1));
      const small = Math.floor(all / 2);
      return mode === 'SAME_UPPER' ? [small, all - small] : [all - small, small];
    });
    const rest = ones.map((_, i) => {
      const [before = 0, after = 0] = pads[i] ?? [];
      const reach = ((out[i + 2] ?? 1) - 1) * (strides[i] ?? 1) + (spans[i] ?? 1);
      return (own[i + 2] ?? 1) + before + after - reach;
    });
    const ofInput = () =>
      build.node('ConvTranspose', [g, weight], {
        strides,
        dilations,
        group: intAttribute(node, 'group', 1),
        kernel_shape: kernel.slice(2),
        pads: [...pads.map(([before]) => before), ...pads.map(([, after]) => after)],
        output_padding: rest,
      });
    if (call.wants(1)) throw new NoRule('its weights are those of a convolution');
    const axes = [...out.keys()].filter((axis) => axis !== 1);
    return [
      call.wants(0) ? ofInput() : undefined,
      undefined,
      call.wants(2) ? build.reshape(build.sum(g, axes), call.shape(call.input(2))) : undefined,
    ];
  },
  { flows: [0, 1, 2], ...costly },
);

export const products: Readonly<Record<string, Rule>> = {
  MatMul: matMul,
  'com.microsoft.FusedMatMul': matMul,
  Gemm: gemm,
  Einsum: einsum,
  Conv: conv,
};
