/** The first minutes: the walkthrough, from its first click. */
import { describe, expect } from 'vitest';
import { test } from './fixtures.js';

describe('the walkthrough', () => {
  test('is read, and its first click shows the sample', async ({ enter }) => {
    const window = await enter({ files: {} });
    await window.command('Welcome: Open Walkthrough...');
    await window.pick(/^Look Inside a Transformer/);
    const page = window.page.locator('.gettingStartedContainer');
    await page.getByText('Analyze a prompt').first().click();
    await page.getByRole('button', { name: 'Try the Sample' }).click();
    const panel = await window.panel();
    await panel.finished();
    expect(await panel.summary.textContent()).toContain('239');
  });
});
