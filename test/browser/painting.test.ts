/** How much is painted, asked for and touched while the selection moves. */
import { expect, it } from 'vitest';
import type {} from '../../webview/dev/harness.js';
import { webview } from './browser.js';

const { open } = webview();

it('paints each canvas once a frame at most, however much is said within one', async () => {
  const { page } = await open({ run: 'large', tokens: 64, dims: 64 });
  await page.locator('sinkscope-residual-heatmap canvas.base').waitFor();
  const painted = await page.evaluate(async () => {
    // Every painting begins with this, and all callbacks of one frame have one time.
    const { setTransform } = CanvasRenderingContext2D.prototype;
    const paintings = new Map<HTMLCanvasElement, (number | null)[]>();
    Object.defineProperty(CanvasRenderingContext2D.prototype, 'setTransform', {
      value(this: CanvasRenderingContext2D, ...values: unknown[]) {
        const at = document.timeline.currentTime;
        const times = paintings.get(this.canvas) ?? [];
        paintings.set(this.canvas, [...times, typeof at === 'number' ? at : null]);
        return Reflect.apply(setTransform, this, values);
      },
    });
    const frame = () => new Promise(requestAnimationFrame);
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 20; i++) window.harness.select({ token: i, layer: (round + i) % 49, head: i });
      await frame();
    }
    for (let still = 0; still < 5; still++) await frame();
    return [...paintings.values()].map((times) => ({ times: times.length, frames: new Set(times).size }));
  });
  expect(painted.length).toBeGreaterThan(3);
  for (const { times, frames } of painted) expect(times).toBe(frames);
});

it('leaves cells and tokens as they are when the selection moves', async () => {
  const { page } = await open({ run: 'large', tokens: 200, dims: 64 });
  const go = async (token: number) => {
    await page.evaluate((token) => window.harness.select({ token, layer: token }), token);
    await page
      .locator('sinkscope-dimension-ruler')
      .filter({ hasText: `LAYER ${token}` })
      .waitFor();
    return page.locator('sinkscope-residual-heatmap rect').nth(1).getAttribute('y');
  };
  await go(4);
  await page.evaluate(() => {
    const inside = (view: string, element: string) =>
      document.querySelector(`sinkscope-${view}`)?.shadowRoot?.querySelector(element);
    const cells = inside('residual-heatmap', 'sinkscope-grid')?.shadowRoot?.querySelector('canvas');
    const { setTransform } = CanvasRenderingContext2D.prototype;
    Object.defineProperty(CanvasRenderingContext2D.prototype, 'setTransform', {
      value(this: CanvasRenderingContext2D, ...values: unknown[]) {
        if (this.canvas === cells) document.body.dataset.painted = 'cells';
        return Reflect.apply(setTransform, this, values);
      },
    });
    const tokens = inside('token-strip', '.flow');
    const touched: string[] = [];
    const observer = new MutationObserver((records) => {
      for (const { target, attributeName } of records)
        touched.push(`${target instanceof HTMLElement ? target.dataset.token : target.nodeName} ${attributeName}`);
      document.body.dataset.touched = [...new Set(touched)].sort().join(', ');
    });
    if (tokens) observer.observe(tokens, { attributes: true, childList: true, characterData: true, subtree: true });
  });
  const rows = [await go(5), await go(6), await go(7)];
  expect(new Set(rows).size).toBe(3);
  const touched = '4 aria-selected, 5 aria-selected, 6 aria-selected, 7 aria-selected';
  await expect.poll(() => page.evaluate(() => document.body.dataset.touched)).toBe(touched);
  expect(await page.evaluate(() => document.body.dataset.painted)).toBeUndefined();
});

it('asks for the predictions of what is passed over quickly one at a time, and shows the former ones until then', async () => {
  const { page, said } = await open({ silent: true });
  const view = page.locator('sinkscope-predictions');
  await view.locator('ol').waitFor();
  for (const token of [3, 4, 5]) {
    await page.evaluate((token) => window.harness.select({ token }), token);
    await view.filter({ hasText: `(token ${token}) …` }).waitFor();
  }
  expect(await view.locator('li').count()).toBeGreaterThan(0);
  const asked = (await said('query')).map(({ query }) => query);
  expect(asked.filter(({ type }) => type === 'predictions')).toEqual([{ type: 'predictions', token: 3 }]);
});
