/** The view of the experts that tokens were sent to. */
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import type {} from '../../webview/dev/harness.js';
import type { Grid } from '../../webview/grid.js';
import { webview } from './browser.js';

const { open } = webview();

/** Waits until the view shows a text. */
const shows = (page: Page, text: string) =>
  page.locator('sinkscope-expert-heatmap').filter({ hasText: text }).waitFor();

describe('what the panel shows of a mixture of experts', () => {
  it('shows to which experts tokens were sent, of the selected block where it has any', async () => {
    const { page, said } = await open({ run: 'experts' });
    await shows(page, 'Experts: token × expert of block 2');
    await shows(page, '2 of 8 for each token; weights that multiply what experts give');
    await shows(page, 'Expert 0 got 33.3 % of the tokens, the most; 2 got none');
    const cells = page.locator('sinkscope-expert-heatmap sinkscope-grid');
    const { x, y } = await cells.evaluate((grid) => (grid as Grid).middle({ row: 2, column: 5 }));
    const grid = page.locator('sinkscope-expert-heatmap .scroller');
    await grid.hover({ position: { x, y } });
    await shows(page, 'weight 0.75');
    await grid.click({ position: { x, y } });
    await expect.poll(() => said('select')).toEqual([{ type: 'select', selection: { token: 5, layer: 2 } }]);
    await page.evaluate(() => window.harness.select({ layer: 3 }));
    await shows(page, 'The routing of this block is not known: its weights are [3, 12].');
    await page.evaluate(() => window.harness.select({ layer: 4 }));
    await shows(page, 'Experts: token × expert of block 4');
  });

  it('has no view of experts where the model has none', async () => {
    const { page } = await open();
    await page.locator('sinkscope-sink-heatmap sinkscope-grid').waitFor();
    await expect.poll(() => page.locator('sinkscope-expert-heatmap').count()).toBe(0);
  });
});
