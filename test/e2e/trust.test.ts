/** A folder that nobody trusts: VS Code's restricted mode, as a person meets it. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { test } from './fixtures.js';
import { configured } from './workbench.js';

const sample = await readFile('media/sample.md', 'utf8');

const distrusting = { 'security.workspace.trust.enabled': true, 'security.workspace.trust.startupPrompt': 'never' };

describe('a folder that is not trusted', () => {
  test('has no say in which model runs, and none of its models is looked at', async ({ open }) => {
    await configured(distrusting, async () => {
      const window = await open({ files: { 'sample.md': sample } });
      await window.page
        .getByRole('button', { name: /Restricted Mode/ })
        .first()
        .waitFor();
      // One has the name of the model that is chosen by default, the other is chosen by the folder's settings.
      for (const name of ['llama', 'stranger'])
        await cp('test/zoo/fixtures/llama-onnxslim', join(window.folder, name), { recursive: true });
      await mkdir(join(window.folder, '.vscode'));
      const settings = { 'sinkscope.model': 'stranger/model.onnx', 'sinkscope.models': ['stranger'] };
      await writeFile(join(window.folder, '.vscode/settings.json'), JSON.stringify(settings));

      await window.openFile('sample.md');
      await window.command('Sinkscope: Refresh Models');
      // Where they would be looked for, it is said what they wait for.
      await window.command('Sinkscope: Choose Model…');
      await window.page.getByRole('option', { name: /Trust this folder, to see its models/ }).waitFor();
      await window.page.keyboard.press('Escape');
      const panel = await window.analyze();
      expect(await panel.status.textContent()).toMatch(/^8 of 8 layers/);
      await window.page.getByRole('tab', { name: 'Sinkscope', exact: true }).click();
      const models = window.page.getByRole('treeitem', { name: /^(llama|stranger)/ });
      // Each of the four that are bundled, and its form with a cache.
      await models.nth(7).waitFor();
      expect(await models.count()).toBe(8);
      await window.screenshot('restricted mode');
    });
  });
});
