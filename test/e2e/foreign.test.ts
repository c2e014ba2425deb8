/** What a stranger's model says of itself, where a person clicks. */
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { test } from './fixtures.js';

const sample = await readFile('media/sample.md', 'utf8');

describe('a name that is shaped like a link', () => {
  test('is text in a notification', async ({ open }) => {
    const window = await open({ files: { 'sample.md': sample } });
    const folder = join(window.folder, 'strange');
    await cp('test/zoo/fixtures/llama-dynamo-op18-ext', folder, { recursive: true });
    const model = join(folder, 'model.onnx');
    // Of the same length: the file stays whole, and asks for weights that are not there.
    const bytes = (await readFile(model)).toString('latin1').replaceAll('model.onnx.data', '[Rr](command:a)');
    await writeFile(model, Buffer.from(bytes, 'latin1'));

    await window.openFile('sample.md');
    const panel = await window.analyze();
    await window.command('Sinkscope: Refresh Models');
    await panel.choose('model', /^strange/);
    await panel.again.click();
    await expect.poll(() => panel.problem.textContent()).toContain('The data file "[Rr](command:a)"');
    const message = window.page.locator('.notification-list-item-message', { hasText: '"[Rr] (command:a)"' });
    // Whether one pops up depends on the window: it is looked at where all are kept.
    await window.command('Notifications: Show Notifications');
    await message.first().waitFor();
    expect(await message.first().locator('a').count()).toBe(0);
  });
});
