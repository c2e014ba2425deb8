/** Tests of which one never ends, in a way that no timeout of vitest's can reach. */
import { describe, expect, test } from 'vitest';

test('passes', () => expect(1).toBe(1));

describe('a group', () => {
  test('fails', () => expect(1).toBe(2));

  test('never ends', () => {
    for (;;);
  });
});
