import { expect, it } from 'vitest';
import { showLatest } from '../../../src/extension/latest.js';

it('shows what was read last, whichever reading ends first', async () => {
  const ends: ((value: string) => void)[] = [];
  const shown: string[] = [];
  const show = showLatest(
    () => new Promise<string>((resolve) => ends.push(resolve)),
    (value) => shown.push(value),
  );
  const before = show().then(() => shown.push('before'));
  const after = show();
  ends[1]?.('cleared');
  await after;
  ends[0]?.('stale');
  await before;
  expect(shown).toEqual(['cleared', 'before']);
  const again = show();
  ends[2]?.('again');
  await again;
  expect(shown).toEqual(['cleared', 'before', 'again']);
});
