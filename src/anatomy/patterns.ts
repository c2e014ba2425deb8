/**
 * Attention patterns as values of the graph. Where an operator hides one, it is rebuilt beside the operator as ordinary
 * nodes from the operator's own inputs, caches among them, with padding masks taken as all ones, which is how runs are
 * fed.
 */
import type { Model, Node } from '../onnx/model.js';
import type { Anatomy, Attention, PatternPart } from './anatomy.js';
import { Builder } from './operators/builder.js';
import { hidden, type Obstacle } from './operators/operator.js';
import { softmaxOf } from './operators/softmax.js';
import { attentionOperator } from './operators/table.js';
import { type Gap, merged } from './words.js';

/** Names of values. */
export interface PatternNames {
  /** Probabilities after the softmax, [batch, heads, queries, keys] up to leading axes; float32 where it is rebuilt. */
  readonly tensor: string;
  /** What keys are multiplied by, [batch, heads, queries, head_dim]. */
  readonly queries: string | undefined;
  /** What queries are multiplied by and what the pattern weighs, [batch, key/value heads or heads, keys, head_dim]. */
  readonly keys: string | undefined;
  readonly values: string | undefined;
}

/** A model in which every pattern that can be had is a value. */
export interface Patterned {
  /** With the nodes that rebuild patterns after its own. */
  readonly model: Model;
  /** Its `missing` says for every pattern that cannot be had why not. */
  readonly anatomy: Anatomy;
  /** By block (1-based). */
  readonly patterns: ReadonlyMap<number, PatternNames>;
  /** The same of attention to other states than the stream's. */
  readonly crosses: ReadonlyMap<number, PatternNames>;
}

/** Rebuilds the patterns that operators hide; `anatomy` is the model's own. */
export function withPatterns(model: Model, anatomy: Anatomy): Patterned {
  const patterns = new Map<number, PatternNames>();
  const crosses = new Map<number, PatternNames>();
  const nodes: Node[] = [];
  const gaps: Gap[] = [];
  const add = (attention: Attention | undefined, to: typeof patterns, block: number, part: string, prefix: string) => {
    if (!attention) return;
    const found = patternIn(model, attention, prefix);
    if ('why' in found) {
      gaps.push({ part, block, why: found.why });
      return;
    }
    for (const one of found.nodes) nodes.push(one);
    to.set(block, found.pattern);
  };
  for (const [index, { attention, cross }] of anatomy.blocks.entries()) {
    add(attention, patterns, index + 1, 'attention pattern', `sinkscope/pattern/${index}`);
    add(cross, crosses, index + 1, 'cross-attention pattern', `sinkscope/cross/${index}`);
  }
  const missing = [...merged(gaps, anatomy.blocks.length), ...anatomy.missing];
  const graph = { ...model.graph, nodes: [...model.graph.nodes, ...nodes] };
  return { model: { ...model, graph }, anatomy: { ...anatomy, missing }, patterns, crosses };
}

interface Found {
  readonly pattern: PatternNames;
  /** What makes it, where the graph does not. */
  readonly nodes: readonly Node[];
}

function patternIn(model: Model, { pattern, queries, keys, values }: Attention, prefix: string): Found | Obstacle {
  if ('tensor' in pattern) return { pattern: { tensor: pattern.tensor, queries, keys, values }, nodes: [] };
  if ('parts' in pattern) return joined(pattern.parts, new Builder(prefix));
  const node = pattern.operator;
  const operator = attentionOperator(node);
  if (!operator?.rebuild) return hidden(node);
  const build = new Builder(prefix);
  const operands = operator.rebuild({ operator, node, model }, build);
  if ('why' in operands) return operands;
  return {
    pattern: { tensor: softmaxOf(build, operands), queries: operands.q, keys: operands.k, values: operands.v },
    nodes: build.nodes,
  };
}

/** One pattern of the heads of all parts. */
function joined(parts: readonly PatternPart[], build: Builder): Found {
  const own = parts.map(({ tensor, perm, divisor }) => {
    const turned = perm ? build.transpose(perm.length === 3 ? flat(build, tensor) : tensor, perm) : tensor;
    return build.float32(divisor === undefined ? turned : build.node('Div', [turned, divisor]));
  });
  const keys = parts.flatMap((part) => part.keys ?? []);
  const values = parts.flatMap((part) => part.values ?? []);
  return {
    pattern: {
      tensor: stacked(build, own),
      queries: undefined,
      keys: keys.length === parts.length ? stacked(build, keys) : undefined,
      values: values.length === parts.length ? stacked(build, values) : undefined,
    },
    nodes: build.nodes,
  };
}

/** [..., rows, columns] of each, one after another: [heads, rows, columns]. */
function stacked(build: Builder, values: readonly string[]): string {
  const [only = '', ...others] = values;
  if (others.length === 0) return only;
  return build.node(
    'Concat',
    values.map((value) => flat(build, value)),
    { axis: 0 },
  );
}

/** [..., rows, columns] as [heads, rows, columns]. */
function flat(build: Builder, value: string): string {
  const extents = build.slice(build.node('Shape', [value]), 0, -2, 2 ** 31 - 1);
  return build.node('Reshape', [value, build.node('Concat', [build.ints([-1]), extents], { axis: 0 })]);
}
