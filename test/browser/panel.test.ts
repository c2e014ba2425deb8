import { gzipSync } from 'node:zlib';
import type { Locator, Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import type {} from '../../webview/dev/harness.js';
import type { Grid } from '../../webview/grid.js';
import { at } from '../support/lists.js';
import { webview } from './browser.js';

const { open, bundled } = webview();

/** Colours of the canvas at a share of its plot's width and height, as 0 … 255. */
async function pixel(canvas: Locator, x: number, y: number): Promise<readonly number[]> {
  return canvas.evaluate(
    (element, [x, y]) => {
      const copy = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
      copy?.drawImage(element as HTMLCanvasElement, -Math.round(x), -Math.round(y));
      return [...(copy?.getImageData(0, 0, 1, 1).data ?? [])];
    },
    [x, y] as const,
  );
}

/** Waits until a view shows a text, whatever its case. */
const shows = (page: Page, view: string, text: string) =>
  page.locator(`sinkscope-${view}`).filter({ hasText: text }).waitFor();

const brightness = (rgba: readonly number[]) => at(rgba, 0) + at(rgba, 1) + at(rgba, 2);

/** Middle of a cell of a view's grid, in CSS pixels from the canvas's top left. */
const cellOf = (page: Page, view: string, row: number, column: number) =>
  page.locator(`${view} sinkscope-grid`).evaluate((grid, cell) => (grid as Grid).middle(cell), { row, column });

describe('what the panel shows', () => {
  it('names the massive dimension and the sink in words', async () => {
    const { page } = await open();
    await shows(page, 'summary', '1 massive dimension: 239 on ⟨bos⟩');
    await shows(page, 'summary', 'Sink: ⟨bos⟩ draws α > 0.3 in 24 of 32 heads (T = 51)');
    await shows(page, 'summary', 'BOS on');
  });

  it('shows what a head gives that is no vocabulary’s, and which input was guessed', async () => {
    const { page } = await open({ run: 'classes' });
    await shows(page, 'summary', 'bbox guessed: zeros');
    const output = page.locator('sinkscope-outputs');
    await shows(page, 'outputs', 'logits: classes (as many columns as its config.json names classes)');
    await expect.poll(() => page.locator('sinkscope-predictions').count()).toBe(0);
    const lines = () =>
      output.locator('tr').evaluateAll((rows) => rows.map((row) => row.textContent?.replace(/\s+/g, ' ').trim()));
    await expect.poll(() => lines()).toHaveLength(12);
    expect((await lines())[1]).toMatch(/tide ?B-PER ?75 % ?2$/);
    await output.getByRole('button', { name: 'tide' }).click();
    await shows(page, 'outputs', 'token 1');
    await expect.poll(() => lines()).toHaveLength(2);
    expect((await lines())[1]).toContain('B-LOC');
  });

  it('tells how far the run is, and how long it took', async () => {
    const { page } = await open({ events: 8 });
    await expect.poll(() => page.getByTestId('status').innerText()).toBe('3 of 8 layers');
    const finished = await open();
    await expect.poll(() => finished.page.getByTestId('status').innerText()).toMatch(/^8 of 8 layers · [\d.]+ m?s$/);
  });

  it('marks massive tokens and sinks by more than colour', async () => {
    const { page } = await open();
    const option = page.locator('sinkscope-token-strip').getByRole('option').first();
    await expect.poll(() => option.innerText()).toContain('▲');
    await expect.poll(() => option.innerText()).toContain('⚓');
    await expect.poll(() => option.getAttribute('aria-label')).toContain('sink in 24 of 32 heads');
  });

  it('lists what stands out, strongest first, and sorts by what is asked for', async () => {
    const { page } = await open();
    const rows = page.locator('sinkscope-massive-table tbody tr');
    const dims = () => rows.evaluateAll((all) => all.map((row) => row.children[1]?.textContent));
    await expect.poll(() => dims()).toEqual(['239', '87', '222', '240']);
    expect((await rows.first().innerText()).split('\t')).toEqual(['▲ ⟨bos⟩', '239', '+2,084', '2,213 ×', '2 → 5']);
    // Three are of one token: a screen reader's list of buttons tells them apart.
    const named = rows.getByRole('button', { name: '△ ⟨bos⟩, dim 87, large', exact: true });
    await expect.poll(() => named.count()).toBe(1);
    await page.locator('sinkscope-massive-table').getByRole('button', { name: /^dim/ }).click();
    await page.locator('sinkscope-massive-table').getByRole('button', { name: /^dim/ }).click();
    await expect.poll(() => dims()).toEqual(['87', '222', '239', '240']);
  });

  it('paints the massive token far brighter than any other, from its onset on', async () => {
    const { page } = await open();
    const canvas = page.locator('sinkscope-residual-heatmap canvas.base');
    const cell = async (row: number, column: number) => {
      const { x, y } = await cellOf(page, 'sinkscope-residual-heatmap', row, column);
      return brightness(await pixel(canvas, x, y));
    };
    const massive = await cell(2, 0);
    expect(massive).toBeGreaterThan(1.5 * (await cell(2, 30)));
    expect(massive).toBeGreaterThan(1.5 * (await cell(0, 0)));
    await expect.poll(() => cell(8, 0)).toBeLessThan(massive);
  });

  it('has a table behind the picture that says the same', async () => {
    const { page } = await open();
    const view = page.locator('sinkscope-residual-heatmap');
    await view.getByRole('button', { name: 'table' }).click();
    const first = await view.locator('tbody tr').first().locator('td').allInnerTexts();
    expect(first.slice(2, 6)).toEqual(['2,213 ×', '1,802 ×', '1,366 ×', '1,099 ×']);
  });

  it('opens again what was open before it was hidden, as far as it understands what was kept', async () => {
    const { page } = await open();
    const view = page.locator('sinkscope-layer-profile');
    await view.getByRole('button', { name: 'table' }).click();
    await page.reload();
    await view.locator('tbody tr').first().waitFor();
    await page.evaluate(() => sessionStorage.setItem('state', '{"version":99,"tables":"layer-profile"}'));
    await page.reload();
    await view.waitFor();
    await expect.poll(() => view.locator('table').count()).toBe(0);
  });

  it('scrolls a long heatmap to the selected token, and zooms', async () => {
    const { page } = await open({ run: 'large' });
    const view = page.locator('sinkscope-residual-heatmap');
    const scroller = view.locator('.scroller');
    await page.evaluate(() => window.harness.select({ token: 900, layer: 20 }));
    await expect.poll(() => scroller.evaluate((element) => element.scrollLeft)).toBeGreaterThan(2000);
    const { x, y } = await cellOf(page, 'sinkscope-residual-heatmap', 20, 900);
    const { width = 0 } = (await view.locator('canvas.base').boundingBox()) ?? {};
    expect(x).toBeLessThan(width);
    await scroller.hover({ position: { x: x - 1, y } });
    await expect.poll(() => view.locator('.tooltip').innerText()).toContain('token 900 · layer 20');
    const extent = () => view.locator('.extent').evaluate((element) => element.clientWidth);
    const before = await extent();
    await view.getByRole('button', { name: 'Larger cells' }).click();
    await expect.poll(extent).toBeGreaterThan(1.4 * before);
    await scroller.focus();
    for (let press = 0; press < 12; press++) await page.keyboard.press('-');
    await expect.poll(extent).toBeLessThan(1100);
  });

  it('shows what has arrived of a failed run beside what went wrong', async () => {
    const { page } = await open({ events: 8 });
    await page.evaluate(() =>
      window.harness.tell(8, { type: 'failed', problem: { code: 'crashed', message: 'The engine ended by itself.' } }),
    );
    const alert = page.getByRole('alert');
    await expect
      .poll(() => alert.innerText())
      .toContain('The engine ended by itself. Shown is what had arrived: layers 0 to 3.');
    await expect.poll(() => page.locator('sinkscope-layer-profile').count()).toBe(1);
  });

  it('says how to begin when nothing was run, and that the text has changed since', async () => {
    const empty = await open({ events: 0 });
    await expect.poll(() => empty.page.locator('.state').innerText()).toContain('Analyze Prompt');
    const stale = await open({ stale: true });
    await expect.poll(() => stale.page.locator('.notice').innerText()).toContain('changed since this run');
  });

  it('draws layers as they arrive', async () => {
    const { page } = await open({ events: 4 });
    await page.evaluate(async () => {
      const { events } = await window.harness.loaded;
      for (const [index, event] of events.entries()) if (index >= 4) window.harness.tell(index, event);
    });
    await page.getByTestId('status').filter({ hasText: '8 of 8 layers' }).waitFor();
    await shows(page, 'summary', '24 of 32 heads');
  });

  it('does without attention patterns and without a tokenizer', async () => {
    const { page } = await open({ run: 'plain' });
    await shows(page, 'sink-heatmap', 'No attention patterns in this run.');
    await shows(page, 'summary', 'no tokenizer');
    await expect
      .poll(() => page.locator('sinkscope-token-strip').getByRole('option').nth(3).innerText())
      .toBe('token·3');
  });

  it('does with one token', async () => {
    const { page } = await open({ run: 'one' });
    await expect.poll(() => page.locator('sinkscope-token-strip').getByRole('option').count()).toBe(1);
  });

  it('has the whole pattern of a head in sight once it is drawn, wherever that is', async () => {
    const { page } = await open({ width: 600 });
    const heads = page.locator('sinkscope-sink-heatmap .view');
    await heads.scrollIntoViewIfNeeded();
    await heads.click({ position: { x: 60, y: 60 } });
    const legend = page.locator('sinkscope-attention-pattern sinkscope-legend');
    await expect
      .poll(() => legend.evaluate((one) => innerHeight - one.getBoundingClientRect().bottom))
      .toBeGreaterThan(0);
  });

  it('shows the extra column of an explicit attention bias as the sink', async () => {
    const { page } = await open({ run: 'bias' });
    const view = page.locator('sinkscope-sink-heatmap');
    await shows(page, 'sink-heatmap', 'α of the extra column');
    await view.getByRole('button', { name: 'extra column' }).click();
    await shows(page, 'sink-heatmap', 'α of ⟨bos⟩');
  });

  it.each([241, 360, 420, 699, 1100])('fits into a width of %i', async (width) => {
    const { page } = await open({ width });
    await page.locator('sinkscope-residual-heatmap sinkscope-legend').waitFor();
    await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    const columns = await page
      .locator('main')
      .evaluate((main) => getComputedStyle(main).gridTemplateColumns.split(' '));
    expect(columns).toHaveLength(width < 700 ? 1 : 2);
  });

  it('says whole what the run is of, however narrow', async () => {
    const { page } = await open({ width: 320 });
    await page.evaluate(() => window.harness.view({ document: 'a rather long name of a notebook.ipynb · cell 12' }));
    const scope = page.locator('sinkscope-toolbar .scope');
    await expect
      .poll(() => scope.innerText())
      .toBe('a rather long name of a notebook.ipynb · cell 12 · selection · 51 tokens');
    expect(await scope.evaluate((element) => element.scrollWidth - element.clientWidth)).toBe(0);
  });

  it('has all layers of a large model in sight, heads by heads', async () => {
    const { page } = await open({ run: 'large', tokens: 64, dims: 64 });
    const scroller = page.locator('sinkscope-sink-heatmap .scroller');
    await expect.poll(() => scroller.evaluate((element) => element.clientHeight)).toBeGreaterThan(400);
    expect(await scroller.evaluate((element) => element.scrollHeight - element.clientHeight)).toBe(0);
  });

  it('repaints in the colours of another theme', async () => {
    const { page } = await open({ theme: 'dark' });
    const canvas = page.locator('sinkscope-residual-heatmap canvas.base');
    const { x, y } = await cellOf(page, 'sinkscope-residual-heatmap', 0, 7);
    const dark = brightness(await pixel(canvas, x, y));
    await page.evaluate(() => window.harness.theme('light'));
    await expect.poll(async () => brightness(await pixel(canvas, x, y))).toBeGreaterThan(dark + 200);
  });
});

describe('what the panel says', () => {
  it('selects the cell that is clicked, here and at the host', async () => {
    const { page, said } = await open();
    const { x, y } = await cellOf(page, 'sinkscope-residual-heatmap', 5, 7);
    await page.locator('sinkscope-residual-heatmap .scroller').click({ position: { x, y } });
    await expect.poll(() => said('select')).toEqual([{ type: 'select', selection: { token: 7, layer: 5 } }]);
    const selected = page.locator('sinkscope-token-strip').getByRole('option', { selected: true });
    await expect.poll(() => selected.getAttribute('data-token')).toBe('7');
    await shows(page, 'dimension-ruler', 'LAYER 5');
  });

  it('follows a selection made elsewhere', async () => {
    const { page } = await open();
    await page.evaluate(() => window.harness.select({ token: 3, layer: 4 }));
    const selected = page.locator('sinkscope-token-strip').getByRole('option', { selected: true });
    await selected.waitFor();
    await expect.poll(() => selected.innerText()).toBe('·is');
    await shows(page, 'predictions', 'after ·is (token 3)');
  });

  it('asks for the pattern of the head that is clicked, and shows it', async () => {
    const { page, said } = await open();
    const { x, y } = await cellOf(page, 'sinkscope-sink-heatmap', 4, 2);
    await page.locator('sinkscope-sink-heatmap .scroller').click({ position: { x, y } });
    await page.locator('sinkscope-attention-pattern sinkscope-grid').waitFor();
    const asked = (await said('query')).map(({ query }) => query).filter(({ type }) => type === 'pattern');
    expect(asked).toEqual([{ type: 'pattern', layer: 5, head: 2 }]);
    await shows(page, 'attention-pattern', 'LAYER 5, HEAD 2');
  });

  it.each([
    ['attention-pattern', { layer: 1, head: 0 }],
    ['predictions', { token: 3 }],
  ])('shows in place that it is asking, and that there is no answer: %s', async (view, selection) => {
    const { page } = await open({ silent: true });
    await page.evaluate((selection) => window.harness.select(selection), selection);
    await page
      .locator(`sinkscope-${view}`)
      .filter({ hasText: /computing/i })
      .waitFor();
    await expect.poll(() => page.locator(`sinkscope-${view} .problem`).count()).toBe(0);
    await page.evaluate(() => {
      const query = window.harness.messages.find(
        (message) => message.type === 'query' && message.query.type !== 'magnitudes',
      );
      const problem = { code: 'runtime' as const, message: 'The model is gone.' };
      window.harness.post({
        type: 'answer',
        id: query?.type === 'query' ? query.id : -1,
        answer: { ok: false, problem },
      });
    });
    await page.locator(`sinkscope-${view} .problem`).filter({ hasText: 'The model is gone.' }).waitFor();
  });

  it('asks for the predictions after a selected token once', async () => {
    const { page, said } = await open();
    for (const token of [5, 6, 5]) {
      await page.evaluate((token) => window.harness.select({ token }), token);
      await page
        .locator('sinkscope-predictions')
        .filter({ hasText: `token ${token})` })
        .locator('ol')
        .waitFor();
    }
    const asked = (await said('query')).map(({ query }) => query).filter(({ type }) => type === 'predictions');
    expect(asked).toEqual([
      { type: 'predictions', token: 5 },
      { type: 'predictions', token: 6 },
    ]);
  });

  it('tints the tokens by their surprisal where that is chosen, and says what the colours are', async () => {
    const { page, said } = await open();
    await page.getByTestId('tint-surprisal').click();
    await expect.poll(() => said('choose-tint')).toEqual([{ type: 'choose-tint', tint: 'surprisal' }]);
    await page.evaluate(() => window.harness.view({ tint: 'surprisal' }));
    const strip = page.locator('sinkscope-token-strip');
    await expect.poll(() => strip.locator('.token.surprisal8').count()).toBeGreaterThan(0);
    await strip.getByText('−ln p of the token, in nats').waitFor();
    await strip.locator('.token.surprisal8').first().hover();
    await strip.getByText(/surprisal \d+ nats/).waitFor();
    await strip.getByText(/expected: /).waitFor();
    expect((await said('query')).filter(({ query }) => query.type === 'surprisal')).toHaveLength(1);
  });

  it('tints the tokens by what a prediction depends on, and the prediction can be chosen', async () => {
    const { page, said } = await open();
    await page.evaluate(() => window.harness.view({ tint: 'saliency' }));
    const strip = page.locator('sinkscope-token-strip');
    await expect.poll(() => strip.locator('.token.saliency8').count()).toBe(1);
    await strip.locator('.token').nth(3).click();
    await strip.getByText(/gradient × input of the logit of .* after token 3/).waitFor();
    const predictions = page.locator('sinkscope-predictions');
    await predictions.locator('li button').nth(1).click();
    await expect.poll(() => predictions.locator('button[aria-pressed=true]').count()).toBe(1);
    const asked = async () => (await said('query')).filter(({ query }) => query.type === 'saliency');
    await expect.poll(async () => (await asked()).length).toBe(3);
    await strip.locator('.token').nth(4).click();
    await expect.poll(() => predictions.locator('button[aria-pressed=true]').count()).toBe(0);
  });

  it('stops a run', async () => {
    const { page, said } = await open({ events: 6 });
    await page.getByTestId('stop').click();
    await expect.poll(() => said('stop')).toHaveLength(1);
  });
});

it('stays within its size', () => {
  expect(gzipSync(bundled('panel.js')).length).toBeLessThan(225_000);
});
