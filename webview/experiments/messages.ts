/** What the host sends about experiments, checked on arrival. */
import * as v from 'valibot';

const maybe = <T extends v.GenericSchema>(schema: T) => v.nullish(schema, undefined);
const text = v.string();
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const value = v.nullable(v.number());
/** The message channel is JSON for plain numbers, so NaN and the infinities arrive as null. */
const real = v.pipe(
  value,
  v.transform((number) => number ?? Number.NaN),
);

const any = {
  label: text,
  flag: text,
  help: text,
  neededFor: maybe(v.looseObject({ input: text, is: v.array(text) })),
};
const selectable = { ...any, takes: maybe(v.picklist(['token', 'dim', 'layer'])), open: maybe(text) };
const bounds = { least: maybe(v.number()), most: maybe(v.number()), default: maybe(v.number()) };

const input = v.variant('kind', [
  v.looseObject({
    ...any,
    kind: v.literal('text'),
    document: maybe(v.picklist(['open', 'analysed'])),
    prompt: maybe(v.literal(true)),
  }),
  v.looseObject({
    ...any,
    kind: v.literal('texts'),
    document: maybe(v.literal('open')),
    typed: maybe(v.literal(true)),
  }),
  v.looseObject({ ...any, kind: v.literal('files'), one: text, extensions: v.array(text) }),
  v.looseObject({ ...any, kind: v.literal('model'), chosen: maybe(v.literal(true)) }),
  v.looseObject({ ...any, kind: v.literal('models'), default: maybe(v.literal('bundled')) }),
  v.looseObject({ ...selectable, ...bounds, kind: v.literal('whole'), least: count, unit: maybe(text) }),
  v.looseObject({ ...any, ...bounds, kind: v.literal('number'), open: maybe(text) }),
  v.looseObject({ ...any, kind: v.literal('choice'), choices: v.array(text) }),
  v.looseObject({ ...any, kind: v.literal('switch') }),
  v.looseObject({
    ...selectable,
    kind: v.literal('indices'),
    words: v.array(text),
    most: maybe(count),
    default: maybe(text),
  }),
  v.looseObject({
    ...selectable,
    kind: v.literal('words'),
    pattern: maybe(v.looseObject({ source: text, wanted: text })),
    default: maybe(text),
  }),
]);

const facts = v.looseObject({
  id: text,
  title: text,
  command: text,
  description: text,
  help: text,
  inputs: v.record(text, input),
  saves: maybe(text),
});

const column = v.looseObject({
  name: text,
  format: maybe(v.picklist(['number', 'value', 'ratio', 'share', 'fixed', 'signed', 'plain'])),
});
const axis = v.looseObject({ name: text, labels: v.array(text) });

const part = v.variant('kind', [
  v.looseObject({
    kind: v.literal('table'),
    heading: text,
    columns: v.array(column),
    rows: v.array(v.array(v.union([text, value]))),
  }),
  v.looseObject({
    kind: v.literal('bars'),
    heading: text,
    value: column,
    log: v.boolean(),
    reference: maybe(v.number()),
    bars: v.array(v.looseObject({ name: text, value: real, interval: maybe(v.tuple([real, real])) })),
  }),
  v.looseObject({
    kind: v.literal('lines'),
    heading: text,
    x: v.looseObject({ name: text, values: v.array(v.number()) }),
    y: v.looseObject({ ...column.entries, log: v.boolean() }),
    lines: v.array(v.looseObject({ name: text, values: v.array(value) })),
  }),
  v.looseObject({
    kind: v.literal('heatmap'),
    heading: text,
    rows: axis,
    columns: axis,
    value: column,
    scale: v.picklist(['linear', 'log', 'diverging']),
    range: maybe(v.tuple([v.number(), v.number()])),
    values: v.array(value),
    texts: maybe(v.array(text)),
  }),
  v.looseObject({ kind: v.literal('text'), heading: text, paragraphs: v.array(text) }),
]);

const run = v.looseObject({
  number: count,
  experiment: text,
  title: text,
  status: v.picklist(['running', 'finished', 'failed']),
  progress: maybe(v.looseObject({ done: count, of: count, text })),
  presentation: maybe(
    v.looseObject({
      title: text,
      sentence: text,
      settings: v.array(v.looseObject({ name: text, value: text })),
      warnings: v.array(text),
      parts: v.array(part),
      data: maybe(v.record(text, v.unknown())),
    }),
  ),
  problem: maybe(v.looseObject({ code: text, message: text })),
});

export const experimentsMessage = v.variant('kind', [
  v.looseObject({
    kind: v.literal('choices'),
    experiments: v.array(facts),
    texts: v.looseObject({
      documents: v.looseObject({ open: maybe(text), analysed: maybe(text) }),
      chosen: v.record(text, text),
    }),
  }),
  v.looseObject({ kind: v.literal('runs'), runs: v.array(run) }),
  v.looseObject({ kind: v.literal('run'), run }),
]);
