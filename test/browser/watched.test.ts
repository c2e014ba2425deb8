/** What the panel says of a model that is analysed again when its files change. */
import { describe, expect, it } from 'vitest';
import type {} from '../../webview/dev/harness.js';
import { webview } from './browser.js';

const { open } = webview();

describe('a model that is watched', () => {
  const moved = {
    title: 'What moved',
    sentence: '1 sink went: ⟨bos⟩ in 3 heads.',
    settings: [],
    warnings: [],
    parts: [
      {
        kind: 'table' as const,
        heading: 'What moved, by layer',
        columns: [{ name: 'layer' }, { name: 'norms of tokens', format: 'share' as const }],
        rows: [
          ['embed', 0],
          ['1', 0.25],
        ],
        layers: [0, 1],
      },
    ],
  };

  it('says so, what moved, and can be watched no longer', async () => {
    const { page, said } = await open({ run: 'summer' });
    await page.evaluate(
      (shown) => window.harness.view({ watched: { name: 'mine', problem: undefined, moved: shown } }),
      moved,
    );
    const view = page.locator('sinkscope-moved');
    await view.getByText('mine is watched').waitFor();
    expect(await view.getByRole('status').innerText()).toBe('1 sink went: ⟨bos⟩ in 3 heads.');
    await view.getByRole('button', { name: '1', exact: true }).click();
    expect(await said('select')).toEqual([{ type: 'select', selection: { layer: 1 } }]);
    await view.getByRole('button', { name: 'stop watching' }).click();
    expect(await said('unwatch')).toEqual([{ type: 'unwatch' }]);
  });

  it('says why it cannot be run beside what could be seen before', async () => {
    const { page } = await open({ run: 'summer' });
    await page.evaluate(() =>
      window.harness.view({ watched: { name: 'mine', problem: 'mine.onnx is cut off.', moved: undefined } }),
    );
    expect(await page.locator('sinkscope-moved').getByRole('alert').innerText()).toBe('mine.onnx is cut off.');
    expect(await page.locator('sinkscope-residual-heatmap').count()).toBe(1);
  });
});
