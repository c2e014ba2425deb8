/** Interventions, made on a value. */
import { SinkscopeError } from '../../errors.js';
import { DataType } from '../../onnx/model.js';
import { float32ToFloat16 } from '../../statistics/half.js';
import { uniform } from '../../statistics/random.js';
import type { Intervention, Setting } from '../contract/interventions.js';
import { floats, rowsOf, type Value } from '../tensors/value.js';

/**
 * A copy of `value` with the interventions made, in their order; tokens beyond its end are left out.
 *
 * @throws SinkscopeError `input` for a dim that the value does not have
 */
export function intervened(value: Value, interventions: readonly Intervention[]): Value {
  const { tokens, dims } = rowsOf(value);
  const data = floats(value).slice();
  for (const { tokens: chosen, dims: chosenDims, set } of interventions) {
    const rows = chosen === 'all' ? range(tokens) : chosen.filter((token) => token < tokens);
    const columns = columnsOf(chosenDims, dims);
    const change = changeOf(set);
    for (const row of rows)
      columns.forEach((column, i) => {
        const at = row * dims + column;
        data[at] = change(data[at] as number, i);
      });
  }
  return { ...value, data: value.type === DataType.float16 ? float32ToFloat16(data) : data };
}

const range = (length: number) => Array.from({ length }, (_, i) => i);

function columnsOf(chosen: Intervention['dims'], dims: number): readonly number[] {
  if (chosen === 'all') return range(dims);
  const named = 'except' in chosen ? chosen.except : chosen;
  const outside = named.find((dim) => dim >= dims);
  if (outside !== undefined) {
    throw new SinkscopeError({
      code: 'input',
      message: `There is no dim ${outside} at this point: the model has dims 0 to ${dims - 1} there.`,
    });
  }
  if (!('except' in chosen)) return chosen;
  const kept = new Set(chosen.except);
  return range(dims).filter((dim) => !kept.has(dim));
}

/** The new value of an entry, from its old one and the place of its dim among those chosen. */
function changeOf(set: Setting): (old: number, i: number) => number {
  switch (set.to) {
    case 'zero':
      return () => 0;
    case 'value': {
      const { value } = set;
      return typeof value === 'number' ? () => value : (old, i) => value[i] ?? old;
    }
    case 'scale':
      return (old) => old * set.by;
    case 'noise': {
      const random = uniform(set.seed);
      // Box–Muller.
      return (old) => old + set.deviation * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    }
  }
}
