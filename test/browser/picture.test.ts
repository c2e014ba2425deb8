import type { Locator, Page } from 'playwright-core';
import { PNG } from 'pngjs';
import { describe, expect, it } from 'vitest';
import type {} from '../../webview/dev/harness.js';
import { at } from '../support/lists.js';
import { webview } from './browser.js';

const { open } = webview();

const stage = (page: Page) => page.locator('sinkscope-picture .stage');

/** Opens the run on a picture of 320 × 200 pixels in patches of 20: tokens CLS, two registers, then 10 rows of 16. */
async function openPicture(theme: 'dark' | 'light' = 'dark') {
  const opened = await open({ run: 'picture', theme });
  await expect
    .poll(() => opened.page.locator('sinkscope-picture img').evaluate((image) => (image as HTMLImageElement).complete))
    .toBe(true);
  return opened;
}

/** A point of the upright picture, in its own pixels, as the stage is to be clicked there. */
async function pointAt(page: Page, x: number, y: number): Promise<{ x: number; y: number }> {
  const { width = 0 } = (await stage(page).boundingBox()) ?? {};
  return { x: (x * width) / 320, y: (y * width) / 320 };
}

async function colour(page: Page, element: Locator, x: number, y: number): Promise<number[]> {
  return element.evaluate(
    (source, point) => {
      const context = document.createElement('canvas').getContext('2d');
      context?.drawImage(source as HTMLCanvasElement, -Math.round(point.x), -Math.round(point.y));
      return [...(context?.getImageData(0, 0, 1, 1).data ?? [])];
    },
    await pointAt(page, x, y),
  );
}

