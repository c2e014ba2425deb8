/** Interventions, made on a value. */
import { grouped, SinkscopeError } from '../../errors.js';
import { DataType } from '../../onnx/model.js';
import { float32ToFloat16 } from '../../statistics/half.js';
import { uniform } from '../../statistics/random.js';
import type { Intervention, Setting } from '../contract/interventions.js';
import { floats, rowsOf, type Value } from '../tensors/value.js';

/**
 * A copy of `value` with the interventions made, in their order; tokens beyond its end are left out.
 *
 * @throws SinkscopeError `input` for a dim that the value does not have, and a direction of another width
 */
export function intervened(value: Value, interventions: readonly Intervention[]): Value {
  const { tokens, dims } = rowsOf(value);
  const data = floats(value).slice();
  for (const { tokens: chosen, dims: chosenDims, set } of interventions) {
    const rows = chosen === 'all' ? range(tokens) : chosen.filter((token) => token < tokens);
    const columns = columnsOf(chosenDims, dims);
    if (set.to === 'project-out') {
      const unit = unitOf(checkedDirection(set.direction, columns));
      for (const row of rows) projectOut(data, row * dims, columns, unit);
      continue;
    }
    if (set.to === 'add') checkedDirection(set.direction, columns);
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

function checkedDirection(direction: Float32Array, columns: readonly number[]): Float32Array {
  if (direction.length === columns.length) return direction;
  throw new SinkscopeError({
    code: 'input',
    message: `The direction has ${grouped(direction.length)} entries and there are ${grouped(columns.length)} dims that it is for; choose one that was made for this model and point.`,
  });
}

function unitOf(direction: Float32Array): Float64Array {
  const norm = Math.sqrt(direction.reduce((sum, entry) => sum + entry ** 2, 0));
  return Float64Array.from(direction, (entry) => entry / norm);
}

/** Takes from one row, which begins at `start`, its part along `unit`. */
function projectOut(data: Float32Array, start: number, columns: readonly number[], unit: Float64Array): void {
  let along = 0;
  for (const [i, column] of columns.entries()) along += (data[start + column] ?? 0) * (unit[i] ?? 0);
  for (const [i, column] of columns.entries())
    data[start + column] = (data[start + column] ?? 0) - along * (unit[i] ?? 0);
}

/** The new value of an entry, from its old one and the place of its dim among those chosen. */
function changeOf(set: Exclude<Setting, { to: 'project-out' }>): (old: number, i: number) => number {
  switch (set.to) {
    case 'zero':
      return () => 0;
    case 'value': {
      const { value } = set;
      return typeof value === 'number' ? () => value : (old, i) => value[i] ?? old;
    }
    case 'add':
      return (old, i) => old + (set.direction[i] ?? 0);
    case 'scale':
      return (old) => old * set.by;
    case 'noise': {
      const random = uniform(set.seed);
      // Box–Muller.
      return (old) => old + set.deviation * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    }
  }
}
