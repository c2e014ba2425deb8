/** A model in the form that derivatives are taken of. */
import type { Model } from '../onnx/model.js';
import { decomposed } from './decompose.js';
import { singlePrecision } from './single.js';

/** The model in single precision, its fused operators taken apart. Names of values stay. */
export function differentiable(model: Model): Model {
  const opsets = new Map(model.opsets).set('com.microsoft', 1);
  return decomposed({ ...model, opsets, graph: singlePrecision(model.graph) });
}
