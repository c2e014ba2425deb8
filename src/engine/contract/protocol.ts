/** What the engine and its child process say to each other, and the checks on arrival. */
import * as v from 'valibot';
import { type Problem, SinkscopeError } from '../../errors.js';
import type { MeasuredEvent, MeasureRequest } from '../contract/measure.js';
import type { MeanEvent, StatesEvent, StatesRequest } from '../contract/states.js';
import type { Query, QueryAnswers, RunEvent, RunRequest } from './events.js';
import type { Inspection } from './inspection.js';
import { points, settingProblem } from './interventions.js';

export type ToChild =
  | { readonly id: number; readonly type: 'analyze'; readonly request: RunRequest }
  | { readonly id: number; readonly type: 'measure'; readonly request: MeasureRequest }
  | { readonly id: number; readonly type: 'states'; readonly request: StatesRequest }
  | {
      readonly id: number;
      readonly type: 'encode';
      readonly model: string;
      readonly text: string;
      readonly bos?: boolean;
    }
  | { readonly id: number; readonly type: 'decode'; readonly model: string; readonly ids: readonly number[] }
  | { readonly id: number; readonly type: 'inspect'; readonly model: string }
  | { readonly id: number; readonly type: 'identity'; readonly model: string }
  | { readonly id: number; readonly type: 'query'; readonly query: Query };

/** Every message of the child answers the one with its `id`. */
export type FromChild =
  | { readonly id: number; readonly type: 'event'; readonly event: RunEvent | MeasuredEvent | StatesEvent | MeanEvent }
  | {
      readonly id: number;
      readonly type: 'answer';
      readonly answer: Inspection | Encoded | string | readonly string[] | QueryAnswers[Query['type']];
    }
  | { readonly id: number; readonly type: 'problem'; readonly problem: Problem };

/** A text as the model's tokenizer cuts it. */
export interface Encoded {
  readonly ids: Int32Array;
  /** The token a sequence of this model begins with; undefined where there is none, or none is wanted. */
  readonly prefix: number | undefined;
  /** Characters of the text that no token stands for, or only the unknown one. */
  readonly lost: number;
}

const whole = v.pipe(v.number(), v.integer(), v.minValue(0));
const path = v.pipe(v.string(), v.nonEmpty('is empty'));

const chosen = v.union([v.literal('all'), v.array(whole)]);
const intervention = v.object({
  point: v.picklist(points),
  block: whole,
  tokens: chosen,
  dims: v.union([chosen, v.object({ except: v.array(whole) })]),
  set: v.pipe(
    v.variant('to', [
      v.object({ to: v.literal('zero') }),
      v.object({ to: v.literal('value'), value: v.union([v.number(), v.array(v.number())]) }),
      v.object({ to: v.literal('scale'), by: v.number() }),
      v.object({ to: v.literal('noise'), deviation: v.number(), seed: v.pipe(v.number(), v.integer()) }),
    ]),
    v.check(
      (set) => settingProblem(set) === undefined,
      ({ input }) => `cannot be made: ${settingProblem(input)}`,
    ),
  ),
});
const memory = v.pipe(v.number(), v.minValue(1));
const threads = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1024));

const attentionWindow = v.object({ window: v.pipe(whole, v.minValue(1)), sinks: whole });

const measureRequest = v.object({
  model: path,
  sequences: v.array(v.object({ ids: v.pipe(v.array(whole), v.minLength(2)), from: v.pipe(whole, v.minValue(1)) })),
  variants: v.array(
    v.object({
      name: v.string(),
      interventions: v.array(intervention),
      attention: v.optional(attentionWindow),
    }),
  ),
  memory,
  threads,
});

const times = v.pipe(v.number(), v.minValue(0));
const statesRequest = v.object({
  model: path,
  sequences: v.pipe(v.array(v.pipe(v.array(whole), v.minLength(1))), v.minLength(1)),
  places: v.optional(v.pipe(v.array(v.object({ point: v.picklist(points), block: whole })), v.minLength(1))),
  costs: v.optional(v.object({ removed: times, outlier: times })),
  mean: v.optional(v.object({ rows: v.array(whole) })),
  reference: v.optional(path),
  memory,
  threads,
});

