/** Attention through a sliding window, with and without the first tokens kept (StreamingLLM, arXiv:2309.17453). */
import type { Weighting } from '../../anatomy/anatomy.js';
import { SinkscopeError } from '../../errors.js';
import type { AttentionWindow } from '../contract/request.js';
import { type Pattern, patternOf } from '../tensors/patterns.js';
import { type Columns, columnsOf, placeOf, updateOf, weighedRows } from '../tensors/site.js';
import type { Values } from '../tensors/value.js';
import { floats, type Value, withFloats } from '../tensors/value.js';
import { type Among, seesAhead } from './lacking.js';
import type { LoadedModel } from './loaded.js';
import type { Plan, Stage } from './plan.js';
import type { StageRunner } from './runner.js';

/** Mass that a row lacks to 1 above this went to a learned sink that has no column; below, it is rounding. */
const lacking = 1e-3;

/** Whether key token `key` is kept for `query`. */
const isKept = ({ window, sinks }: AttentionWindow, query: number, key: number) =>
  key < sinks || key > query - (window - sinks);

/** By head, the mass on keys that the window leaves out, averaged over the queries that lose any: those from `window` on. */
export function evictedShare(pattern: Pattern, columns: Columns, kept: AttentionWindow): number[] {
  const { heads, queries, keys, values } = pattern;
  return Array.from({ length: heads }, (_, head) => {
    let sum = 0;
    for (let query = kept.window; query < queries; query++) {
      const row = (head * queries + query) * keys + columns.offset;
      for (let key = 0; key <= query; key++) if (!isKept(kept, query, key)) sum += values[row + key] ?? 0;
    }
    return sum / (queries - kept.window);
  });
}

/** @throws SinkscopeError `input` for a pattern in which tokens see later ones: nothing streams there. */
export function checkCausal(columns: Columns, loaded: Among): void {
  if (!columns.causal) throw seesAhead(loaded, 'it cannot be run through a sliding window');
}

/**
 * The pattern with what the window leaves out set to 0 and the rest scaled up, as masking before the softmax does; not
 * scaled where each weight comes from its own score alone.
 *
 * @returns undefined where nothing is left of a row: its weights were too small for the pattern's precision
 */
export function windowedPattern(
  pattern: Pattern,
  columns: Columns,
  kept: AttentionWindow,
  weighting: Exclude<Weighting, 'other'> = 'softmax',
): Float32Array | undefined {
  const { heads, queries, keys, values } = pattern;
  const windowed = values.slice();
  for (let head = 0; head < heads; head++) {
    for (let query = kept.window; query < queries; query++) {
      const row = (head * queries + query) * keys;
      let [sum, lost] = [0, 0];
      for (let key = 0; key < keys; key++) {
        const token = key - columns.offset;
        const own = token >= 0 && token < queries;
        const weight = values[row + key] ?? 0;
        if (own && !isKept(kept, query, token)) {
          lost += weight;
          windowed[row + key] = 0;
        } else sum += weight;
      }
      if (weighting === 'elementwise') continue;
      const absent = 1 - sum - lost;
      const left = absent > lacking ? sum + absent : sum;
      if (!(left > 0)) return undefined;
      const scale = 1 / left;
      for (const [key, weight] of windowed.subarray(row, row + keys).entries()) windowed[row + key] = weight * scale;
    }
  }
  return windowed;
}

/**
 * What block `stage.last` goes on from when its attention looks through a window: its pattern or, where an operator
 * hides that, its weighed values.
 *
 * @throws SinkscopeError `input` where the block's pattern can be neither found nor rebuilt, is not causal, or has
 *   nothing left of a row
 */
export async function windowedValues(
  runner: StageRunner,
  plan: Plan,
  stage: Stage,
  known: Values,
  kept: AttentionWindow,
  keep: boolean,
): Promise<ReadonlyMap<string, Value>> {
  const { loaded } = runner;
  const block = stage.last;
  const { attention } = loaded.anatomy.blocks[block - 1] ?? {};
  const name = loaded.patterns.get(block);
  if (!attention) return new Map();
  const { weighting } = attention;
  if (weighting === 'other') throw noWindow(loaded, block);
  const hidden = !('tensor' in attention.pattern);
  const values = loaded.operands.get(block)?.values;
  const { weighed } = attention;
  if (name === undefined || (hidden && (values === undefined || weighed === undefined)))
    throw hiddenPattern(loaded, block);
  const wanted = hidden && values !== undefined && weighed !== undefined ? [name, values, weighed] : [name];
  const results = await runner.run(plan.narrow(stage, wanted), known, keep);
  const found = (wantedName: string | undefined) => results.get(wantedName ?? '') as Value;

  const pattern = patternOf(found(name));
  const columns = columnsOf(pattern);
  checkCausal(columns, loaded);
  const changed = windowedPattern(pattern, columns, kept, weighting);
  if (!changed) {
    throw new SinkscopeError({
      code: 'input',
      file: loaded.file,
      message: `In block ${block} a query gives what a window of ${kept.window} keeps less attention than numbers can tell from none, so it cannot be scaled up; choose a larger window or more sink tokens.`,
    });
  }
  if (!hidden) return new Map([[name, withFloats(found(name), changed)]]);

  const rows = weighedRows(found(values), pattern.heads);
  const before = found(weighed);
  const place = placeOf(pattern, rows, before);
  if (!place || weighed === undefined) throw hiddenPattern(loaded, block);
  const all = Array.from({ length: pattern.keys }, (_, column) => column);
  const product = updateOf({ ...pattern, values: changed }, rows, all, place, floats(before).length);
  return new Map([[weighed, withFloats(before, product)]]);
}

function noWindow({ file }: LoadedModel, block: number): SinkscopeError {
  return new SinkscopeError({
    code: 'input',
    file,
    message: `The attention weights of block ${block} come from no plain softmax, so what they would be in a window cannot be told from them; choose another model.`,
  });
}

function hiddenPattern({ file, anatomy }: LoadedModel, block: number): SinkscopeError {
  const pattern = anatomy.blocks[block - 1]?.attention?.pattern;
  if (pattern && 'parts' in pattern) {
    return new SinkscopeError({
      code: 'input',
      file,
      message: `The attention of block ${block} is laid out in a form that Sinkscope can show but not change, so it cannot be given a window; choose another model.`,
    });
  }
  const where = pattern && 'operator' in pattern ? ` (${pattern.operator.op})` : '';
  return new SinkscopeError({
    code: 'input',
    file,
    message: `The attention of block ${block}${where} hides its pattern from Sinkscope, so it cannot be given a window; export the model with attention as plain operators.`,
  });
}
