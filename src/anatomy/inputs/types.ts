/** What an input's declaration says of its elements and extents. */
import { DataType, type ValueInfo } from '../../onnx/model.js';

export const isFloat = ({ type }: Pick<ValueInfo, 'type'>): boolean =>
  type === DataType.float || type === DataType.float16 || type === DataType.bfloat16 || type === DataType.double;

/** Keys and values are kept as floats or rounded to integers of eight bits. */
export const mayBeKept = (info: Pick<ValueInfo, 'type'>): boolean =>
  isFloat(info) || info.type === DataType.int8 || info.type === DataType.uint8;

export const isScalar = ({ shape }: ValueInfo): boolean =>
  shape?.length === 0 || (shape?.length === 1 && shape[0] === 1);
