/** Tests that end in every way there is. */
import { beforeAll, describe, expect, test } from 'vitest';

test('passes', () => expect(1).toBe(1));

describe('a group', () => {
  test('fails', () => expect(1).toBe(2));

  test('is left out', ({ skip }) => skip());

  test('cannot run here', ({ skip }) => skip('there is no such thing'));
});

describe('a group whose hook fails', () => {
  beforeAll(() => {
    throw new Error('nothing to begin with');
  });

  test('never begins', () => expect(1).toBe(1));
});
