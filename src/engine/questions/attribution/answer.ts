/** Direct logit attribution: what each part of the model adds to one logit. */

import { grouped, SinkscopeError } from '../../../errors.js';
import { greatest } from '../../../statistics/numbers.js';
import type { AnswerTo } from '../../contract/questions.js';
import { fixedLength } from '../../inputs/feeds.js';
import { withoutHead } from '../../stages/lacking.js';
import { floats, rowsOf, sliceRows, type Value, withRows } from '../../tensors/value.js';
import { type Answerer, type Inside, valueNamed } from '../inside.js';
import { argmax } from '../predicted.js';

type Part = AnswerTo<'attribution'>['parts'][number];

/**
 * Every part's vector through the final norm with its scale taken from the last residual, then the unembedding. Norm
 * and unembedding are the model's own: they are run on probes, so that no weight has to be found in the graph.
 *
 * @throws SinkscopeError `input` where the model predicts no tokens, or more than a LayerNorm or RMSNorm is before its head
 */
export const answerAttribution: Answerer<'attribution'> = async (run, { token, target }) => {
  run.checkToken(token);
  const { anatomy, predicts, file } = run.loaded;
  const { unembedding, layers } = anatomy;
  if (!predicts || !unembedding) throw withoutHead(file, 'there is no logit to explain');
  if (anatomy.copies) {
    throw new SinkscopeError({
      code: 'input',
      file,
      message: `${file} keeps several copies of its residual stream, of which one alone is shown, so its logits cannot be split into parts.`,
    });
  }
  const vectors = await vectorsOf(run, token);
  const last = rowOf(await run.state(layers), token);
  const norm =
    unembedding.input !== run.residual(layers) ? await normOf(run, unembedding.input, last) : identity(last.length);
  const linear = vectors.map(({ vector }) => norm.linear(vector));
  const rows = [...linear, norm.bias, norm.linear(last).map((x, i) => x + entry(norm.bias, i))];
  const logits = await throughRows(run, unembedding.input, rows, unembedding.logits);
  const [zero] = await throughRows(run, unembedding.input, [new Float32Array(last.length)], unembedding.logits);
  const [ofBias, whole] = logits.slice(-2);
  if (!zero || !ofBias || !whole) throw new Error('the head gave no logits');
  const id = target ?? argmax(whole);
  if (id >= whole.length) {
    throw new SinkscopeError({
      code: 'input',
      message: `There is no token id ${id}: the model has ${grouped(whole.length)}.`,
    });
  }
  const parts: Part[] = vectors.map(({ part, block }, i) => ({
    part,
    block,
    logit: entry(logits[i], id) - entry(zero, id),
  }));
  const bias = entry(ofBias, id);
  if (bias !== 0) parts.push({ part: 'bias', logit: bias });
  const logit = entry(whole, id);
  const left = logit - parts.reduce((sum, part) => sum + part.logit, 0);
  if (Math.abs(left) > 1e-3 * greatest(parts.map((part) => Math.abs(part.logit))))
    parts.push({ part: 'rest', logit: left });
  return { token, target: { id, text: run.loaded.tokenizer()?.decode(id) ?? `token ${id}` }, logit, parts };
};

interface Vector {
  readonly part: Part['part'];
  readonly block?: number;
  readonly vector: Float32Array;
}

/** What is added to the residual stream at `token`, in the order in which it is. */
async function vectorsOf(run: Inside, token: number): Promise<Vector[]> {
  let before = rowOf(await run.state(0), token);
  const vectors: Vector[] = [{ part: 'embedding', vector: before }];
  for (const [i, { attention, mlpIntermediate, residMid, additive }] of run.loaded.anatomy.blocks.entries()) {
    const block = i + 1;
    const after = rowOf(await run.state(block), token);
    const added = difference(after, before);
    const hasMlp = mlpIntermediate !== undefined || residMid !== undefined;
    if (attention?.output !== undefined && hasMlp && additive) {
      const value = valueNamed(await run.inside(block, [attention.output]), attention.output);
      const ofAttention = rowOf(value, token);
      vectors.push({ part: 'attention', block, vector: ofAttention });
      vectors.push({ part: 'mlp', block, vector: difference(added, ofAttention) });
    } else
      vectors.push({ part: attention ? (hasMlp || !additive ? 'block' : 'attention') : 'mlp', block, vector: added });
    before = after;
  }
  return vectors;
}

