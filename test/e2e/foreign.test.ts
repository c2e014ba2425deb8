/** What a stranger's model says of itself, where a person clicks. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { test } from './fixtures.js';

const sample = await readFile('media/sample.md', 'utf8');

describe('a name that is shaped like a link', () => {
  test('is text in a notification', async ({ enter }) => {
    const window = await enter({ files: { 'sample.md': sample } });
    await mkdir(join(window.folder, '.vscode'));
    const settings = JSON.stringify({ 'sinkscope.model': '[Rr](command:a)' });
    await writeFile(join(window.folder, '.vscode/settings.json'), settings);
    await window.openFile('sample.md');
    const message = window.page.locator('.notification-list-item-message', { hasText: '[Rr] (command:a)' });
    // It comes when the setting has been read. Whether it pops up depends on the window: it is looked at where all are.
    await expect
      .poll(async () => {
        await window.command('Sinkscope: Analyze Prompt');
        await window.command('Notifications: Show Notifications');
        return message.count();
      })
      .toBeGreaterThan(0);
    expect(await message.first().locator('a').count()).toBe(0);
  });

  test('is text in the panel', async ({ enter }) => {
    const window = await enter({ files: { 'sample.md': sample } });
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
    await expect.poll(() => panel.problem.textContent()).toContain('The data file "[Rr](command:a)"');
    expect(await panel.problem.locator('a').count()).toBe(0);
    // The run before it is still shown, and what can be done is there.
    expect(await panel.summary.textContent()).toContain('239');
    await panel.help('chooseModel').waitFor();
    await panel.choose('model', /^llama \(/);
    await panel.problem.waitFor({ state: 'detached' });
  });
});
