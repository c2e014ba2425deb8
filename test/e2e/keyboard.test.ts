/** The whole way by keys alone: the menu key in the text, the panel, what it exports. */
import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { test } from './fixtures.js';

const sample = await readFile('media/sample.md', 'utf8');

test('a text is analyzed, read and exported without a mouse', async ({ open }) => {
  const window = await open({ files: { 'sample.md': sample } });
  const { page } = window;
  const { keyboard } = page;
  // To have it in front; the way begins in the text.
  await window.openFile('sample.md');
  await window.editor.locator(':focus').waitFor();

  const entry = page.getByRole('menuitem', { name: 'Analyze Prompt' });
  await expect
    .poll(async () => {
      if (!(await entry.isVisible())) await keyboard.press('Shift+F10');
      await keyboard.press('ArrowDown');
      return entry.evaluate((one) => one.matches(':focus'), undefined, { timeout: 500 }).catch(() => false);
    })
    .toBe(true);
  await keyboard.press('Enter');
  const panel = await window.panel();
  await panel.finished();

  await window.press('2');
  await expect
    .poll(async () => {
      await keyboard.press('Tab');
      return panel.focused();
    })
    .toBe('Export');
  await keyboard.press('Enter');
  await keyboard.press('Tab');
  await expect.poll(() => panel.focused()).toMatch(/^Result, to open anywhere/);
  await keyboard.press('Enter');

  const file = await window.answerSaving();
  await expect.poll(() => readFile(file, 'utf8')).toMatch(/"massive"/);
});