/** The final norm around one vector h: linear once its scale is held. */
interface HeldNorm {
  linear(vector: Float32Array): Float32Array;
  readonly bias: Float32Array;
}

const identity = (width: number): HeldNorm => ({ linear: (vector) => vector, bias: new Float32Array(width) });

/** Large beside any epsilon, small enough to be squared in half precision. */
const probe = 16;

/**
 * Finds weight, bias, scale and whether the mean is taken off from what the norm makes of zeros (its bias), of ± the
 * same magnitude (its weight), of one magnitude everywhere (0 where the mean is taken off) and of h (the scale).
 */
async function normOf(run: Inside, output: string, h: Float32Array): Promise<HeldNorm> {
  const { layers } = run.loaded.anatomy;
  const residual = run.residual(layers);
  const alternating = h.map((_, i) => (i % 2 === 0 ? probe : -probe));
  const probes = [new Float32Array(h.length), alternating, h.map(() => probe), h];
  const [bias, signed, level, normed] = await throughRows(run, residual, probes, output);
  if (!bias || !signed || !level || !normed) throw new Error('the norm gave no rows');
  const weight = signed.map((x, i) => (x - entry(bias, i)) * Math.sign(entry(alternating, i)));
  const largest = (vector: Float32Array) => vector.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  const isCentred = largest(difference(level, bias)) < 1e-2 * largest(weight);
  const weighted = (vector: Float32Array) => {
    const mean = isCentred ? vector.reduce((sum, x) => sum + x, 0) / vector.length : 0;
    return vector.map((x, i) => entry(weight, i) * (x - mean));
  };
  const direction = weighted(h);
  const scale = dot(difference(normed, bias), direction) / dot(direction, direction);
  const off = largest(normed.map((x, i) => x - entry(bias, i) - scale * entry(direction, i)));
  if (!(off <= 1e-2 * largest(normed))) {
    throw new SinkscopeError({
      code: 'input',
      file: run.loaded.file,
      message:
        'What stands between the last residual and the unembedding of this model is more than a LayerNorm or an RMSNorm, so its logits cannot be split into parts.',
    });
  }
  return { linear: (vector) => weighted(vector).map((x) => scale * x), bias };
}

/** What the head makes of `rows` put in the place of `from`, a value of its own or the last residual: row by row. */
async function throughRows(
  run: Inside,
  from: string,
  rows: readonly Float32Array[],
  to: string,
): Promise<Float32Array[]> {
  const { layers, inputs } = run.loaded.anatomy;
  const isLast = from === run.residual(layers);
  const template = isLast ? await run.state(layers) : valueNamed(await run.inside(layers + 1, [from]), from);
  const { tokens } = rowsOf(template);
  if (fixedLength(inputs) !== undefined) return inParts(run, template, from, rows, to, tokens);
  try {
    return await inParts(run, template, from, rows, to, rows.length);
  } catch (error) {
    if (!SinkscopeError.is(error, 'runtime')) throw error;
    // Some heads reshape to the number of tokens that were run.
    return inParts(run, template, from, rows, to, tokens);
  }
}

/** `count` rows at a time, filled up with zeros. */
async function inParts(
  run: Inside,
  template: Value,
  from: string,
  rows: readonly Float32Array[],
  to: string,
  count: number,
): Promise<Float32Array[]> {
  const { dims } = rowsOf(template);
  const results: Float32Array[] = [];
  for (let start = 0; start < rows.length; start += count) {
    const data = new Float32Array(count * dims);
    const part = rows.slice(start, start + count);
    for (const [i, row] of part.entries()) data.set(row, i * dims);
    const given = new Map([[from, withRows(template, data)]]);
    const value = valueNamed(await run.inside(run.loaded.anatomy.layers + 1, [to], given), to);
    if (rowsOf(value).tokens !== count) {
      throw new SinkscopeError({
        code: 'input',
        file: run.loaded.file,
        message:
          'The output head of this model does not treat every token alike, so its logits cannot be split into parts.',
      });
    }
    for (const i of part.keys()) results.push(rowOf(value, i));
  }
  return results;
}

const rowOf = (value: Value, row: number) => floats(sliceRows(value, row, row + 1)).slice();
const entry = (vector: Float32Array | undefined, i: number) => vector?.[i] ?? Number.NaN;
const difference = (a: Float32Array, b: Float32Array) => a.map((x, i) => x - entry(b, i));
const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * entry(b, i), 0);
