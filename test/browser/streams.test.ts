/** A model with several residual streams, one of which attends to another. */
import { expect, it } from 'vitest';
import type {} from '../../webview/dev/harness.js';
import type { Grid } from '../../webview/grid.js';
import { webview } from './browser.js';

const { open } = webview();

it('shows what a decoder’s block looks at in its encoder, and runs another stream', async () => {
  const { page, said } = await open({ run: 'decoder' });
  const { x, y } = await page
    .locator('sinkscope-sink-heatmap sinkscope-grid')
    .evaluate((grid) => (grid as Grid).middle({ row: 2, column: 1 }));
  await page.locator('sinkscope-sink-heatmap .scroller').click({ position: { x, y } });
  await page.locator('sinkscope-attention-pattern').filter({ hasText: 'Attention pattern: layer 3, head 1' }).waitFor();
  await page.getByTestId('cross-attention').click();
  await page
    .locator('sinkscope-attention-pattern')
    .filter({ hasText: 'Cross-attention pattern: layer 3, head 1' })
    .waitFor();
  await page.locator('sinkscope-attention-pattern sinkscope-grid').waitFor();
  expect((await said('query')).map(({ query }) => query).filter(({ type }) => type === 'pattern')).toEqual([
    { type: 'pattern', layer: 3, head: 1 },
    { type: 'pattern', layer: 3, head: 1, cross: true },
  ]);
  await page.getByTestId('stream').click();
  await page.getByRole('option', { name: 'encoder' }).click();
  await expect.poll(() => said('analyze-again')).toEqual([{ type: 'analyze-again', stream: 'encoder' }]);
});
