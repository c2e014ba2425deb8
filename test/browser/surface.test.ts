import type { Page } from 'playwright-core';
import { PNG } from 'pngjs';
import { describe, expect, it } from 'vitest';
import type {} from '../../webview/dev/harness.js';
import type { Surface } from '../../webview/surface/surface.js';
import { at } from '../support/lists.js';
import { type Options, webview } from './browser.js';

const { open } = webview();

const view = (page: Page) => page.locator('sinkscope-magnitudes');
const stage = (page: Page) => view(page).locator('.stage');

/** Opens a run with its surface in sight. */
async function openSurface(options: Options = {}) {
  const opened = await open(options);
  await view(opened.page).scrollIntoViewIfNeeded();
  await view(opened.page).locator('sinkscope-legend').waitFor();
  return opened;
}

/** Where the top of a cell is seen. */
const topOf = (page: Page, row: number, column: number) =>
  page.locator('sinkscope-surface').evaluate((surface, cell) => (surface as Surface).top(cell), { row, column });

/** How many pixels of the surface itself are painted. */
const painted = (page: Page) =>
  page.locator('sinkscope-surface').evaluate((surface) => {
    (surface as Surface).picture((surface as Surface).theme);
    const source = surface.shadowRoot?.querySelector<HTMLCanvasElement>('canvas.surface');
    const copy = document.createElement('canvas');
    if (!source) return -1;
    [copy.width, copy.height] = [source.width, source.height];
    const context = copy.getContext('2d', { willReadFrequently: true });
    context?.drawImage(source, 0, 0);
    const { data = [] } = context?.getImageData(0, 0, copy.width, copy.height) ?? {};
    let count = 0;
    for (let byte = 3; byte < data.length; byte += 4) if ((data[byte] ?? 0) > 0) count++;
    return count;
  });

