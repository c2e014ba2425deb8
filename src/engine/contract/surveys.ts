/** Surveys as they are saved, and how the whole that their parts make is given. */
import * as v from 'valibot';
import { flag, type Sent, text, whole } from '../../schemas.js';
import { path } from './request.js';

export const tokenKinds = ['start', 'first delimiter', 'other'] as const;
export type TokenKind = (typeof tokenKinds)[number];

/** Version of the files that surveys are saved in. */
export const SURVEY_VERSION = 3;

/** Parts that a survey may be run in. */
export const mostShards = 999_999;

/** The same file may lie elsewhere on another machine, and another checkpoint in a folder of the same name. */
const surveyedModel = v.object({
  /** Base name. */
  name: text,
  /** Which of its residual streams. */
  stream: text,
  layers: whole,
  hidden: whole,
  /** Of all weights. */
  bytes: whole,
  /** Of the content: `Engine.identity`. */
  identity: text,
});

/** All that the numbers depend on; parts belong together where all of it is the same. */
const settings = v.object({
  model: surveyedModel,
  /** SHA-256 of the token ids of all sequences. */
  corpus: text,
  sequences: whole,
  length: whole,
  prefix: v.nullable(whole),
  /** How line ends of its texts were read. */
  lineEnds: v.picklist(['lf', 'as-is']),
  thresholds: v.object({ absolute: v.number(), ratio: v.number(), soft: v.number() }),
});

const surveyEntry = v.object({
  dim: whole,
  kind: v.picklist(tokenKinds),
  /** The token's text. */
  token: text,
  /** Signed, at the layer where |h| is largest. */
  value: v.number(),
  /** By definition, in some layer. */
  massive: flag,
});
/** An entry of one sequence with |h| ≥ soft × median in some layer. */
export type SurveyEntry = Sent<typeof surveyEntry>;

/** `index` of 0 … `of` − 1 ran the sequences whose number is `index` modulo `of`. */
const shard = v.pipe(
  v.object({ index: whole, of: v.pipe(whole, v.minValue(1), v.maxValue(mostShards)) }),
  v.check(({ index, of }) => index < of, 'must have an index below the number of shards'),
);

/** Ascending by sequence. */
const records = v.array(v.object({ sequence: whole, entries: v.array(surveyEntry) }));

export const savedSurvey = v.object({ survey: v.literal(SURVEY_VERSION), settings, shard, records });
/** A part of a survey, or the whole: what is saved. */
export type Survey = Sent<typeof savedSurvey>;

export const mergeRequest = v.object({
  /** Paths of saved surveys. */
  parts: v.array(path),
  /** What they are to make; undefined: the whole. */
  shard: v.optional(shard),
});
/** Which files to put together. */
export type MergeRequest = Sent<typeof mergeRequest>;

/** What they make, before its records. */
const mergedEvent = v.object({ type: v.literal('merged'), survey: v.literal(SURVEY_VERSION), settings, shard });
/** Some of its records, in order. */
const recordsEvent = v.object({ type: v.literal('records'), records });
export const mergeEvent = v.variant('type', [mergedEvent, recordsEvent]);
export type MergeEvent = Sent<typeof mergeEvent>;
