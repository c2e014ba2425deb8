/**
 * What an attention operator says of itself: which inputs it takes and what each is to the attention, what it gives,
 * where its heads are counted, and how the pattern that it hides is computed from its inputs. One file describes one
 * operator and `table.ts` lists it; nothing else knows an operator by its name or an input by its number.
 */
import type { Model, Node } from '../../onnx/model.js';
import { type Argument, operatorName } from '../ops.js';
import type { Builder } from './builder.js';

/** What an input is to the attention. */
export type Role =
  | Argument
  | 'states' // what queries, keys and values are projected from inside the operator, [batch, tokens, D]
  | 'weight' // what projects them
  | 'bias' // what is added by the projection
  | 'query' // [batch, tokens, heads · head_dim] or [batch, heads, tokens, head_dim]; may hold keys and values too
  | 'key' // as `query`, with key/value heads
  | 'value'
  | 'mask' // added to the scores, or boolean (true: seen); broadcast to [batch, heads, queries, keys]
  | 'past' // caches of keys and values in one, [2, batch, heads, past, head_dim]
  | 'past-key' // [batch, key/value heads, past, head_dim]
  | 'past-value'
  | 'past-length' // tokens in the cache
  | 'last-key' // index of the last key, [batch]
  | 'key-count' // number of keys, a scalar or [batch]
  | 'cos' // rotary table, [positions, rotated dims ÷ 2]
  | 'sin'
  | 'sink' // logit of an extra key for each head, [heads]
  | 'states-scale' // of quantised states and weights
  | 'states-zero'
  | 'weight-scale'
  | 'weight-zero'
  | 'key-scale' // of a quantised cache
  | 'value-scale'
  | 'query-norm' // weight of a norm inside the operator, [head_dim]
  | 'key-norm'
  | 'other'; // nothing that is fed or read here

/** What an output is. */
export type Result =
  | 'weighed' // pattern times values
  | 'present' // caches with the new tokens, as `past` takes them
  | 'present-key'
  | 'present-value'
  | 'scores';

export interface AttentionOperator {
  /** `''` for ai.onnx. */
  readonly domain: string;
  readonly op: string;
  /** In the order in which the operator takes them. */
  readonly inputs: readonly Role[];
  readonly outputs: readonly Result[];
  /** The attributes that count heads, and key/value heads where these may be fewer. */
  readonly heads: string;
  readonly kvHeads?: string;
  /** Tokens that its cache has room for, filled or not; undefined where the cache grows. */
  readonly room?: (node: Node) => number | undefined;
  /** What its pattern is computed from; left out where Sinkscope cannot tell. */
  readonly rebuild?: (call: Call, build: Builder) => Operands | Obstacle;
}

/** A node, read as its operator describes it. */
export interface Call {
  readonly operator: AttentionOperator;
  readonly node: Node;
  readonly model: Model;
}

/** What any attention comes down to: softmax(mask(cap(scale · Q Kᵀ))) V. Names of values. */
export interface Operands {
  /** [batch, heads, queries, head_dim]. */
  readonly q: string;
  /** [batch, heads or key/value heads, keys, head_dim]. */
  readonly k: string;
  /** As `k`. */
  readonly v: string;
  /** False where it is known that every query head has a key head of its own. */
  readonly grouped: boolean;
  /** Factor of the scores; 0 stands for 1/√head_dim. */
  readonly scale: number;
  readonly softcap?: number;
  readonly causal?: boolean;
  /**
   * Place of the first query among the keys, for what is causal and for windows: a scalar or [batch]; where it is left
   * out, queries are the last of the keys.
   */
  readonly offset?: string;
  /** How many keys there are, the others being unused places of a cache, [batch]. */
  readonly filled?: string;
  /** Keys a query sees, its own included; undefined for all. */
  readonly window?: number;
  /** Keys from this many after a query's own on are not seen; undefined for all. */
  readonly ahead?: number;
  /** Added to the scores, or a boolean mask (true: seen); broadcast to [batch, heads, queries, keys]. */
  readonly bias?: { readonly value: string; readonly boolean: boolean };
  /** Logit of an extra key for each head, [heads], or '' for logit 0; it takes weight and is dropped. */
  readonly sink?: string;
}

/** Why a pattern can't be rebuilt, as the part of a sentence that follows "attention pattern of block 3:". */
export interface Obstacle {
  readonly why: string;
}

/** The value given for a role; '' where it is left out. */
export const argument = ({ operator, node }: Pick<Call, 'operator' | 'node'>, role: Role): string =>
  node.inputs[operator.inputs.indexOf(role)] ?? '';

/** The pattern cannot be had: the operator, or what is said of it in `form`, is not known that well. */
export const hidden = (node: Node, form = ''): Obstacle => ({
  why: `it is hidden in the operator ${operatorName(node)}${form}, which Sinkscope cannot rebuild`,
});

/** The pattern cannot be had, because the file leaves out what it would be computed from. */
export const unstated = (node: Node, what: string): Obstacle => ({
  why: `the operator ${operatorName(node)} does not state ${what}`,
});
