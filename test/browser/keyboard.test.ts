import { describe, expect, it } from 'vitest';
import type {} from '../../webview/dev/harness.js';
import type { Grid } from '../../webview/grid.js';
import { webview } from './browser.js';

const { open } = webview();

describe('the keyboard', () => {
  it('walks through a heatmap, reads cells out and selects', async () => {
    const { page, said } = await open();
    const view = page.locator('sinkscope-residual-heatmap');
    await view.locator('.scroller').focus();
    for (const key of ['ArrowRight', 'ArrowDown', 'ArrowDown', 'ArrowRight', 'ArrowLeft'])
      await page.keyboard.press(key);
    await expect.poll(() => view.locator('[aria-live]').innerText()).toContain('S · token 1 · layer 2');
    await expect.poll(() => view.locator('.tooltip').isVisible()).toBe(true);
    await page.keyboard.press('Escape');
    await expect.poll(() => view.locator('.tooltip').isVisible()).toBe(false);
    await page.keyboard.press('Enter');
    await expect.poll(() => said('select')).toEqual([{ type: 'select', selection: { token: 1, layer: 2 } }]);
  });

  it('reads a grid out whose row alone, or column alone, is selected', async () => {
    const { page } = await open();
    await page.evaluate(() => window.harness.select({ layer: 3 }));
    const view = page.locator('sinkscope-sink-heatmap');
    await page.keyboard.press('Tab');
    await view.locator('.scroller').focus();
    await expect.poll(() => view.locator('[aria-live]').innerText()).toContain('layer 3, head 0');
  });

  it('leaves the reading to the pointer, whose first click says what is under it', async () => {
    const { page, said } = await open();
    const view = page.locator('sinkscope-residual-heatmap');
    const place = await view.locator('sinkscope-grid').evaluate((grid) => (grid as Grid).middle({ row: 2, column: 3 }));
    await view.locator('.view').click({ position: place });
    const [message] = await said('select');
    expect(message).toEqual({ type: 'select', selection: { token: 3, layer: 2 } });
    await expect.poll(() => view.locator('.tooltip').innerText()).toContain('token 3 · layer 2');
  });

  it('walks through the tokens', async () => {
    const { page, said } = await open();
    const list = page.locator('sinkscope-token-strip').getByRole('listbox');
    await list.focus();
    for (const key of ['End', 'ArrowLeft']) await page.keyboard.press(key);
    await expect.poll(() => list.getAttribute('aria-activedescendant')).toBe('token49');
    await expect.poll(() => said('select')).toEqual([]);
    await page.keyboard.press('Enter');
    await expect.poll(() => said('select')).toEqual([{ type: 'select', selection: { token: 49 } }]);
  });

  it('moves through layers and dimensions', async () => {
    const { page, said } = await open();
    await page.getByRole('slider', { name: 'Layer' }).focus();
    await page.keyboard.press('ArrowRight');
    await page.getByRole('slider', { name: 'Dimension' }).focus();
    await page.keyboard.press('ArrowLeft');
    await expect
      .poll(() => said('select'))
      .toEqual([
        { type: 'select', selection: { layer: 3 } },
        { type: 'select', selection: { layer: 3, dim: 238 } },
      ]);
    const layer = page.getByRole('slider', { name: 'Layer' });
    await expect
      .poll(() => layer.getAttribute('aria-valuetext'))
      .toContain('layer 3: +2,086 in dimension 239 on ⟨bos⟩');
  });

  it('reaches every view with one stop each', async () => {
    const { page } = await open();
    const stops: string[] = [];
    for (let press = 0; press < 60; press++) {
      await page.keyboard.press('Tab');
      const name = await page.evaluate(() => {
        const path: string[] = [];
        let element = document.activeElement;
        while (element) {
          path.push(element.localName);
          element = element.shadowRoot?.activeElement ?? null;
        }
        return path.join(' ');
      });
      if (name === 'body') break;
      stops.push(name);
    }
    for (const view of ['token-strip', 'residual-heatmap', 'sink-heatmap', 'layer-profile', 'dimension-ruler']) {
      expect(stops.filter((stop) => new RegExp(`sinkscope-${view}.* div$`).test(stop))).toHaveLength(1);
    }
  });
});
