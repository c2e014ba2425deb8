/** What differentiates each operator: a rule, or why there is none. */
import { operatorName } from '../anatomy/ops.js';
import type { Node } from '../onnx/model.js';
import type { Rule, Stop } from './rule.js';
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

/** By operator, of another domain than ai.onnx with that before it. */
export const rules: Readonly<Record<string, Rule | Stop>> = {
  ...pointwise,
  ...shaping,
  ...products,
  ...reductions,
  ...rounding,
  ...constants,
};

const keyOf = ({ op, domain }: Node): string => (domain === '' || domain === 'ai.onnx' ? op : `${domain}.${op}`);

/** What there is to an operator; undefined where it is not known. */
export const ruleFor = (node: Node): Rule | Stop | undefined =>
  Object.hasOwn(rules, keyOf(node)) ? rules[keyOf(node)] : undefined;

export const isRule = (found: Rule | Stop | undefined): found is Rule => found !== undefined && 'adjoints' in found;

/** Why a node stands in the way of all that is before it, as a clause. */
export const unknown = (node: Node): string => `the operator ${operatorName(node)} has no rule of differentiation`;
