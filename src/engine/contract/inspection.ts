/** What a model file is, as plain data: for `inspect` and the side view. */
import * as v from 'valibot';
import type { FinalNorm, Input, Missing, Output, Rows, Turn, Unembedding, Weighting } from '../../anatomy/anatomy.js';
import { exactly, flag, maybe, type Sent, text, whole } from '../../schemas.js';
import { modelSummary } from './events.js';
import { inputRole } from './inputs.js';

const input = exactly<Input>()(
  v.object({
    name: text,
    role: inputRole,
    type: v.number(),
    shape: maybe(v.array(v.nullable(v.union([v.number(), text])))),
    tokenAxis: maybe(whole),
    extents: v.record(v.pipe(text, v.transform(Number)), whole),
    along: maybe(text),
    keeps: maybe(v.picklist([0, 1])),
    how: text,
    guessed: flag,
  }),
);

const output = exactly<Output>()(
  v.object({ name: text, columns: maybe(whole), made: maybe(v.picklist(['probabilities', 'unit', 'states'])) }),
);

const pattern = v.variant('from', [
  v.object({ from: v.literal('graph'), tensor: text }),
  /** Hidden in this operator and computed again from its inputs. */
  v.object({ from: v.literal('rebuilt'), operator: text, node: text }),
  v.object({ from: v.literal('nothing'), operator: text, node: text }),
]);

const weightings = ['softmax', 'elementwise', 'other'] as const satisfies readonly Weighting[];

const attention = v.object({
  pattern,
  weighting: v.picklist(weightings),
  output: maybe(text),
  normed: maybe(text),
  keys: maybe(text),
  values: maybe(text),
  weighed: maybe(text),
  projected: maybe(text),
  edges: maybe(text),
  heads: maybe(whole),
  kvHeads: maybe(whole),
  headDim: maybe(whole),
});

const routing = v.object({
  experts: maybe(whole),
  chosen: maybe(whole),
  /** Values of the graph, or the operator that hides them. */
  from: v.variant('from', [
    v.object({ from: v.literal('graph'), indices: text, weights: text, scores: maybe(text) }),
    v.object({ from: v.literal('rebuilt'), operator: text, node: text }),
  ]),
  multiplies: v.picklist(['outputs', 'inputs']),
  intermediate: maybe(text),
  shared: flag,
});

const block = v.object({
  residPost: text,
  residMid: maybe(text),
  attention: maybe(attention),
  cross: maybe(attention),
  mlpIntermediate: maybe(text),
  mlpOutput: maybe(text),
  routing: maybe(routing),
  additive: flag,
  mixedKeys: flag,
});
export type InspectedBlock = Sent<typeof block>;

const rowPart = v.variant('kind', [
  v.object({ kind: v.literal('tokens'), from: v.number(), to: maybe(v.number()) }),
  v.object({ kind: v.literal('added'), count: whole }),
  v.object({ kind: v.literal('input'), name: text, count: v.optional(whole) }),
]);

const rows = exactly<Rows>()(
  v.variant('kind', [
    v.object({ kind: v.literal('parts'), parts: v.array(rowPart) }),
    v.object({ kind: v.literal('inputs'), names: v.array(text), inTurn: flag }),
  ]),
);

/** As `src/anatomy/anatomy.ts` explains them, with patterns that are hidden in an operator named by it. */
const anatomy = v.object({
  layers: whole,
  hidden: maybe(whole),
  heads: maybe(whole),
  kvHeads: maybe(whole),
  headDim: maybe(whole),
  mlpHidden: maybe(whole),
  vocabulary: maybe(whole),
  context: maybe(whole),
  patch: maybe(v.object({ height: whole, width: whole })),
  copies: flag,
  rows: maybe(rows),
  headRows: maybe(v.object({ from: whole, to: maybe(v.number()) })),
  turns: v.array(exactly<Turn>()(v.object({ value: text, axis: whole, rank: whole }))),
  parallelBlock: flag,
  source: text,
  embedding: text,
  blocks: v.array(block),
  finalNorm: maybe(exactly<FinalNorm>()(v.object({ output: text }))),
  unembedding: maybe(exactly<Unembedding>()(v.object({ input: text, logits: text }))),
  output: text,
  outputs: v.array(output),
  inputs: v.array(input),
  missing: v.array(exactly<Missing>()(v.object({ part: text, why: text }))),
});

const stream = v.object({
  name: text,
  layers: whole,
  hidden: maybe(whole),
  heads: maybe(whole),
  /** Names of the inputs that it is computed from. */
  inputs: v.array(text),
  /** Names of the outputs that are made of it. */
  outputs: v.array(text),
});

export const inspection = v.object({
  model: modelSummary,
  /** All residual streams of the file; what else is said here is about the one that `model` names. */
  streams: v.array(stream),
  producer: text,
  /** Domains (`''` for ai.onnx), each with its version. */
  opsets: v.array(v.tuple([text, v.number()])),
  nodes: whole,
  /** Files that its weights are in, its own among them where it has any. */
  weights: v.array(text),
  anatomy,
});
export type Inspection = Sent<typeof inspection>;