const runRequest = v.object({
  model: path,
  prompt: v.union(
    [
      v.strictObject({ text: v.string() }),
      v.strictObject({ ids: v.array(v.number()) }),
      v.strictObject({
        feeds: path,
        tokenName: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(40))),
        tokenAxis: v.optional(whole),
      }),
      v.strictObject({ image: path }),
    ],
    'must have exactly one of text, ids, feeds and image',
  ),
  bos: v.optional(v.boolean()),
  window: v.optional(v.union([v.picklist(['first', 'last']), v.object({ start: whole })])),
  attention: v.boolean(),
  interventions: v.optional(v.array(intervention)),
  memory,
  threads,
  save: v.optional(v.object({ file: path, attention: v.boolean(), mlp: v.boolean(), logits: v.boolean() })),
});

const query = v.variant('type', [
  v.object({ type: v.literal('pattern'), layer: whole, head: whole }),
  v.object({ type: v.literal('hidden'), layer: whole, token: whole }),
  v.object({ type: v.literal('predictions'), token: whole }),
  v.object({ type: v.literal('activation'), point: v.picklist(points), layer: whole, token: whole }),
  v.object({ type: v.literal('lens'), layer: whole, token: whole }),
  v.object({
    type: v.literal('bias'),
    layer: whole,
    tokens: v.union([v.literal('extra'), v.pipe(v.array(whole), v.minLength(1))]),
  }),
  v.object({ type: v.literal('attribution'), token: whole, target: v.optional(whole) }),
  v.object({ type: v.literal('lens-rows'), layer: whole, point: v.picklist(['resid_post', 'resid_mid']), top: whole }),
  v.object({ type: v.literal('evicted'), layer: whole, windows: v.array(attentionWindow) }),
  v.object({ type: v.literal('entries'), layer: whole, of: v.picklist(['nodes', 'edges']) }),
  v.object({ type: v.literal('output') }),
]);

const toChild = v.variant('type', [
  v.object({ id: whole, type: v.literal('analyze'), request: runRequest }),
  v.object({ id: whole, type: v.literal('measure'), request: measureRequest }),
  v.object({ id: whole, type: v.literal('states'), request: statesRequest }),
  v.object({ id: whole, type: v.literal('encode'), model: path, text: v.string(), bos: v.optional(v.boolean()) }),
  v.object({ id: whole, type: v.literal('decode'), model: path, ids: v.array(whole) }),
  v.object({ id: whole, type: v.literal('inspect'), model: path }),
  v.object({ id: whole, type: v.literal('identity'), model: path }),
  v.object({ id: whole, type: v.literal('query'), query }),
]);

const envelope = v.object({ id: whole, type: v.picklist(['event', 'answer', 'problem']) });

/** @throws SinkscopeError `input` that names what is wrong with a request. */
export function checkToChild(message: unknown): ToChild {
  const result = v.safeParse(toChild, message);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const where = v.getDotPath(issue)?.replace(/^request\./, '') ?? 'message';
  throw new SinkscopeError({ code: 'input', message: `The request cannot be run: ${where} ${said(issue)}.` });
}

/** The `id` of a message that may be anything else. */
export function idOf(message: unknown): number {
  const result = v.safeParse(v.object({ id: whole }), message);
  return result.success ? result.output.id : 0;
}

/** Undefined for what is no message of the child (a library may write to the channel). */
export function fromChild(message: unknown): FromChild | undefined {
  // The child is this same build: the frame is checked, the numbers inside are its own.
  return v.is(envelope, message) ? (message as FromChild) : undefined;
}

function said(issue: v.BaseIssue<unknown>): string {
  return issue.message.startsWith('Invalid') ? `must be ${issue.expected ?? 'something else'}` : issue.message;
}