describe('the surface of a layer', () => {
  it('is asked for when it comes into sight, and drawn', async () => {
    // In one column it lies far below.
    const { page, said } = await open({ width: 420 });
    await expect.poll(() => said('query')).toEqual([]);
    await view(page).scrollIntoViewIfNeeded();
    await view(page).locator('sinkscope-legend').waitFor();
    const most = { rows: 192, columns: 512 };
    expect((await said('query')).map(({ query }) => query)).toEqual([
      { type: 'magnitudes', over: 'tokens', at: 2, most },
    ]);
    await expect.poll(() => painted(page)).toBeGreaterThan(5000);
  });

  it('gives what is clicked to every view, and follows them', async () => {
    const { page, said } = await openSurface();
    const peak = await topOf(page, 0, 239);
    await stage(page).click({ position: peak });
    expect((await said('select')).at(-1)).toEqual({ type: 'select', selection: { token: 0, layer: 2, dim: 239 } });
    await page.evaluate(() => window.harness.select({ token: 3, layer: 5, dim: 87 }));
    await view(page).filter({ hasText: 'at layer 5' }).waitFor();
    await expect
      .poll(() => page.locator('sinkscope-surface').evaluate((surface) => (surface as Surface).selected))
      .toEqual({ row: 3, column: 87 });
  });

  it('is turned by dragging, which chooses nothing, and by keys', async () => {
    const { page, said } = await openSurface();
    const first = await topOf(page, 50, 0);
    const { x = 0, y = 0 } = (await stage(page).boundingBox()) ?? {};
    await page.mouse.move(x + 300, y + 200);
    await page.mouse.down();
    await page.mouse.move(x + 360, y + 220, { steps: 4 });
    await page.mouse.up();
    const dragged = await topOf(page, 50, 0);
    expect(Math.hypot(dragged.x - first.x, dragged.y - first.y)).toBeGreaterThan(20);
    await expect.poll(() => said('select')).toEqual([]);
    await stage(page).focus();
    await page.keyboard.press('0');
    await expect.poll(() => topOf(page, 50, 0)).toEqual(first);
    for (const key of ['ArrowRight', '+']) {
      const before = await topOf(page, 50, 0);
      await page.keyboard.press(key);
      await expect.poll(() => topOf(page, 50, 0)).not.toEqual(before);
    }
  });

  it('is read from peak to peak, and Enter selects', async () => {
    const { page, said } = await openSurface();
    await stage(page).focus();
    const spoken = view(page).locator('sinkscope-surface [aria-live]');
    await page.keyboard.press('PageDown');
    await expect
      .poll(() => spoken.innerText())
      .toBe('⟨bos⟩ · token 0 · layer 2 · dimension 239, +2,084 = 2,213 × the median');
    await page.keyboard.press('PageDown');
    await expect.poll(() => spoken.innerText()).toContain('dimension 87');
    await page.keyboard.press('Enter');
    expect((await said('select')).at(-1)?.selection).toEqual({ token: 0, layer: 2, dim: 87 });
  });

  it('pools what is too large to be seen, says so, and keeps every spike', async () => {
    const { page } = await openSurface({ run: 'large', tokens: 1536, dims: 4096 });
    await view(page).filter({ hasText: 'of each 8 tokens × 8 dims the largest' }).waitFor();
    await view(page).getByRole('button', { name: 'table' }).click();
    const cells = await view(page).locator('tbody tr').first().locator('th, td').allInnerTexts();
    expect(cells.slice(0, 4)).toEqual(['0 ⟨bos⟩', '3', '1365', '+1,480']);
  });

  it('shows the layers of one token too', async () => {
    const { page, said } = await openSurface();
    await page.getByTestId('over-layers').click();
    await view(page).filter({ hasText: 'layer × dimension of ⟨bos⟩ (token 0)' }).waitFor();
    const asked = async () => {
      const queries = (await said('query')).map(({ query }) => query);
      return queries.flatMap((query) => (query.type === 'magnitudes' ? [`${query.over} ${query.at}`] : []));
    };
    await expect.poll(() => asked()).toEqual(['tokens 2', 'layers 0']);
    await page.evaluate(() => window.harness.select({ token: 3 }));
    await expect.poll(asked).toEqual(['tokens 2', 'layers 0', 'layers 3']);
  });

  it('waits to be wanted after a long run, which it may take again', async () => {
    const { page, said } = await open({ width: 420 });
    await page.evaluate(async () => {
      const { events } = await window.harness.loaded;
      const slow = events.map((event) => (event.type === 'finished' ? { ...event, seconds: 39 } : event));
      window.harness.post({ type: 'replay', run: 2, events: slow });
    });
    await view(page).scrollIntoViewIfNeeded();
    await view(page).getByTestId('draw').waitFor();
    await expect.poll(() => said('query')).toEqual([]);
    await view(page).getByTestId('draw').click();
    await view(page).locator('sinkscope-legend').waitFor();
  });

  it.each([
    ['a surface', '', 400],
    ['the flat picture', 'flat', 200],
  ])('is saved as %s', async (_, press, least) => {
    const { page, said } = await openSurface();
    if (press) await page.getByTestId(press).click();
    const menu = view(page).locator('details');
    await menu.locator('summary').click();
    await menu.getByRole('button', { name: 'PNG' }).click();
    await expect.poll(async () => (await said('save-file')).length).toBe(1);
    const { name, bytes } = at(await said('save-file'), 0);
    expect(name).toBe('magnitudes');
    const { data, height } = PNG.sync.read(Buffer.from(Object.values(bytes)));
    expect(height).toBeGreaterThan(least);
    const colours = new Set(Array.from({ length: data.length / 4 }, (_, pixel) => data.readUInt32BE(4 * pixel)));
    expect(colours.size).toBeGreaterThan(100);
  });
});

describe('where there is no graphics context', () => {
  it('is flat, with the reason, and all else as it is', async () => {
    const { page, said } = await openSurface({ webgl: 'none' });
    await view(page).getByText('no WebGL 2, so the surface is shown flat').waitFor();
    const grid = view(page).locator('sinkscope-grid .scroller');
    await grid.focus();
    await page.keyboard.press('Enter');
    expect((await said('select')).at(-1)?.selection).toMatchObject({ token: 0, layer: 2 });
  });

  it('is flat while it is lost, and a surface again when it comes back', async () => {
    const { page } = await openSurface();
    const before = await painted(page);
    await page.locator('sinkscope-surface').evaluate((surface) => {
      const canvas = surface.shadowRoot?.querySelector<HTMLCanvasElement>('canvas.surface');
      const lose = canvas?.getContext('webgl2')?.getExtension('WEBGL_lose_context');
      Object.assign(window, { lose });
      lose?.loseContext();
    });
    await view(page).getByText('shown flat until the window gets it back').waitFor();
    await view(page).locator('sinkscope-grid').waitFor();
    await page.evaluate(() => (window as unknown as { lose: { restoreContext(): void } }).lose.restoreContext());
    await view(page).locator('sinkscope-grid').waitFor({ state: 'detached' });
    await stage(page).waitFor();
    await expect.poll(() => painted(page)).toBe(before);
  });
});
