/** What differentiates each operator: a rule, that nothing flows back through it, or why it cannot be differentiated. */
import { operatorName } from '../anatomy/ops.js';
import type { Node } from '../onnx/model.js';
import type { Refusal, Rule, Stop } from './rule.js';
import { pointwise } from './rules/pointwise.js';
import { products } from './rules/products.js';
import { reductions } from './rules/reductions.js';
import { rounding } from './rules/rounding.js';
import { shaping } from './rules/shaping.js';

const stops = (why: string, ...operators: string[]): [string, Stop][] => operators.map((op) => [op, { stops: why }]);

/** Operators through which nothing flows back, and why: no error, but a derivative of 0. */
const constants: Readonly<Record<string, Stop>> = Object.fromEntries([
  ...stops('it gives extents', 'Shape', 'Size'),
  ...stops('it gives indices', 'ArgMax', 'ArgMin', 'NonZero', 'Range', 'OneHot'),
  ...stops('it gives truth values', 'Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'),
  ...stops('it gives truth values', 'And', 'Or', 'Not', 'Xor', 'IsNaN', 'IsInf'),
  ...stops('it is made of steps', 'Floor', 'Ceil', 'Round', 'Sign'),
  ...stops('it takes a shape alone', 'ConstantOfShape', 'EyeLike', 'RandomNormalLike', 'RandomUniformLike'),
]);

const refused = (why: string, ...operators: string[]): [string, Refusal][] =>
  operators.map((op) => [op, { cannot: why }]);

/** Operators whose inside cannot be told by ordinary nodes here. */
const refusals: Readonly<Record<string, Refusal>> = Object.fromEntries([
  ...refused('it chooses experts and computes them inside of itself', 'com.microsoft.MoE', 'com.microsoft.QMoE'),
  ...refused('it writes into a cache, at places that another input names', 'TensorScatter'),
  ...refused('it holds a graph of its own', 'If', 'Loop', 'Scan'),
  ...refused('it goes through its sequence inside of itself', 'LSTM', 'GRU', 'RNN'),
  ...refused('it rounds its input and multiplies it in one step', 'com.microsoft.DynamicQuantizeMatMul'),
  ...refused('its table is of packed integers', 'com.microsoft.GatherBlockQuantized'),
]);

/** By operator, of another domain than ai.onnx with that before it. */
export const rules: Readonly<Record<string, Rule | Stop | Refusal>> = {
  ...pointwise,
  ...shaping,
  ...products,
  ...reductions,
  ...rounding,
  ...constants,
  ...refusals,
};

const keyOf = ({ op, domain }: Node): string => (domain === '' || domain === 'ai.onnx' ? op : `${domain}.${op}`);

/** What there is to an operator; undefined where it is not known. */
export const ruleFor = (node: Node): Rule | Stop | Refusal | undefined =>
  Object.hasOwn(rules, keyOf(node)) ? rules[keyOf(node)] : undefined;

type Found = Rule | Stop | Refusal | undefined;
export const isRule = (found: Found): found is Rule => found !== undefined && 'adjoints' in found;
export const isStop = (found: Found): found is Stop => found !== undefined && 'stops' in found;

/** Why a node stands in the way of all that is before it, as a clause. */
export function obstacleAt(node: Node): string {
  const found = ruleFor(node);
  return found !== undefined && 'cannot' in found
    ? `the operator ${operatorName(node)} cannot be differentiated: ${found.cannot}`
    : `the operator ${operatorName(node)} has no rule of differentiation`;
}
