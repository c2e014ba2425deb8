/** Inputs that mask, or are taken for masks because nothing else is known of them. */
import type { ValueInfo } from '../../onnx/model.js';
import { isFusedAttention } from '../operators/table.js';
import { readMask } from './masks.js';
import { saidBy } from './names.js';
import type { Reader, Recognised } from './reader.js';
import { isFloat, isScalar } from './types.js';

const masking = new Set(['Add', 'Where', 'Mul', 'Sub', 'And', 'Min']);

/** Names of what is in a cache already, or of the place where it goes on. */
const counts = /past|cache|start|pos|len|offset|step|seen|ind(ex|ices)|idx/i;

/** The role of what nothing but the stream's scores or states read. */
export function maskRole({ flow, info, main, ids, hasCache, all }: Reader): Recognised {
  const rank = info.shape?.length;
  const tokenAxis = rank === undefined ? undefined : Math.max(0, rank - 1);
  if (isScalar(info)) {
    const countsPast = counts.test(info.name);
    if (hasCache && !isFloat(info) && (countsPast || saidBy(info.name) === undefined))
      return { role: 'past-length', how: 'a count of tokens in the cache: zero', guessed: !countsPast };
    return { role: isFloat(info) ? 'features' : 'unknown', how: 'a number that changes what is computed' };
  }
  if (rank === 1 && (isFloat(info) || info.shape?.[0] === ids?.batch))
    return { role: 'unknown', how: 'a number for each example that changes what is computed' };
  if (rank === 1)
    return {
      role: 'cache-position',
      tokenAxis: 0,
      how: 'positions in the cache: 0 to T - 1',
      guessed: !hasCache || !counts.test(info.name),
    };
  if (isFloat(info) && rank !== undefined && rank > 2) {
    const multiplies = all.touches.every(({ node }) => node.op === 'Mul');
    const does = multiplies
      ? 'multiply what is computed of the tokens, as rotations do'
      : 'are added to the attention scores';
    return { role: 'features', how: `floats given by the user: they ${does}` };
  }
  if (isOverPairs(info, ids))
    return { role: 'pair-mask', tokenAxis, how: 'a mask over pairs of tokens, which says what each of them sees' };
  const reading = readMask(flow, info, main, all);
  switch (reading.kind) {
    case 'mask':
      return { role: 'attention-mask', tokenAxis, keeps: reading.keeps, how: words[reading.keeps] };
    case 'added':
      return { role: 'attention-mask', tokenAxis, keeps: 0, how: 'zeros: it is added to the attention scores' };
    case 'none':
      return { role: 'unknown', tokenAxis, how: 'it changes what tokens see, but masks nothing by itself' };
    case 'open': {
      const masks = all.touches.some(({ node }) => masking.has(node.op) || isFusedAttention(node));
      const isCounted = all.through.some(({ op }) => op === 'CumSum' || op === 'ReduceSum');
      if (!masks && !isCounted)
        return { role: 'unknown', tokenAxis, how: 'what it means cannot be told from the graph' };
      const keeps = saidBy(info.name) === 'padding' ? 0 : 1;
      return { role: 'attention-mask', tokenAxis, keeps, how: words[keeps], guessed: true };
    }
  }
}

const words = {
  0: 'zeros: it masks attention where it is true, and nothing is to be masked',
  1: 'ones: it masks attention',
} as const;

/** Two axes of tokens. */
function isOverPairs({ shape }: ValueInfo, ids: Reader['ids']): boolean {
  const [first, last] = [shape?.at(-2), shape?.at(-1)];
  if (shape !== undefined && shape.length > 2) return shape.slice(1, -1).some((extent) => extent !== 1);
  if (first === undefined || first === null || first === 1) return false;
  return first === last || (first === ids?.tokens && first !== ids?.batch);
}
