/**
 * Attention patterns as values of the graph. Where an operator hides one, it is rebuilt beside the operator as ordinary
 * nodes from the operator's own inputs, with caches taken as empty and padding masks as all ones, which is how runs are
 * fed.
 */
import type { Model, Node } from '../onnx/model.js';
import type { Anatomy, Attention } from './anatomy.js';
import { Builder } from './operators/builder.js';
import { hidden, type Obstacle } from './operators/operator.js';
import { softmaxOf } from './operators/softmax.js';
import { attentionOperator } from './operators/table.js';
import { type Gap, merged } from './words.js';

/** Names of values. */
export interface PatternNames {
  /** Probabilities after the softmax, [batch, heads, queries, keys] up to leading axes; float32 where it is rebuilt. */
  readonly tensor: string;
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
}

/** Rebuilds the patterns that operators hide; `anatomy` is the model's own. */
export function withPatterns(model: Model, anatomy: Anatomy): Patterned {
  const patterns = new Map<number, PatternNames>();
  const nodes: Node[] = [];
  const gaps: Gap[] = [];
  for (const [index, { attention }] of anatomy.blocks.entries()) {
    if (!attention) continue;
    const block = index + 1;
    const found = patternIn(model, attention, `sinkscope/pattern/${index}`);
    if ('why' in found) {
      gaps.push({ part: 'attention pattern', block, why: found.why });
      continue;
    }
    for (const one of found.nodes) nodes.push(one);
    patterns.set(block, found.pattern);
  }
  const missing = [...merged(gaps, anatomy.blocks.length), ...anatomy.missing];
  const graph = { ...model.graph, nodes: [...model.graph.nodes, ...nodes] };
  return { model: { ...model, graph }, anatomy: { ...anatomy, missing }, patterns };
}

interface Found {
  readonly pattern: PatternNames;
  /** What makes it, where the graph does not. */
  readonly nodes: readonly Node[];
}

function patternIn(model: Model, { pattern, keys, values }: Attention, prefix: string): Found | Obstacle {
  if ('tensor' in pattern) return { pattern: { tensor: pattern.tensor, keys, values }, nodes: [] };
  const node = pattern.operator;
  const operator = attentionOperator(node);
  if (!operator?.rebuild) return hidden(node);
  const build = new Builder(prefix);
  const operands = operator.rebuild({ operator, node, model }, build);
  if ('why' in operands) return operands;
  return {
    pattern: { tensor: softmaxOf(build, operands), keys: operands.k, values: operands.v },
    nodes: build.nodes,
  };
}
