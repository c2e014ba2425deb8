import { deserialize, serialize } from 'node:v8';
import { describe, expect, it } from 'vitest';
import {
  checkRequest,
  checkSaid,
  checkToChild,
  type JobType,
  jobs,
  readFromChild,
  schemasOf,
} from '../../../src/engine/contract/protocol.js';
import { answerSchema, type QuestionType } from '../../../src/engine/contract/questions.js';
import { questions as table } from '../../../src/engine/questions/questions.js';
import { SinkscopeError } from '../../../src/errors.js';
import { broken, lacking } from '../../support/broken.js';
import { answers, events, requests } from '../../support/messages.js';
import { questions, replies } from '../../support/question-messages.js';

const jobTypes = Object.keys(jobs) as JobType[];
const questionTypes = Object.keys(table) as QuestionType[];

/** A message, and how its receiver checks it. */
type Case = readonly [what: string, message: unknown, check: (message: unknown) => unknown];

const toChild: Case[] = [
  ...jobTypes.flatMap((type) =>
    requests[type].map((request, i): Case => [`request ${i} to ${type}`, request, (raw) => checkRequest(type, raw)]),
  ),
  ...questionTypes.map((type): Case => [`question ${type}`, questions[type], (raw) => checkRequest('query', raw)]),
];
const fromChild: Case[] = [
  ...jobTypes.flatMap((type) =>
    events[type].map((event, i): Case => {
      return [`event ${i} of ${type}`, event, (raw) => checkSaid(schemasOf(type).event, raw, 'event')];
    }),
  ),
  ...Object.entries(answers).map(([type, answer]): Case => {
    return [`answer of ${type}`, answer, (raw) => checkSaid(schemasOf(type as JobType).answer, raw, 'answer')];
  }),
  ...questionTypes.map((type): Case => {
    return [`answer to ${type}`, replies[type], (raw) => checkSaid(answerSchema(type), raw, 'answer')];
  }),
];

/** What a check throws; undefined where it takes the message. */
function refusal(check: () => unknown): unknown {
  try {
    check();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe.each([
  ['to the child', toChild, 'input', /^The request cannot be run: .*\.$/],
  [
    'from the child',
    fromChild,
    'internal',
    /^The engine's process sent what cannot be read: .*install Sinkscope again\.$/,
  ],
] as const)('what is said %s', (_, cases, code, sentence) => {
  it.each(cases)('arrives as it was sent: %s', (_, message, check) => {
    const received = check(deserialize(serialize(message)));
    expect(received).toStrictEqual(message);
  });

  it.each(cases)('is refused, with where and why, if any part of it is something else: %s', (_, message, check) => {
    let count = 0;
    for (const [path, copy] of broken(message)) {
      const error = refusal(() => check(copy));
      if (!(error instanceof SinkscopeError)) throw new Error(`${path} was not refused: ${error}`);
      expect([path, error.code]).toEqual([path, code]);
      expect(error.message).toMatch(sentence);
      count++;
    }
    if (typeof message === 'object') expect(count).toBeGreaterThan(0);
  });

  it.each(cases)('is refused, or means the same, if any part of it is missing: %s', (_, message, check) => {
    for (const [path, copy] of lacking(message)) {
      const error = refusal(() => check(copy));
      if (error === undefined) expect([path, check(check(copy))]).toStrictEqual([path, check(copy)]);
      else expect([path, SinkscopeError.is(error, code)]).toEqual([path, true]);
    }
  });

  it.each(cases)('is refused if it is nothing: %s', (_, _message, check) => {
    for (const nothing of [undefined, null, 7]) expect(refusal(() => check(nothing))).toMatchObject({ code });
  });
});

describe('arrays are held against the extents that come with them', () => {
  const [layer, attention] = ['layer', 'attention'].map((type) => events.analyze.find((event) => event.type === type));
  const statistics = (event: unknown, change: object) => {
    const { statistics, ...rest } = event as { readonly statistics: object };
    return { ...rest, statistics: { ...statistics, ...change } };
  };
  it.each<Case>([
    [
      'norms of other tokens',
      statistics(layer, { tokens: 3 }),
      (raw) => checkSaid(schemasOf('analyze').event, raw, ''),
    ],
    [
      'magnitudes of other dims',
      statistics(layer, { dims: 4 }),
      (raw) => checkSaid(schemasOf('analyze').event, raw, ''),
    ],
    [
      'alphas of other tokens',
      statistics(attention, { tokens: 3 }),
      (raw) => checkSaid(schemasOf('analyze').event, raw, ''),
    ],
    [
      'alphas of extra columns of other heads',
      statistics(attention, { heads: 1, tokens: 4 }),
      (raw) => checkSaid(schemasOf('analyze').event, raw, ''),
    ],
    ['a pattern of other keys', { ...replies.pattern, keys: 3 }, (raw) => checkSaid(answerSchema('pattern'), raw, '')],
    [
      'an output of another shape',
      { ...replies.output, shape: [3] },
      (raw) => checkSaid(answerSchema('output'), raw, ''),
    ],
  ])('%s', (_, message, check) => {
    expect(() => check(message)).toThrow(/must have/);
  });
});

describe('frames', () => {
  it.each([
    [{ id: 1, type: 'dance', request: {} }, /type is none that is known/],
    [{ id: 1, type: 'toString', request: {} }, /type is none that is known/],
    [{ id: -1, type: 'inspect', request: {} }, /id must be/],
    ['inspect', /message must be Object/],
  ])('to the child are refused: %j', (message, why) => {
    expect(() => checkToChild(message)).toThrow(why);
  });

  it.each([[undefined], ['ready'], [{ type: 'event', event: {} }], [{ id: 0, type: 'theme' }]])(
    'of the child that are none are nothing: %j',
    (message) => {
      expect(readFromChild(message)).toBeUndefined();
    },
  );

  it.each([
    [{ id: 1, type: 'theme' }, /type must be/],
    [{ id: 1, type: 'answer' }, /answer is missing/],
    [{ id: 1, type: 'problem', problem: { code: 'unheard of', message: '' } }, /problem\.code must be/],
  ])('of a job that cannot be read are its problem: %j', (message, why) => {
    const read = readFromChild(message);
    expect(read).toMatchObject({ id: 1, type: 'problem', problem: { code: 'internal' } });
    expect(read?.type === 'problem' && read.problem.message).toMatch(why);
  });

  it('carry a problem with all that it has', () => {
    const problem = {
      code: 'too-long',
      message: 'Too long.',
      file: '/f',
      detail: 'd',
      limit: { tokens: 2, context: 1 },
      axes: [2, 3],
    } as const;
    const frame = { id: 1, type: 'problem', problem };
    expect(readFromChild(deserialize(serialize(frame)))).toEqual(frame);
  });
});

it('every question is in the table under the type that it is asked with', () => {
  for (const [type, { schema }] of Object.entries(table)) expect(schema.entries.type.literal).toBe(type);
});
