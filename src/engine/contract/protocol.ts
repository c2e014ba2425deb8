/** What the engine and its child process say to each other: jobs, and the frames that they travel in. */
import * as v from 'valibot';
import { type Problem, SinkscopeError } from '../../errors.js';
import { flag, int32Array, maybe, problem, type Sent, said, text, whole } from '../../schemas.js';
import { activationEvents, activationRequest } from './activation.js';
import { attributeEvent, attributeRequest } from './attribute.js';
import { describeRequest, description, weightRequest, weightStatistics } from './description.js';
import { device, deviceEvent } from './device.js';
import { finishedEvent, runningEvent, runRequest } from './events.js';
import { extentsEvent, extentsRequest, outliersEvent } from './extents.js';
import { finetunedEvent, finetuneEvents, finetuneRequest } from './finetune.js';
import { begunEvent, generatedEvent, generateRequest, writtenEvent } from './generate.js';
import { gradientsEvent, gradientsRequest } from './gradients.js';
import { inspection } from './inspection.js';
import { doneEvent, measuredEvent, measureRequest, progressEvent } from './measure.js';
import { comparedEvent, pairedEvent, pairRequest } from './pair.js';
import { precisionEvent, precisionRequest } from './precision.js';
import { question, savedQuestion } from './questions.js';
import { recordsAnswer, recordsRequest } from './records.js';
import { chat, lineEnds, path, stream } from './request.js';
import { noisesEvent, productsEvent, restoredEvent, restoreRequest } from './restore.js';
import { resultAnswer, resultRequest } from './results.js';
import { smoothRequest } from './smooth.js';
import { spikesEvent, spikesRequest } from './spikes.js';
import { meanEvent, statesEvent, statesRequest } from './states.js';
import { streamedEvent, streamRequest } from './streaming.js';
import { mergeEvent, mergeRequest } from './surveys.js';
import { treatedEvent, treatRequest } from './treat.js';

const encodeRequest = v.object({
  model: path,
  stream,
  text,
  bos: v.optional(flag),
  lineEnds,
  chat,
  /** Only so many of the text's first tokens are wanted. */
  most: v.optional(v.pipe(whole, v.minValue(1))),
});

const inspectRequest = v.object({
  model: path,
  stream,
  /** Where no stream is named: the one that is run on a text or a picture alone, if there is any. */
  takes: v.optional(v.picklist(['text', 'image'])),
});

const encoded = v.object({
  ids: int32Array,
  /** The token a sequence of this model begins with; undefined where there is none, or none is wanted. */
  prefix: maybe(v.number()),
  /** Characters of the text, up to the last token wanted, that no token stands for, or only the unknown one. */
  lost: whole,
});
/** A text as the model's tokenizer cuts it. */
export type EncodedText = Sent<typeof encoded>;

/** By type: what a job is given, what it says while it goes on, and the answer that ends it. */
export const jobs = {
  analyze: { request: runRequest, event: runningEvent, answer: finishedEvent },
  measure: { request: measureRequest, event: v.variant('type', [measuredEvent, progressEvent]), answer: doneEvent },
  states: {
    request: statesRequest,
    event: v.variant('type', [statesEvent, meanEvent, progressEvent]),
    answer: doneEvent,
  },
  pair: {
    request: pairRequest,
    event: v.variant('type', [comparedEvent, pairedEvent, progressEvent]),
    answer: doneEvent,
  },
  restore: {
    request: restoreRequest,
    event: v.variant('type', [productsEvent, restoredEvent, noisesEvent, progressEvent]),
    answer: doneEvent,
  },
  precision: {
    request: precisionRequest,
    event: v.variant('type', [precisionEvent, progressEvent]),
    answer: doneEvent,
  },
  extents: {
    request: extentsRequest,
    event: v.variant('type', [outliersEvent, extentsEvent, progressEvent]),
    answer: doneEvent,
  },
  generate: {
    request: generateRequest,
    event: v.variant('type', [begunEvent, writtenEvent]),
    answer: generatedEvent,
  },
  treat: { request: treatRequest, event: v.variant('type', [treatedEvent, progressEvent]), answer: doneEvent },
  activation: {
    request: activationRequest,
    event: v.variant('type', [...activationEvents, progressEvent]),
    answer: doneEvent,
  },
  attribute: { request: attributeRequest, event: attributeEvent, answer: doneEvent },
  gradients: { request: gradientsRequest, event: gradientsEvent, answer: doneEvent },
  finetune: {
    request: finetuneRequest,
    event: v.variant('type', [...finetuneEvents]),
    answer: finetunedEvent,
  },
  smooth: { request: smoothRequest, event: v.never(), answer: doneEvent },
  spikes: { request: spikesRequest, event: v.variant('type', [spikesEvent, progressEvent]), answer: doneEvent },
  rolling: {
    request: streamRequest,
    event: v.variant('type', [streamedEvent, progressEvent]),
    answer: doneEvent,
  },
  merge: { request: mergeRequest, event: mergeEvent, answer: doneEvent },
  result: { request: resultRequest, event: runningEvent, answer: resultAnswer },
  /** The answer is checked by who asks, as that of `query`. */
  saved: { request: v.object({ file: path, question: savedQuestion }), event: v.never(), answer: v.unknown() },
  records: { request: recordsRequest, event: v.never(), answer: recordsAnswer },
  encode: { request: encodeRequest, event: v.never(), answer: encoded },
  decode: { request: v.object({ model: path, ids: v.array(whole) }), event: v.never(), answer: v.array(text) },
  inspect: { request: inspectRequest, event: v.never(), answer: inspection },
  describe: { request: describeRequest, event: v.never(), answer: description },
  weight: { request: weightRequest, event: v.never(), answer: weightStatistics },
  /** In hex; see `modelIdentity`. */
  identity: { request: v.object({ model: path }), event: v.never(), answer: text },
  sameWeights: { request: v.object({ model: path, other: path }), event: v.never(), answer: v.boolean() },
  /** The answer is checked by who asks: each question has its own. */
  query: { request: question, event: v.never(), answer: v.unknown() },
};

