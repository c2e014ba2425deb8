/** The attention operators that are known: each is one of these and one file. */
import { intAttribute, type Node } from '../../onnx/model.js';
import { attention, quantisedAttention } from './attention.js';
import { groupQueryAttention } from './group-query.js';
import { multiHeadAttention } from './multi-head.js';
import { opaqueOperators } from './opaque.js';
import { type AttentionOperator, argument, type Result, type Role } from './operator.js';
import { standardAttention } from './standard.js';

export const attentionOperators: readonly AttentionOperator[] = [
  attention,
  quantisedAttention,
  multiHeadAttention,
  groupQueryAttention,
  standardAttention,
  ...opaqueOperators,
];

/** By name; domains have operators of one name. */
const named = new Map<string, readonly AttentionOperator[]>();
for (const operator of attentionOperators) named.set(operator.op, [...(named.get(operator.op) ?? []), operator]);

/** The operator of a node that hides a whole attention, softmax included; undefined for any other node. */
export const attentionOperator = ({ op, domain }: Node): AttentionOperator | undefined =>
  named.get(op)?.find((operator) => operator.domain === domain);

/** Hides a whole attention. */
export const isFusedAttention = (node: Node): boolean => attentionOperator(node) !== undefined;

/** What input `index` is to a node that hides an attention. */
export const roleOf = (node: Node, index: number): Role | undefined => attentionOperator(node)?.inputs[index];

/** The value that a node takes in a role; '' where it takes none. */
export function inputAs(node: Node, role: Role): string {
  const operator = attentionOperator(node);
  return operator ? argument({ operator, node }, role) : '';
}

/** The value that a node gives; undefined where it gives no such thing. */
export const outputAs = (node: Node, result: Result): string | undefined =>
  node.outputs[attentionOperator(node)?.outputs.indexOf(result) ?? -1];

/** Heads, and key/value heads, as attributes of a node count them; 0 where they do not. */
export function countedHeads(node: Node): { readonly heads: number; readonly kvHeads: number } {
  const { heads, kvHeads } = attentionOperator(node) ?? {};
  const count = (attribute: string | undefined) => (attribute === undefined ? 0 : intAttribute(node, attribute, 0));
  return { heads: count(heads), kvHeads: count(kvHeads) };
}
