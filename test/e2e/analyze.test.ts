/** The main path: open a text, right-click, Analyze Prompt, read, click, edit. */
import { readFile } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { test } from './fixtures.js';

const sample = await readFile('media/sample.md', 'utf8');

describe('Analyze Prompt', () => {
  test('shows overlay and panel for a whole document', async ({ enter }) => {
    const window = await enter({ files: { 'sample.md': sample } });
    await window.openFile('sample.md');
    const panel = await window.analyze();

    // The default model by its own card: dimension 239 at the first token, from layer 2 to 8.
    const summary = panel.summary;
    await expect.poll(() => summary.textContent()).toMatch(/239/);
    await expect.poll(() => summary.textContent()).toMatch(/sink/i);
    expect(await panel.massiveRows.count()).toBeGreaterThan(0);
    expect(await panel.massiveRows.first().textContent()).toContain('239');
    // The prefix token has no text of its own; its signs stand before the first that has.
    await expect.poll(async () => (await window.marks()).signs.join('')).toMatch(/bos.*▲.*⚓/);
    // Nothing but that token stands out; what is ordinary is tinted where that is asked for.
    expect((await window.marks()).tinted).toEqual([]);
    await panel.tint('all').click();
    await expect.poll(async () => (await window.marks()).tinted.join('')).toContain('lamp');

    await window.lines.filter({ hasText: 'The lamp' }).getByText('lamp').click();
    await window.command('Show or Focus Hover');
    await expect.poll(() => window.hover.textContent()).toMatch(/^·?\w+ · token \d+ · id \d+/);
    await expect.poll(() => window.hover.textContent()).toMatch(/largest \|h\|/);
  });

  test('is in the palette and on a key, and takes the selection when there is one', async ({ enter }) => {
    const window = await enter({ files: { 'two.md': 'First line stays out.\nThe second line is analysed alone.\n' } });
    await window.openFile('two.md');
    await window.selectLine(1);
    await window.command('Sinkscope: Analyze Prompt');
    const panel = await window.panel();
    await panel.finished();
    const tokens = (await panel.tokens.allTextContents()).join('');
    expect(tokens).toContain('second');
    expect(tokens).not.toContain('First');

    await window.lines.first().click();
    await window.press('K');
    await window.press('Y');
    await expect.poll(async () => (await panel.tokens.allTextContents()).join('')).toContain('First');
  });

  test('shares one selection between panel and editor', async ({ enter }) => {
    const window = await enter({ files: { 'sample.md': sample } });
    await window.openFile('sample.md');
    const panel = await window.analyze();

    await panel.tokens.filter({ hasText: 'lamp' }).click();
    await expect.poll(() => panel.selectedToken.textContent()).toContain('lamp');
    await expect.poll(async () => (await window.marks()).outlined).toEqual([' lamp']);

    await window.lines.filter({ hasText: 'Then somebody' }).getByText('somebody').click();
    await expect.poll(() => panel.selectedToken.textContent()).not.toContain('lamp');
  });

  test('keeps marks through edits elsewhere and drops them where the text changed', async ({ enter }) => {
    const text = 'Alpha stays here.\n\nThe lamp was lit and the door was shut.\n';
    const window = await enter({ files: { 'edit.md': text } });
    await window.openFile('edit.md');
    await window.selectLine(2);
    const panel = await window.analyze(window.lines.nth(2));
    await panel.tokens.filter({ hasText: 'lamp' }).click();
    const outlined = async () => (await window.marks()).outlined;
    await expect.poll(outlined).toEqual([' lamp']);

    // Before the analysed text.
    await window.lines.first().click();
    await window.page.keyboard.press('Home');
    await window.page.keyboard.type('New words. ');
    await expect.poll(() => window.text()).toContain('New words. Alpha');
    await expect.poll(outlined).toEqual([' lamp']);

    // Inside the marked word.
    await window.lines.nth(2).getByText('lamp').click();
    await window.page.keyboard.type('X');
    await expect.poll(outlined).toEqual([]);
  });

  test('is undone by Clear Analysis Marks', async ({ enter }) => {
    const window = await enter({ files: { 'sample.md': sample } });
    await window.openFile('sample.md');
    await window.analyze();
    await expect.poll(async () => (await window.marks()).signs).not.toEqual([]);
    await window.command('Sinkscope: Clear Analysis Marks');
    const none = { tinted: [], bordered: [], outlined: [], underlined: [], signs: [] };
    await expect.poll(() => window.marks()).toEqual(none);
  });
});
