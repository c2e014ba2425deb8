/** A folder that nobody trusts: VS Code's restricted mode, as a person meets it. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, inject } from 'vitest';
import { test } from './fixtures.js';

const sample = await readFile('media/sample.md', 'utf8');

/** Has windows that are opened meanwhile trust no folder. */
async function distrusting(body: () => Promise<void>): Promise<void> {
  const before = await readFile(inject('settings'), 'utf8');
  const trust = { 'security.workspace.trust.enabled': true, 'security.workspace.trust.startupPrompt': 'never' };
  await writeFile(inject('settings'), JSON.stringify({ ...JSON.parse(before), ...trust }));
  try {
    await body();
  } finally {
    await writeFile(inject('settings'), before);
  }
}

describe('a folder that is not trusted', () => {
  test('has no say in which model runs, and none of its models is looked at', async ({ open }) => {
    await distrusting(async () => {
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
