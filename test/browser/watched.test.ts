/** What the panel says of a run that is pinned or a model that is watched: what the run shown is held against. */
import { describe, expect, it } from 'vitest';
import type {} from '../../webview/dev/harness.js';
import { webview } from './browser.js';

const { open } = webview();

describe('a model that is watched', () => {
  it('says so, why it cannot be run, and can be watched no longer', async () => {
    const { page, said } = await open({ run: 'summer' });
    await page.evaluate(() => window.harness.view({ watched: { name: 'mine', problem: 'mine.onnx is cut off.' } }));
    const view = page.locator('sinkscope-moved');
    await view.getByText('mine is watched').waitFor();
    await expect.poll(() => view.getByRole('alert').innerText()).toBe('mine.onnx is cut off.');
    await expect.poll(() => page.locator('sinkscope-residual-heatmap').count()).toBe(1);
    await view.getByRole('button', { name: 'stop watching' }).click();
    await expect.poll(() => said('unwatch')).toEqual([{ type: 'unwatch' }]);
  });
});

describe('a run that is pinned', () => {
  it('is what others are held against, cell by cell, on the tokens that both have', async () => {
    const { page, said } = await open({ run: 'summer', against: 'harris' });
    const view = page.locator('sinkscope-moved');
    await view.getByText('Pinned: harris.').waitFor();
    await view.getByText(/tokens in both texts: \d+ of \d+ before and \d+ now/).waitFor();
    const [heatmap, heads] = await view.getByRole('application').all();
    if (!heatmap || !heads) throw new Error('two heatmaps');
    // The first row is the embedding, and the first token both begin with.
    const box = await heatmap.boundingBox();
    await heads.scrollIntoViewIfNeeded();
    const table = view.getByRole('table').last();
    await table.getByRole('button', { name: '3', exact: true }).click();
    await expect.poll(() => said('select')).toEqual([{ type: 'select', selection: { layer: 3 } }]);
    expect(box?.width).toBeGreaterThan(20);
    await heatmap.focus();
    await page.keyboard.press('Home');
    await page.keyboard.press('Enter');
    const [, cell] = await said('select');
    expect(cell?.selection).toMatchObject({ token: 0 });
    await view.getByRole('button', { name: 'unpin' }).click();
    await expect.poll(() => said('pin')).toEqual([{ type: 'pin', on: false }]);
  });

  it('is pinned from the toolbar, and not held against itself', async () => {
    const { page, said } = await open({ run: 'summer' });
    await page.getByTestId('pin').click();
    await expect.poll(() => said('pin')).toEqual([{ type: 'pin', on: true }]);
    await page.evaluate(() => window.harness.view({ pinned: 'shown' }));
    const view = page.locator('sinkscope-moved');
    await view.getByText('This run is pinned').waitFor();
    await expect.poll(() => view.getByRole('table').count()).toBe(0);
    await page.getByTestId('pin').click();
    await expect.poll(() => said('pin')).toContainEqual({ type: 'pin', on: false });
  });

  it.each([320, 1600])('leaves the page as wide as it is, at %i pixels', async (width) => {
    const { page } = await open({ run: 'summer', against: 'harris', width });
    await page.locator('sinkscope-moved').getByText('Pinned: harris.').waitFor();
    await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
  });
});
