/** A picture in the Explorer: right-click, Analyze Image, choose a vision model, read, click. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { expect } from 'vitest';
import { test } from './fixtures.js';

const fixture = 'test/zoo/fixtures/dinov2_with_registers-dynamo-op18';
const files = {
  'model.onnx': await readFile(`${fixture}/model.onnx`),
  'coast.jpg': await readFile('test/references/images/turned.jpg'),
};

test('a picture is analyzed from the Explorer with a vision model of the folder', async ({ open }) => {
  const window = await open({ files });
  const { page } = window;
  await window.menuOf(page.getByRole('treeitem', { name: 'coast.jpg' }), 'Analyze Image');
  // The chosen model, llama, takes no pictures.
  const models = page.locator('.quick-input-list').getByRole('option');
  await expect
    .poll(() => models.allTextContents())
    .toEqual([expect.stringContaining('Workspace'), expect.stringContaining('Add')]);
  await models.first().click();

  const panel = await window.panel();
  await panel.finished();
  await expect.poll(() => window.tab(/Sinkscope: coast.jpg/).count()).toBe(1);
  expect(await panel.tokens.nth(4).textContent()).toContain('patch 0,0');
  const frame = await window.view('panel');
  const view = frame.locator('sinkscope-picture');
  // Upright: it lies on its side in the file.
  await expect.poll(() => view.locator('img').evaluate((image) => (image as HTMLImageElement).naturalHeight)).toBe(83);
  await view.locator('.stage').click({ position: { x: 3, y: 3 } });
  await expect.poll(() => panel.selectedToken.textContent()).toContain('patch 0,0');
  await view.getByRole('button', { name: 'register 2' }).click();
  await expect.poll(() => panel.selectedToken.textContent()).toContain('register 2');

  for (const theme of ['Dark Modern', 'Light Modern', 'Dark High Contrast']) {
    await window.colorTheme(theme);
    await window.screenshot(`picture ${theme}`);
  }

  await window.kept('runs', basename(window.folder));
  await window.reload();
  await expect.poll(() => window.summary()).toContain('patch');
  const again = await window.view('panel');
  await again.locator('sinkscope-picture img').waitFor();
});
