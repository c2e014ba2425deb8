/**
 * One sequence through the blocks, and what its tensors are like where precision is lost: residual points, norms, what
 * products with a weight read and give. Each is reduced while it is there.
 */
import type { LinearInput } from '../../anatomy/linear.js';
import { DataType } from '../../onnx/model.js';
import { hiddenStatistics } from '../../statistics/hidden.js';
import { countAbove } from '../../statistics/int8.js';
import { roundingCosts } from '../../statistics/rounding.js';
import type { ProgressEvent } from '../contract/measure.js';
import type { PrecisionEvent, PrecisionPoint, PrecisionRequest, ProductInput } from '../contract/precision.js';
import { makeFeeds } from '../inputs/feeds.js';
import { forward, type Lane } from '../stages/forward.js';
import { type Head, withHead } from '../stages/head.js';
import { chooseDial, logitRows } from '../stages/memory.js';
import { type Homes, overflowing, placesOf } from '../stages/overflowing.js';
import { makePlan } from '../stages/plan.js';
import type { StageRunner } from '../stages/runner.js';
import { type RowVectors, rowVectors } from '../tensors/along.js';
import { floats, rowsOf, sliceRows, type Value, type Values } from '../tensors/value.js';
import { progressOf } from './progress.js';
import { checkSequences } from './sequences.js';

/** The largest number of half precision. */
const largestHalf = 65_504;

/** What is looked at, and what of its tensor counts. */
interface Wanted {
  readonly block: number;
  readonly tensor: string;
  readonly axis: number;
  readonly point: PrecisionPoint['point'];
  readonly part?: string;
  readonly input?: LinearInput;
}

/**
 * Runs the sequence and emits what its tensors are like, block by block.
 *
 * @throws SinkscopeError `input` for an id out of range, or where rows are no tokens; `too-long` above the context
 */
export async function tellPrecision(
  runner: StageRunner,
  request: PrecisionRequest,
  emit: (event: PrecisionEvent | ProgressEvent) => Promise<void>,
): Promise<void> {
  const { loaded } = runner;
  const { anatomy, model, summary } = loaded;
  const { ids, memory } = request;
  checkSequences(loaded, [ids], 'The sequence');
  const wanted = wantedOf(runner);
  const unmeasured = loaded.linear().length - wanted.filter(({ input }) => input).length;
  const taps = new Map<number, string[]>();
  for (const { block, tensor } of wanted) taps.set(block, [...(taps.get(block) ?? []), tensor]);
  const plan = makePlan(model.graph, anatomy, taps, []);
  const feeds = makeFeeds(anatomy.inputs, new Map(), ids);
  const lane: Lane = { values: new Map(feeds.values), interventions: [] };
  const rows = { tokens: ids.length, positions: feeds.length ?? ids.length };
  const dial = chooseDial({ anatomy, weightBytes: summary.bytes, tokens: rows.positions, memory, again: false });
  const head = headOf(runner, memory);
  const lasting = head?.stage.inputs ?? [];
  const report = progressOf(anatomy, dial, 0, 1);
  let places: Homes | undefined;
  let open: readonly Wanted[] = wanted;
  for await (const { stage, results } of forward(runner, { plan, stages: plan.stages, keep: false, lasting }, [lane])) {
    for (const event of report(stage)) await emit(event);
    const at = (tensor: string) => results.get(tensor) ?? lane.values.get(tensor);
    const here = open.filter(({ tensor }) => at(tensor) !== undefined);
    open = open.filter((one) => !here.includes(one));
    const found = here.flatMap((one) => reading(one, at(one.tensor), rows, request.outlier));
    const points = found.map(({ point }) => point);
    const spills = points.some(({ max, nonFinite }) => max > largestHalf || nonFinite > 0);
    if (spills) places ??= placesOf(loaded);
    await emit({
      type: 'precision',
      block: stage.last,
      inputs: found.flatMap(({ input }) => input ?? []),
      points,
      unmeasured: stage.last === 0 ? unmeasured : 0,
      overflowing: spills && places ? await overflowing(runner, plan, places, stage, lane.values, largestHalf) : [],
    });
  }
  if (head) await emit(await logitsEvent(head, lane.values, rows.tokens, anatomy.layers + 1));
}

/** What there is to look at, each tensor once in a role, in the order of the graph. */
function wantedOf({ loaded }: StageRunner): readonly Wanted[] {
  const { anatomy, model } = loaded;
  // What is shown was turned to have its vectors along the last axis; norms are as the file has them.
  const turns = new Map(anatomy.turns.map((turn) => [turn.value, turn]));
  const own = turns.get(anatomy.embedding);
  const along = own ? own.axis - own.rank : -1;
  const axisOf = (tensor: string, axis: number) => (turns.has(tensor) ? -1 : axis);
  const residual = anatomy.blocks.flatMap(({ residMid, residPost }, index): Wanted[] => [
    ...(residMid === undefined
      ? []
      : [{ block: index + 1, tensor: residMid, axis: -1, point: 'resid_mid' } satisfies Wanted]),
    { block: index + 1, tensor: residPost, axis: -1, point: 'resid_post' },
  ]);
  const read = new Set(loaded.linear().map(({ tensor }) => tensor));
  const norms = loaded
    .norms()
    .flatMap(({ block, output, squares }): Wanted[] => [
      ...(squares === undefined
        ? []
        : [{ block, tensor: squares, axis: along, point: 'norm_squares' } satisfies Wanted]),
      ...(output === undefined || read.has(output)
        ? []
        : [{ block, tensor: output, axis: axisOf(output, along), point: 'norm' } satisfies Wanted]),
    ]);
  const given = new Set(model.graph.inputs.map(({ name }) => name));
  const products = loaded.linear().flatMap((input): Wanted[] => {
    const { block, part, tensor, axis } = input;
    if (part === 'beside' || given.has(tensor)) return [];
    return [
      { block, tensor, axis: axisOf(tensor, axis), point: 'input', part, input },
      ...input.products.flatMap(({ node, side, part }): Wanted[] => {
        // What is inside an operator is no value of the graph; logits are looked at in parts.
        const [output = ''] = node.outputs;
        if (side === undefined || part === 'head') return [];
        return [{ block, tensor: output, axis: axisOf(output, axis), point: 'product', part }];
      }),
    ];
  });
  return [{ block: 0, tensor: anatomy.embedding, axis: -1, point: 'resid_post' }, ...residual, ...norms, ...products];
}

