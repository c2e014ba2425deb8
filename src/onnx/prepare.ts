/** One flat graph in which every residual sum is a tensor, computing what the file's own graph computes. */
import { basename } from 'node:path';
import { SinkscopeError } from '../errors.js';
import { inlineBranches } from './branches.js';
import { hoistConstants } from './constants.js';
import { mergeDequantised } from './dequantised.js';
import { inlineFunctions } from './functions.js';
import type { Graph, Model } from './model.js';
import { splitQuantised } from './qlinear.js';
import { Names } from './rename.js';
import { GraphError } from './scope.js';
import { splitNorms } from './skipnorm.js';

/**
 * The model with its functions inlined, `Constant` nodes as initializers, `If` nodes of a known way replaced by their
 * branch (a boolean graph input counts as false; it stays an input that nothing reads) and fused skip norms split into their sum and their norm.
 * Names of values stay; new values get new names. Throws `SinkscopeError` (`graph`) for functions that cannot be
 * inlined.
 */
export function prepare(model: Model): Model {
  try {
    const inlined = inlineFunctions(model);
    const names = new Names(inlined.graph);
    const flat = flattened(inlined.graph, names);
    return {
      ...inlined,
      graph: splitNorms(mergeDequantised(splitQuantised(flat, names), names), names, inlined.opsets.get('') ?? 1),
    };
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    const message = `${basename(model.file)} cannot be analysed: ${error.message}. Export it again.`;
    throw new SinkscopeError({ code: 'graph', file: model.file, message }, { cause: error });
  }
}

/** Branches hold constants, which decide further branches. */
function flattened(graph: Graph, names: Names): Graph {
  const hoisted = hoistConstants(graph);
  const inlined = inlineBranches(hoisted, names);
  return inlined === hoisted ? hoisted : flattened(inlined, names);
}
