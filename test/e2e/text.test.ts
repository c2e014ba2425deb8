/** What is done in a text beside its analysis: going from mark to mark, two texts at once, Live, writing on. */
import { readFile } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { test } from './fixtures.js';

const sample = await readFile('media/sample.md', 'utf8');

describe('in a text', () => {
  test('marked tokens are gone to and told, and the status bar says what was found', async ({ enter }) => {
    const window = await enter({ files: { 'sample.md': sample } });
    await window.openFile('sample.md');
    await window.analyze();
    await expect.poll(() => window.status.textContent()).toMatch(/llama · BOS auto · ▲1 ⚓\uFE0E?1$/);
    await window.lines.filter({ hasText: 'The lamp' }).getByText('lamp').click();
    await window.command('Sinkscope: Go to Next Marked Token');
    await expect.poll(() => window.hover.textContent()).toMatch(/token 0 · .*massive/s);
    await window.page.keyboard.press('Escape');

    // By their surprisal, tokens have colours that are told, and the text, or what is selected of it, a perplexity.
    const panel = await window.panel();
    await panel.tint('surprisal').click();
    await panel.key.getByText('−ln p of the token, in nats, from').waitFor();
    await expect.poll(() => window.status.textContent()).toMatch(/ · perplexity [\d.]+$/);
    await window.selectLine(2);
    await expect.poll(() => window.status.textContent()).toMatch(/ · perplexity of the selection [\d.]+$/);
    await window.page.keyboard.press('Home');
    await expect.poll(() => window.status.textContent()).toMatch(/ · perplexity [\d.]+$/);
    await panel.tint('large').click();

    // What the status bar names is chosen there. The sink of this one is the column of its attention that no token has.
    await window.status.click();
    await window.pick(/\bllama-bias, /);
    await expect.poll(() => window.status.textContent()).toMatch(/llama-bias · BOS auto · ▲0 ⚓\uFE0E?1$/);
    await window.status.click();
    await window.pick(/\bllama, /);
    await expect.poll(() => window.status.textContent()).toMatch(/llama · BOS auto · ▲1/);
  });

  test('several selections are compared', async ({ enter }) => {
    const window = await enter({ files: { 'two.md': 'Summer is warm.\nWinter is cold.\n' } });
    await window.openFile('two.md');
    await window.lines.first().click();
    await window.page.keyboard.press('Home');
    await window.command('Add Cursor Below');
    await window.page.keyboard.press('Shift+End');
    await window.command('Sinkscope: Compare Selections');
    const panel = await window.panel();
    await panel.moved.getByText('Pinned: ').waitFor();
    await panel.moved.getByRole('heading', { name: 'What moved', exact: true }).waitFor();
    expect((await panel.tokens.allTextContents()).join('')).toContain('cold');
  });

  test('Live follows what is typed, until it is ended', async ({ enter }) => {
    const window = await enter({ files: { 'live.md': 'Summer is warm.' } });
    const { keyboard } = window.page;
    await window.openFile('live.md');
    const panel = await window.analyze();
    const toggle = window.page.locator('[id="sinkscope.sinkscope.sinkscope.live"]');
    await toggle.click();
    await panel.live.getByText(/^Live: /).waitFor();
    await window.lines.first().click();
    await keyboard.press('End');
    await keyboard.type(' Winter is cold.');
    const words = async () => (await panel.tokens.allTextContents()).join('');
    await expect.poll(words).toContain('cold');
    await toggle.click();
    await panel.live.waitFor({ state: 'hidden' });
    await window.lines.first().click();
    await keyboard.press('End');
    await keyboard.type(' More.');
    // Only now is it behind the text.
    await expect.poll(() => panel.again.getAttribute('appearance')).toBe('primary');
    expect(await words()).not.toContain('More');
  });

  test('the model writes on behind the cursor, which is thrown away or taken', async ({ enter }) => {
    const text = 'The cat sat on the mat. The dog';
    const window = await enter({ files: { 'on.md': text } });
    const { keyboard } = window.page;
    await window.openFile('on.md');
    await window.lines.first().click();
    await keyboard.press('End');
    const ghost = window.editor.locator('.ghost-text-decoration');
    await window.command('Sinkscope: Continue Prompt');
    await ghost.first().waitFor();
    await window.lines.first().click();
    await keyboard.press('End');
    await keyboard.press('Escape');
    await ghost.first().waitFor({ state: 'detached' });
    expect(await window.text()).toBe(text);

    await window.command('Sinkscope: Continue Prompt');
    await ghost.first().waitFor();
    await window.lines.first().click();
    await keyboard.press('End');
    await expect
      .poll(async () => {
        await keyboard.press('Tab');
        return (await window.text()).length;
      })
      .toBeGreaterThan(text.length);
    expect(await window.text()).toMatch(/^The cat sat on the mat\. The dog/);
  });
});
