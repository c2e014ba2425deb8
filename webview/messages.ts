/** What the host sends, checked on arrival: a webview can outlive the host that built it. */
import * as v from 'valibot';
import type { Answers, Asked, ToWebview } from '../src/protocol.js';
import { experimentsMessage } from './experiments/messages.js';

const maybe = <T extends v.GenericSchema>(schema: T) => v.nullish(schema, undefined);
const text = v.string();
const flag = v.boolean();
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
/** The message channel is JSON for plain numbers, so NaN and the infinities arrive as null. */
const real = v.pipe(
  v.nullable(v.number()),
  v.transform((value) => value ?? Number.NaN),
);
const floats = v.instance(Float32Array);

const problem = v.looseObject({
  code: text,
  message: text,
  file: maybe(text),
  detail: maybe(text),
});

const token = v.looseObject({
  id: v.number(),
  text,
  start: count,
  end: count,
  special: flag,
  region: v.optional(v.looseObject({ x: real, y: real, width: real, height: real })),
});

const predictions = v.looseObject({
  type: v.literal('predictions'),
  token: count,
  top: v.array(v.looseObject({ id: v.number(), text, probability: real })),
});

const event = v.variant('type', [
  v.looseObject({
    type: v.literal('started'),
    model: v.looseObject({
      file: text,
      name: text,
      layers: count,
      hidden: count,
      heads: maybe(count),
      kvHeads: maybe(count),
      context: maybe(count),
      vocabulary: maybe(count),
      parallelBlock: flag,
      bytes: v.number(),
      attention: flag,
      missing: v.array(text),
    }),
    settings: v.looseObject({ bos: maybe(flag), executionProvider: text, graphOptimization: text, threads: count }),
  }),
  v.looseObject({
    type: v.literal('tokens'),
    tokens: v.array(token),
    total: count,
    window: v.looseObject({ start: count, end: count }),
    source: text,
    picture: v.optional(v.looseObject({ file: text, width: count, height: count })),
    tokenizer: flag,
  }),
  v.looseObject({
    type: v.literal('layer'),
    layer: count,
    statistics: v.looseObject({
      tokens: count,
      dims: count,
      top: v.array(v.looseObject({ value: real, token: count, dim: count })),
      median: real,
      tokenNorm: floats,
      tokenMax: floats,
      tokenMaxDim: v.instance(Int32Array),
      dimMax: floats,
      nonFinite: count,
    }),
  }),
  v.looseObject({
    type: v.literal('attention'),
    layer: v.pipe(count, v.minValue(1)),
    statistics: v.looseObject({
      heads: count,
      tokens: count,
      alpha: floats,
      causal: flag,
      extra: maybe(v.looseObject({ side: v.picklist(['first', 'last']), columns: count, alpha: floats })),
    }),
  }),
  predictions,
  v.looseObject({ type: v.literal('finished'), seconds: real, firstLayerSeconds: real, saved: maybe(text) }),
  v.looseObject({ type: v.literal('failed'), problem }),
]);

const message = v.variant('type', [
  v.looseObject({
    type: v.literal('view'),
    state: v.looseObject({
      document: maybe(text),
      scope: maybe(text),
      models: v.array(
        v.looseObject({ file: text, name: text, origin: v.picklist(['bundled', 'workspace', 'settings']) }),
      ),
      model: maybe(text),
      bos: v.picklist(['auto', 'on', 'off']),
      thresholds: v.looseObject({
        absolute: v.number(),
        ratio: v.number(),
        soft: v.number(),
        epsilon: v.number(),
        minQueries: v.number(),
        minShare: v.number(),
      }),
      stale: flag,
    }),
  }),
  v.looseObject({ type: v.literal('replay'), run: count, events: v.array(event) }),
  v.looseObject({ type: v.literal('event'), run: count, index: count, event }),
  v.looseObject({
    type: v.literal('selection'),
    selection: v.looseObject({ token: maybe(count), layer: maybe(count), dim: maybe(count), head: maybe(count) }),
  }),
  v.looseObject({
    type: v.literal('answer'),
    id: count,
    answer: v.variant('ok', [
      v.looseObject({ ok: v.literal(true), value: v.unknown() }),
      v.looseObject({ ok: v.literal(false), problem }),
    ]),
  }),
  v.looseObject({ type: v.literal('experiments'), message: experimentsMessage }),
]);

const answers = {
  pattern: v.looseObject({ queries: count, keys: count, values: floats }),
  predictions,
  picture: v.looseObject({ bytes: v.instance(Uint8Array) }),
};

/** What the views ask for. */
export type Question = Extract<Asked, { type: keyof typeof answers }>;

/** The message in `data`, or undefined where it is none of ours. */
export function toWebview(data: unknown): ToWebview | undefined {
  const result = v.safeParse(message, data);
  return result.success ? (result.output as ToWebview) : undefined;
}

/** `value` as the answer to a query of this type, or undefined where it is not one. */
export function toAnswer<T extends Question['type']>(type: T, value: unknown): Answers[T] | undefined {
  const result = v.safeParse(answers[type], value);
  return result.success ? (result.output as Answers[T]) : undefined;
}
