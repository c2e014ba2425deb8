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

const input = v.variant('kind', [
  v.looseObject({ kind: v.literal('text'), label: text, optional: maybe(v.literal(true)) }),
  v.looseObject({ kind: v.literal('texts'), label: text }),
  v.looseObject({ kind: v.literal('files'), label: text, extensions: v.array(text) }),
  v.looseObject({ kind: v.literal('whole'), label: text, least: count, default: maybe(count), open: maybe(text) }),
  v.looseObject({ kind: v.literal('number'), label: text, default: maybe(v.number()), open: maybe(text) }),
  v.looseObject({ kind: v.literal('choice'), label: text, choices: v.array(text) }),
  v.looseObject({ kind: v.literal('words'), label: text, default: maybe(text), open: maybe(text) }),
  v.looseObject({ kind: v.literal('model'), label: text }),
  v.looseObject({ kind: v.literal('models'), label: text }),
]);

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
    experiments: v.array(v.looseObject({ id: text, title: text, description: text, inputs: v.record(text, input) })),
    texts: v.record(text, text),
  }),
  v.looseObject({ kind: v.literal('runs'), runs: v.array(run) }),
  v.looseObject({ kind: v.literal('run'), run }),
]);
