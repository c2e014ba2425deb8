/** One flat graph in which every residual sum is a tensor, computing what the file's own graph computes. */
import { basename } from 'node:path';
import { SinkscopeError } from '../errors.js';
import { widenOutputs } from './bfloat.js';
import { unblock } from './blocked.js';
import { inlineBranches } from './branches.js';
import { hoistConstants } from './constants.js';
import { mergeDequantised } from './dequantised.js';
import { stopTraining, tellRandom } from './dropout.js';
import { unfoldFactors } from './factors.js';
import { inlineFunctions } from './functions.js';
import { unrollLoops } from './loops.js';
import type { Model } from './model.js';
import type { Pass } from './pass.js';
import { renameProto } from './proto.js';
import { splitQuantised } from './qlinear.js';
import { Names } from './rename.js';
import { GraphError } from './scope.js';
import { splitNorms } from './skipnorm.js';

/** Constants decide branches and loops, and these hold constants: all, until none of them finds anything. */
export const flatten: Pass = (graph, context) => {
  const hoisted = hoistConstants(graph, context);
  const inlined = inlineBranches(hoisted, context);
  const unrolled = unrollLoops(inlined, context);
  return unrolled === hoisted ? hoisted : flatten(unrolled, context);
};

/** In the order in which they run, on a model without functions. */
export const passes: readonly Pass[] = [
  flatten,
  stopTraining,
  tellRandom,
  splitQuantised,
  mergeDequantised,
  splitNorms,
  unblock,
  unfoldFactors,
  widenOutputs,
  renameProto,
];

/**
 * The model with its functions inlined, `Constant` nodes as initializers, `If` nodes of a known way replaced by their
 * branch (a boolean graph input counts as `switches`; it stays an input that nothing reads), loops over a stated number
 * of steps unrolled, operators on quantised values as their float counterparts, fused skip norms split into their sum
 * and their norm, values that were laid out for a processor as they were before, factors of activations taken out of products, dropout as it is after training, and bfloat16 outputs as float32. Names of values stay, but for one that ONNX Runtime's binding
 * cannot take; new values get new names.
 *
 * @param switches true: as a merged decoder is that is given a cache
 * @throws SinkscopeError `graph` for functions that cannot be inlined
 */
export function prepare(model: Model, switches = false): Model {
  try {
    const inlined = inlineFunctions(model);
    const remarks = [...model.remarks];
    const remark = (words: string) => remarks.push(words);
    const context = { names: new Names(inlined.graph), switches, opset: inlined.opsets.get('') ?? 1, remark };
    return { ...inlined, graph: passes.reduce((graph, pass) => pass(graph, context), inlined.graph), remarks };
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    const message = `${basename(model.file)} cannot be analysed: ${error.message}. Export it again.`;
    throw new SinkscopeError({ code: 'graph', file: model.file, message }, { cause: error });
  }
}
