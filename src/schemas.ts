/**
 * What the schemas of messages are made of. A message comes as a structured clone (between engine and child, and in
 * what is stored) or over a webview's channel, which is JSON but for typed arrays.
 */
import * as v from 'valibot';
import type { Problem, ProblemCode } from './errors.js';
import { visible } from './visible.js';

/** Messages of a schema, as they are read: nothing in them is to be changed. */
export type Sent<S extends v.GenericSchema> = Frozen<v.InferOutput<S>>;

type Frozen<T> = unknown extends T ? T : T extends ArrayBufferView ? T : { readonly [K in keyof T]: Frozen<T[K]> };

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? unknown : never;

/**
 * A schema of a type that is declared elsewhere, for what is not the border's own. The compiler refuses one that says
 * more or less than the type, optional parts included.
 */
export const exactly =
  <T>() =>
  <S extends v.GenericSchema>(schema: S & Same<Sent<S>, Frozen<T>>): S =>
    schema;

export const text = v.string();
export const flag = v.boolean();
/** An index, an extent or a number of things. */
export const whole = v.pipe(v.number(), v.integer(), v.minValue(0));
/** Any number, NaN and the infinities too: JSON makes null of these, which arrives as NaN. */
export const real = v.pipe(
  v.custom<number | null>((value) => typeof value === 'number' || value === null, 'must be a number'),
  v.transform((value) => value ?? Number.NaN),
);
/** A key that is always stated, and may be undefined: JSON leaves it out then. */
export const maybe = <S extends v.GenericSchema>(schema: S) => v.optional(schema, () => undefined);

/** An object whose keys are names from a file. `v.record` leaves out three of them: `constructor` is a word like any other. */
export const byName = <S extends v.GenericSchema>(value: S) =>
  v.pipe(
    v.custom<object>(
      (given) => typeof given === 'object' && given !== null && !Array.isArray(given),
      'must be an object',
    ),
    v.transform((given) => new Map<string, unknown>(Object.entries(given))),
    v.map(text, value),
  );

/** Arrays are checked by what they are and how long, never by element. */
export const float32Array: v.GenericSchema<Float32Array> = v.instance(Float32Array, 'must be a Float32Array');
export const int32Array: v.GenericSchema<Int32Array> = v.instance(Int32Array, 'must be an Int32Array');
export const uint8Array: v.GenericSchema<Uint8Array> = v.instance(Uint8Array, 'must be a Uint8Array');

const problemCodes = [
  'file',
  'external-data',
  'graph',
  'not-a-transformer',
  'tokenizer',
  'input',
  'too-long',
  'runtime',
  'crashed',
  'cancelled',
  'save',
  'network',
  'internal',
] as const satisfies readonly ProblemCode[];

export const problem = exactly<Problem>()(
  v.object({
    code: v.picklist(problemCodes),
    message: v.pipe(text, v.transform(visible)),
    file: v.optional(text),
    detail: v.optional(text),
    limit: v.optional(v.object({ tokens: whole, context: whole })),
    axes: v.optional(v.array(whole)),
  }),
);

/**
 * What is wrong with a message, in a clause: `attention.1.side must be ("first" | "last")`.
 *
 * @param what what the message is called where all of it is wrong
 */
export function said(issue: v.BaseIssue<unknown>, what: string): string {
  const where = v.getDotPath(issue) ?? what;
  if (issue.message.startsWith('Invalid key')) return `${where} is missing`;
  // Valibot's own messages say what was received, which may be a text of any length.
  return `${where} ${issue.message.startsWith('Invalid') ? `must be ${issue.expected ?? 'something else'}` : issue.message}`;
}