type Jobs = typeof jobs;
export type JobType = keyof Jobs;
export type RequestOf<T extends JobType> = Sent<Jobs[T]['request']>;
export type EventOf<T extends JobType> = Sent<Jobs[T]['event']>;
export type AnswerOf<T extends JobType> = Sent<Jobs[T]['answer']>;
/** Jobs that say on their way how far they are or what they found; an analysis is more than that. */
export type SteppedJob = Exclude<{ [T in JobType]: [EventOf<T>] extends [never] ? never : T }[JobType], 'analyze'>;

/** {@link jobs}, so that the schemas of a job are known to belong together. */
export interface JobSchemas<T extends JobType> {
  readonly request: v.GenericSchema<unknown, RequestOf<T>>;
  readonly event: v.GenericSchema<unknown, EventOf<T>>;
  readonly answer: v.GenericSchema<unknown, AnswerOf<T>>;
}

const schemas: { readonly [T in JobType]: JobSchemas<T> } = jobs;

export function schemasOf<T extends JobType>(type: T): JobSchemas<T> {
  return schemas[type];
}

const isJob = (type: unknown): type is JobType => typeof type === 'string' && Object.hasOwn(jobs, type);

const tokenizer = v.object({ model: path, file: path });
/** A `tokenizer.json` that was chosen for a model, in the place of what lies beside it. */
export type ChosenTokenizer = Sent<typeof tokenizer>;

const toChild = v.object({
  id: whole,
  type: v.custom<JobType>(isJob, 'is none that is known'),
  request: v.unknown(),
  tokenizers: v.array(tokenizer),
  device,
});
export type ToChild = Sent<typeof toChild>;

/** Every message of the child is about the job with its `id`. */
const fromChild = v.variant('type', [
  v.object({ id: whole, type: v.literal('event'), event: v.unknown() }),
  /** What it is computed on from now on; of whatever job. */
  v.object({ id: whole, type: v.literal('device'), event: deviceEvent }),
  /** The last one. */
  v.object({ id: whole, type: v.literal('answer'), answer: v.unknown() }),
  /** The last one too: the job failed. */
  v.object({ id: whole, type: v.literal('problem'), problem }),
]);
export type FromChild = Sent<typeof fromChild>;

/** @throws SinkscopeError `input` for what is no message to the child */
export function checkToChild(message: unknown): ToChild {
  return checked(toChild, message, 'message', cannotRun);
}

/** @throws SinkscopeError `input` that names what is wrong with a request */
export function checkRequest<T extends JobType>(type: T, request: unknown): RequestOf<T> {
  return checked(schemasOf(type).request, request, 'request', cannotRun);
}

/** The `id` of a message that may be anything else; 0, which no job has, where there is none. */
export function messageId(message: unknown): number {
  const result = v.safeParse(v.object({ id: whole }), message);
  return result.success ? result.output.id : 0;
}

const liveMessage = v.object({ type: v.literal('analyze'), request: v.object({ live: v.literal(true) }) });

/** Whether a message, which may be anything, asks for an analysis that follows an edit. */
export const isLive = (message: unknown): boolean => v.is(liveMessage, message);

/**
 * Undefined for what is no message of the child: a library may write to the channel. What is about a job and cannot be
 * read is that job's problem.
 */
export function readFromChild(message: unknown): FromChild | undefined {
  const result = v.safeParse(fromChild, message);
  if (result.success) return result.output;
  const id = messageId(message);
  return id === 0 ? undefined : { id, type: 'problem', problem: unreadable(said(result.issues[0], 'message')) };
}

/**
 * What the child said, as a schema has it.
 *
 * @param what it is, as in `answer`
 * @throws SinkscopeError `internal` that names what is wrong with it
 */
export function checkSaid<T>(schema: v.GenericSchema<unknown, T>, value: unknown, what: string): T {
  return checked(schema, value, what, unreadable);
}

const unreadable = (wrong: string): Problem => ({
  code: 'internal',
  message: `The engine's process sent what cannot be read: ${wrong}. Its parts are of different versions; install Sinkscope again.`,
});

const cannotRun = (wrong: string): Problem => ({ code: 'input', message: `The request cannot be run: ${wrong}.` });

function checked<T>(
  schema: v.GenericSchema<unknown, T>,
  value: unknown,
  what: string,
  problemOf: (wrong: string) => Problem,
): T {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  throw new SinkscopeError(problemOf(said(result.issues[0], what)));
}
