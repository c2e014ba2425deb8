/** What to run and with what: the toolbar, and what it tells the host. */
import { describe, expect, it } from 'vitest';
import type {} from '../../webview/dev/harness.js';
import { webview } from './browser.js';

const { open } = webview();

describe('the toolbar', () => {
  it('passes on what the toolbar is told', async () => {
    const { page, said } = await open();
    await page.getByTestId('again').click();
    await page.getByTestId('settings').click();
    await page.getByTestId('bos').click();
    await page.getByRole('option', { name: 'BOS: off' }).click();
    await page.getByTestId('model').click();
    await page.getByRole('option', { name: 'llama-bias' }).click();
    await expect.poll(() => said('analyze-again')).toHaveLength(1);
    await expect.poll(() => said('open-settings')).toHaveLength(1);
    await expect.poll(() => said('choose-bos')).toEqual([{ type: 'choose-bos', bos: 'off' }]);
    await expect
      .poll(() => said('choose-model'))
      .toEqual([{ type: 'choose-model', file: 'models/llama-bias/model.onnx' }]);
  });

  it('tells a choice once, whatever key is pressed then', async () => {
    const { page, said } = await open();
    await page.getByTestId('bos').click();
    await page.getByRole('option', { name: 'BOS: off' }).click();
    await page.evaluate(() => window.harness.view({ bos: 'off', document: 'told.md' }));
    await page.getByText('told.md').first().waitFor();
    await page.keyboard.press('Escape');
    await page.getByTestId('bos').click();
    await page.getByRole('option', { name: 'BOS: on' }).click();
    await expect.poll(() => said('choose-bos')).toMatchObject([{ bos: 'off' }, { bos: 'on' }]);
  });

  it('shows the model that the host has chosen, from whatever list', async () => {
    const { page } = await open();
    const shown = () => page.getByTestId('model').evaluate((dropdown) => (dropdown as HTMLInputElement).value);
    for (const [names, model] of [
      [['a', 'b'], 'b'],
      [['a', 'b'], 'a'],
      [[], ''],
      [['c', 'd'], 'd'],
    ] as const) {
      await page.evaluate(
        ([names, model]) => {
          const models = names.map((name) => ({ file: name, name, origin: 'workspace' as const }));
          window.harness.view({ models, model: model || undefined });
        },
        [names, model] as const,
      );
      await expect.poll(shown).toBe(model);
    }
  });

  it('says where each model was found', async () => {
    const { page } = await open();
    const found = (['bundled', 'workspace', 'settings'] as const).map((origin) => ({
      file: origin,
      name: 'm',
      origin,
    }));
    await page.evaluate((models) => window.harness.view({ models }), found);
    const options = page.getByTestId('model').locator('vscode-option');
    await expect.poll(() => options.allInnerTexts()).toEqual(['m (Bundled)', 'm (Workspace)', 'm (Settings)']);
  });
});

it('opens its menu within a narrow panel, wherever the button has come to stand', async () => {
  // With a list of streams as well the button stands first in a row.
  const { page } = await open({ run: 'decoder', width: 320 });
  const menu = page.getByTestId('export');
  await menu.locator('summary').click();
  const { x = -1, width = 0 } = (await menu.locator('ul').boundingBox()) ?? {};
  expect(x).toBeGreaterThanOrEqual(0);
  expect(x + width).toBeLessThanOrEqual(320);
  await menu.getByRole('button', { name: 'Report' }).click();
  await expect.poll(() => menu.locator('ul').isVisible()).toBe(false);
});