const floating: ReadonlySet<number> = new Set([DataType.float, DataType.float16, DataType.double]);

interface Rows {
  readonly tokens: number;
  /** More than the tokens where the file takes one length alone. */
  readonly positions: number;
}

interface Reading {
  readonly point: PrecisionPoint;
  /** Of what products read. */
  readonly input: ProductInput | undefined;
}

function reading(wanted: Wanted, value: Value | undefined, rows: Rows, outlier: number): readonly Reading[] {
  if (!value || !floating.has(value.type) || value.dims.length < -wanted.axis) return [];
  const { point, part, block, tensor, input } = wanted;
  const isResidual = point === 'resid_post' || point === 'resid_mid';
  const vectors = isResidual
    ? { values: floats(sliceRows(value, 0, rows.tokens)), rows: rows.tokens, dims: rowsOf(value).dims }
    : cropped(rowVectors(value, wanted.axis), rows);
  const statistics = hiddenStatistics(vectors.values, vectors.rows, vectors.dims);
  const [top] = statistics.top;
  const areTokens = vectors.rows === rows.tokens;
  const lost = statistics.nonFinite > 0 ? firstNonFinite(vectors.values, vectors.dims) : undefined;
  const extent = {
    block,
    tensor,
    max: Math.abs(top?.value ?? 0),
    token: areTokens ? top?.token : undefined,
    dim: top?.dim ?? 0,
    median: statistics.median,
    nonFinite: statistics.nonFinite,
    firstNonFinite: lost && { ...lost, token: areTokens ? lost.token : undefined },
  };
  const found = { point: { ...extent, point, part }, input: undefined };
  if (!input || part === undefined) return [found];
  const reduced: ProductInput = {
    ...extent,
    part,
    nodes: input.products.map(({ node }) => ({ name: node.name, op: node.op })),
    weights: [...new Set(input.products.flatMap(({ stored }) => stored))],
    rows: vectors.rows,
    dims: vectors.dims,
    ...roundingCosts(vectors.values, statistics.tokenMax, vectors.dims),
    outliers: countAbove(vectors.values, vectors.dims, outlier),
  };
  return [{ ...found, input: reduced }];
}

/** The first entry that is NaN or infinite, of rows of `dims`. */
function firstNonFinite(
  values: Float32Array,
  dims: number,
): { readonly token: number; readonly dim: number } | undefined {
  const at = values.findIndex((value) => !Number.isFinite(value));
  return at < 0 ? undefined : { token: Math.floor(at / dims), dim: at % dims };
}

/** Without the positions that are no tokens. */
function cropped(vectors: RowVectors, { tokens, positions }: Rows): RowVectors {
  if (vectors.rows !== positions || positions === tokens) return vectors;
  return { ...vectors, rows: tokens, values: vectors.values.subarray(0, tokens * vectors.dims) };
}

/** The output head, where it gives scores over a vocabulary. */
function headOf(runner: StageRunner, memory: number): Head | undefined {
  const { anatomy, predicts } = runner.loaded;
  return predicts ? withHead(runner, logitRows(anatomy, memory)).head : undefined;
}

async function logitsEvent(head: Head, values: Values, tokens: number, block: number): Promise<PrecisionEvent> {
  const tensor = head.stage.outputs[0] ?? '';
  let largest: PrecisionPoint | undefined;
  for await (const { from, to, logits } of head.parts(values, 0, tokens, false)) {
    const dims = logits.length / (to - from);
    const { top, median, nonFinite } = hiddenStatistics(logits, to - from, dims);
    const lost = nonFinite > 0 ? firstNonFinite(logits, dims) : undefined;
    const [first] = top;
    const found = { max: Math.abs(first?.value ?? 0), token: from + (first?.token ?? 0), dim: first?.dim ?? 0 };
    const more = nonFinite + (largest?.nonFinite ?? 0);
    const kept = largest && largest.max >= found.max ? largest : { ...found, median };
    const earlier = largest?.firstNonFinite ?? (lost && { ...lost, token: from + lost.token });
    largest = { ...kept, block, tensor, point: 'logits', part: 'head', nonFinite: more, firstNonFinite: earlier };
  }
  return { type: 'precision', block, inputs: [], points: largest ? [largest] : [], unmeasured: 0, overflowing: [] };
}
