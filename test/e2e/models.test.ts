/** Which model runs: chosen in the panel, found in the workspace, opened in the side bar; and what it is told. */
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { test } from './fixtures.js';

const sample = await readFile('media/sample.md', 'utf8');

describe('the model', () => {
  test('is chosen in the panel, and compared with another', async ({ enter }) => {
    const window = await enter({ files: { 'sample.md': sample } });
    await window.openFile('sample.md');
    const panel = await window.analyze();
    // What is shown is made with it at once.
    await panel.choose('model', /^llama-bias \(/);
    // Trained with an explicit attention bias: nothing massive.
    await expect.poll(() => panel.conditions.textContent()).toMatch(/llama-bias/);
    await panel.finished();
    expect(await panel.summary.textContent()).toMatch(/no massive/i);

    await panel.choose('model', /^llama \(/);
    await panel.choose('bos', /off/);
    await expect.poll(() => panel.conditions.textContent()).toMatch(/^llama .*BOS off/);
    expect(existsSync(join(window.folder, '.vscode')), 'a try writes nothing into the folder').toBe(false);
  });

  test('is shown with its anatomy in the side bar, those of the workspace too', async ({ enter }) => {
    const window = await enter({ files: { 'sample.md': sample } });
    await cp('test/zoo/fixtures/llama-onnxslim', join(window.folder, 'tiny'), { recursive: true });
    await mkdir(join(window.folder, 'broken'));
    await writeFile(join(window.folder, 'broken/model.onnx'), 'Not Found');
    const { page } = window;
    await window.openFile('sample.md');
    await window.page.getByRole('tab', { name: 'Sinkscope', exact: true }).click();
    await window.command('Sinkscope: Refresh Models');
    const model = (name: string) => window.page.getByRole('treeitem', { name: new RegExp(`^${name}, `) });
    for (const name of ['llama', 'llama-plain', 'llama-sink', 'llama-bias', 'tiny']) await model(name).waitFor();
    // What each is, before one is opened: this fixture has no tokenizer beside it.
    await page.getByRole('treeitem', { name: /^tiny, .*text, float, no tokenizer/ }).waitFor();
    await page.getByRole('treeitem', { name: /^broken, .*cannot be read/ }).waitFor();
    await model('llama').click();
    await window.page.getByRole('treeitem', { name: /256/ }).waitFor();
    await window.screenshot('side bar');
  });
});