describe('a picture', () => {
  it('stands upright and in its proportions, whatever way the camera was held', async () => {
    const { page } = await openPicture();
    const size = await page
      .locator('sinkscope-picture img')
      .evaluate((image) => [(image as HTMLImageElement).naturalWidth, (image as HTMLImageElement).naturalHeight]);
    expect(size).toEqual([320, 200]);
    const { width = 0, height = 0 } = (await stage(page).boundingBox()) ?? {};
    expect(width / height).toBeCloseTo(1.6, 2);
    await expect
      .poll(() => page.locator('sinkscope-picture').getByRole('img').getAttribute('alt'))
      .toContain('coast.jpg');
  });

  it('has its patches where they are: a click selects the one that is under it, here and at the host', async () => {
    const { page, said } = await openPicture();
    // Row 3, column 9: token 3 + 3 · 16 + 9.
    await stage(page).click({ position: await pointAt(page, 9 * 20 + 2, 3 * 20 + 2) });
    await stage(page).click({ position: await pointAt(page, 9 * 20 - 2, 3 * 20 - 2) });
    await stage(page).click({ position: await pointAt(page, 318, 198) });
    expect((await said('select')).map(({ selection }) => selection.token)).toEqual([60, 43, 162]);
    const selected = page.locator('sinkscope-token-strip').getByRole('option', { selected: true });
    await expect.poll(() => selected.innerText()).toBe('patch 9,15');
  });

  it('is tinted where a patch stands out at the layer that is selected, and there alone', async () => {
    const { page } = await openPicture();
    const canvas = page.locator('sinkscope-picture canvas').first();
    const opacity = async (column: number) => (await colour(page, canvas, column * 20 + 4, 4))[3];
    await page.evaluate(() => window.harness.select({ layer: 4 }));
    await expect.poll(() => opacity(1)).toBeGreaterThan(120);
    await expect.poll(() => opacity(2)).toBeLessThan(100);
    await page.evaluate(() => window.harness.select({ layer: 0 }));
    await expect.poll(() => opacity(1)).toBeLessThan(100);
    await page.locator('sinkscope-picture').getByRole('button', { name: 'tint' }).click();
    await expect.poll(() => opacity(2)).toBe(0);
  });

  it('outlines the token that was selected elsewhere', async () => {
    const { page } = await openPicture();
    const canvas = page.locator('sinkscope-picture canvas').first();
    const edge = () => colour(page, canvas, 9 * 20 + 1.5, 3 * 20 + 10);
    const before = await edge();
    await page.evaluate(() => window.harness.select({ token: 60 }));
    await expect.poll(edge).not.toEqual(before);
    expect((await edge())[3]).toBe(255);
  });

  it('has the tokens that are no patch beside it, by name and with their marks', async () => {
    const { page, said } = await openPicture();
    const chips = page.locator('sinkscope-picture-tokens').getByRole('button');
    await expect.poll(() => chips.count()).toBe(3);
    await expect.poll(() => chips.nth(0).innerText()).toMatch(/▲⚓.*CLS.*7,400 ×/);
    const named = { name: /^CLS 7,400 × ?, token 0, massive, sink in 11 of 12 heads$/ };
    await expect.poll(() => page.getByRole('button', named).count()).toBe(1);
    await expect.poll(() => chips.nth(2).innerText()).toMatch(/^register 2/);
    await chips.nth(2).click();
    expect((await said('select')).at(-1)?.selection.token).toBe(2);
    await expect.poll(() => chips.nth(2).getAttribute('aria-pressed')).toBe('true');
  });

  it('is read patch by patch with the arrow keys', async () => {
    const { page, said } = await openPicture();
    const spoken = page.locator('sinkscope-picture [aria-live]');
    await stage(page).focus();
    for (const key of ['ArrowLeft', 'ArrowRight', 'ArrowDown', 'ArrowDown', 'End']) await page.keyboard.press(key);
    await expect.poll(() => spoken.innerText()).toMatch(/^patch 2,15, token 50,.* × the median in dimension \d+/);
    await page.keyboard.press('Enter');
    expect((await said('select')).at(-1)?.selection.token).toBe(50);
    await page.keyboard.press('Control+Home');
    await page.keyboard.press('ArrowUp');
    await expect.poll(() => spoken.innerText()).toMatch(/^patch 0,0, token 3/);
  });

  it('tells its numbers under the mouse', async () => {
    const { page } = await openPicture();
    await stage(page).hover({ position: await pointAt(page, 30, 10) });
    const tooltip = page.locator('sinkscope-picture > * > .tooltip, sinkscope-picture .body ~ .tooltip').first();
    await expect
      .poll(() => tooltip.innerText())
      .toMatch(/^patch 0,1 · token 4\nlayer 3: .*× the median.*\nmassive: dimension/);
  });

  it('has a table behind it', async () => {
    const { page } = await openPicture();
    await page.evaluate(() => window.harness.select({ token: 5 }));
    const view = page.locator('sinkscope-picture');
    await view.getByRole('button', { name: 'table' }).click();
    const rows = view.locator('tbody tr');
    expect((await rows.nth(0).innerText()).split('\t')).toEqual(['CLS', '7,400 ×', '1,480', '21', 'massive, sink']);
    await expect.poll(() => view.locator('tr.selected').innerText()).toMatch(/^patch 0,2\t/);
  });

  it('is saved with what is drawn on it', async () => {
    const { page, said } = await openPicture();
    await page.evaluate(() => window.harness.select({ layer: 0 }));
    const menu = page.locator('sinkscope-picture details');
    const colours = async (saved: number) => {
      await menu.locator('summary').click();
      await menu.getByRole('button', { name: 'PNG' }).click();
      await expect.poll(async () => (await said('save-file')).length).toBe(saved);
      const { name, bytes } = at(await said('save-file'), saved - 1);
      expect(name).toBe('picture');
      const { width, data } = PNG.sync.read(Buffer.from(Object.values(bytes)));
      // Below the title, within the frame: the picture's red half, then its blue one.
      return [40, 400].map((x) => {
        const [red = 0, , blue = 0] = data.subarray(4 * (3 * 90 * width + 3 * x));
        return red > blue + 60 ? 'red' : blue > red + 60 ? 'blue' : 'neither';
      });
    };
    // Under tints it is grey, so that their colours are seen.
    await expect.poll(() => colours(1)).toEqual(['neither', 'neither']);
    await page.locator('sinkscope-picture').getByRole('button', { name: 'tint' }).click();
    await expect.poll(() => colours(2)).toEqual(['red', 'blue']);
  });

  it('that has changed since is not shown as if it were the one that was analyzed', async () => {
    const { page } = await openPicture();
    await page.evaluate(async () => {
      const { events } = await window.harness.loaded;
      window.harness.post({
        type: 'replay',
        run: 2,
        events: events.map((event) =>
          event.type === 'tokens' && event.picture
            ? { ...event, picture: { ...event.picture, width: 200, height: 320 } }
            : event,
        ),
      });
    });
    await page.locator('sinkscope-picture').getByText('has changed since it was analyzed').waitFor();
    await expect.poll(() => page.locator('sinkscope-picture img').count()).toBe(0);
  });

  it('is not looked for where a text was analyzed', async () => {
    const { page, said } = await open();
    await expect.poll(() => page.locator('sinkscope-picture').count()).toBe(0);
    expect((await said('query')).map(({ query }) => query.type)).not.toContain('picture');
  });
});
