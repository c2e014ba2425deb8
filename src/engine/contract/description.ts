/** What an ONNX file is, whatever it is: its own facts, and its anatomy or why it has none. */
import * as v from 'valibot';
import { maybe, problem, real, type Sent, text, whole } from '../../schemas.js';
import { inspection } from './inspection.js';
import { path, stream } from './request.js';

export const describeRequest = v.object({ model: path, stream });

/** A number, a name, or null for an extent that the file leaves open; undefined for unknown rank. */
const shape = maybe(v.array(v.nullable(v.union([v.number(), text]))));
const value = v.object({ name: text, /** As the ONNX specification calls it: `float16`. */ type: maybe(text), shape });

const weight = v.object({
  /** As the file has it. */
  name: text,
  type: text,
  /** Of smaller numbers that are packed into its bytes; undefined where its elements are the numbers. */
  bits: maybe(whole),
  shape: v.array(whole),
  bytes: whole,
  /** The block that reads it: 0 is what comes before h_0, L + 1 what comes after h_L; undefined: none, or beside them. */
  block: maybe(whole),
  /** What the product that it belongs to is to its block (`LinearPart`); undefined for one that is in no product. */
  part: maybe(text),
});
export type DescribedWeight = Sent<typeof weight>;

export const description = v.object({
  file: text,
  producer: text,
  irVersion: whole,
  /** Domains (`''` for ai.onnx), each with its version. */
  opsets: v.array(v.tuple([text, v.number()])),
  /** Operators of the file's graph, most frequent first, and how many there are of each. */
  operators: v.array(v.tuple([text, whole])),
  inputs: v.array(value),
  outputs: v.array(value),
  /** Files that it consists of, its own first. */
  files: v.array(v.object({ file: text, bytes: v.number() })),
  /** Bytes of all weights; one that several share counts once. */
  bytes: v.number(),
  /** In the file's order, constants of a few numbers left out; of very many the largest. */
  weights: v.array(weight),
  /** Those that are not listed. */
  left: v.object({ count: whole, bytes: v.number() }),
  /** Elements of the floats and of what is quantised: scales, zero points and indices apart as far as they are known. */
  parameters: v.number(),
  /** Path of the tokenizer's file; undefined where there is none. */
  tokenizer: maybe(text),
  anatomy: v.variant('found', [
    v.object({ found: v.literal(true), inspection }),
    v.object({ found: v.literal(false), problem }),
  ]),
});
export type Description = Sent<typeof description>;

export const weightRequest = v.object({ model: path, /** Of the tensor, as the file has it. */ name: text });

const weightEntry = v.object({ value: real, index: v.array(whole) });

export const weightStatistics = v.object({
  /** Elements, those that are not finite among them. */
  count: whole,
  nonFinite: whole,
  zeros: whole,
  /** Of the finite ones; NaN where there is none. */
  min: real,
  max: real,
  mean: real,
  /** Of the population. */
  deviation: real,
  /** Excess kurtosis, 0 for a normal distribution; NaN where all are the same. */
  kurtosis: real,
  /** Largest magnitudes first. */
  top: v.array(weightEntry),
  /** How many magnitudes lie from 2^k up to 2^(k+1), for each k from `from` on. */
  octaves: v.object({ from: v.pipe(v.number(), v.integer()), counts: v.array(whole) }),
});
/** Of the elements of one stored tensor, as they are stored: before a scale makes other numbers of them. */
export type WeightStatistics = Sent<typeof weightStatistics>;
