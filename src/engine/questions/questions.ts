/** Questions about the inside of a finished run: answered beside the tensors, so that only small numbers travel. */
import { SinkscopeError } from '../../errors.js';
import type { EntriesQuery, LensAnswer, LensQuery, Question, QuestionAnswers } from '../contract/answers.js';
import type { Prediction, PredictionsEvent, Query, QueryAnswers } from '../contract/events.js';
import type { Point } from '../contract/interventions.js';
import { predictionsOf } from '../stages/head.js';
import { valueAt } from '../stages/patched.js';
import { checkCausal, evictedShare } from '../stages/windowed.js';
import { columnsOf } from '../tensors/site.js';
import { floats, sliceRows } from '../tensors/value.js';
import { attribution } from './attribution.js';
import { implicitBias } from './bias.js';
import { checkIndex, type Inside } from './inside.js';
import { predicted, predictions } from './predictions.js';

const questionTypes = new Set<string>(['bias', 'attribution', 'lens-rows', 'evicted', 'entries', 'output']);

const isQuestion = (query: { readonly type: string }): query is Question => questionTypes.has(query.type);

/** @throws SinkscopeError `input` for a layer, head or token that is not there */
export async function answer(run: Inside, query: Query): Promise<QueryAnswers[Query['type']]> {
  if ('layer' in query) checkIndex('layer', query.layer, 0, run.loaded.anatomy.layers);
  if ('token' in query) checkIndex('token', query.token, 0, run.tokens - 1);
  if (isQuestion(query)) return ask(run, query);
  switch (query.type) {
    case 'pattern':
      return headPattern(run, query.layer, query.head);
    case 'predictions':
      return predictions(run, query.token, false);
    case 'lens':
      return lens(run, query.layer, query.token);
    case 'activation':
      return activation(run, query.point, query.layer, query.token);
    case 'hidden':
      return { values: floats(sliceRows(await run.state(query.layer), query.token, query.token + 1)).slice() };
  }
}

async function headPattern(run: Inside, layer: number, head: number): Promise<QueryAnswers['pattern']> {
  const { heads, queries, keys, values } = await run.pattern(layer);
  checkIndex('head', head, 0, heads - 1);
  return { queries, keys, values: values.slice(head * queries * keys, (head + 1) * queries * keys) };
}

async function activation(
  run: Inside,
  point: Point,
  layer: number,
  token: number,
): Promise<QueryAnswers['activation']> {
  const name = valueAt(run.loaded.anatomy, point, layer);
  const value = (await run.inside(layer, [name])).get(name);
  if (!value) throw new Error(`${name} was not computed`);
  return { values: floats(sliceRows(run.rows(value), token, token + 1)).slice() };
}

async function lens(run: Inside, layer: number, token: number): Promise<PredictionsEvent> {
  const last = run.residual(run.loaded.anatomy.layers);
  await run.state(layer);
  return predicted(run, new Map(run.values).set(last, run.value(run.residual(layer))), token, false);
}

async function ask(run: Inside, question: Question): Promise<QuestionAnswers[Question['type']]> {
  switch (question.type) {
    case 'bias':
      return implicitBias(run, question);
    case 'attribution':
      return attribution(run, question);
    case 'lens-rows':
      return lensRows(run, question);
    case 'evicted': {
      const pattern = await run.pattern(question.layer);
      const columns = columnsOf(pattern);
      checkCausal(columns, run.loaded.file);
      return { shares: question.windows.map((kept) => evictedShare(pattern, columns, kept)) };
    }
    case 'entries':
      return entries(run, question);
    case 'output':
      return output(run);
  }
}

/** Rows of logits that are held at once, in bytes. */
const partBytes = 2 ** 26;

async function lensRows(run: Inside, { layer, point, top }: LensQuery): Promise<LensAnswer> {
  const { loaded, head, tokens } = run;
  const { anatomy } = loaded;
  if (!loaded.predicts || !head) {
    throw new SinkscopeError({
      code: 'input',
      file: loaded.file,
      message: `${loaded.file} predicts no tokens: it has no output head over a vocabulary, so there is no logit lens.`,
    });
  }
  const mid = anatomy.blocks[layer - 1]?.residMid;
  if (point === 'resid_mid' && mid === undefined) {
    throw new SinkscopeError({ code: 'input', message: `Block ${layer} has no resid_mid; choose resid_post.` });
  }
  const state =
    point === 'resid_mid' && mid !== undefined ? (await run.inside(layer, [mid])).get(mid) : await run.state(layer);
  if (!state) throw new Error(`the state of layer ${layer} is not there`);
  // A head that needs more than the residual finds it with the last one.
  await run.state(anatomy.layers);
  const values = new Map([...run.values, [run.residual(anatomy.layers), state]]);
  const count = Math.max(1, Math.floor(partBytes / 4 / (anatomy.vocabulary ?? 2 ** 16)));
  const rows: Prediction[][] = [];
  const tokenizer = loaded.tokenizer();
  for (let from = 0; from < tokens; from += count) {
    const to = Math.min(from + count, tokens);
    const logits = await head.logits(values, from, to, run.keep);
    const width = logits.length / (to - from);
    for (let row = 0; row < to - from; row++) {
      rows.push(predictionsOf(logits.subarray(row * width, (row + 1) * width), tokenizer, top));
    }
  }
  return { rows };
}

async function entries(run: Inside, { layer, of }: EntriesQuery): Promise<QuestionAnswers['entries']> {
  if (of === 'nodes') return { values: floats(sliceRows(await run.state(layer), 0, run.tokens)).slice() };
  const name = run.loaded.anatomy.blocks[layer - 1]?.attention?.edges;
  if (name === undefined) {
    throw new SinkscopeError({
      code: 'input',
      file: run.loaded.file,
      message: `Block ${layer} has no edge activations: nothing computed from an input is added to its attention scores.`,
    });
  }
  const value = (await run.inside(layer, [name])).get(name);
  if (!value) throw new Error(`${name} was not computed`);
  return { values: floats(value).slice() };
}

async function output(run: Inside): Promise<QuestionAnswers['output']> {
  const { layers } = run.loaded.anatomy;
  const last = await run.state(layers);
  const value = run.head ? await run.head.all(run.values, false) : last;
  return { shape: value.dims, values: floats(value).slice() };
}
