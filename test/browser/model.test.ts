import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import type {} from '../../webview/dev/harness.js';
import { violations } from './axe.js';
import { webview } from './browser.js';

const { open } = webview();
const view = 'model';

/** What the page had saved, as text: the picture's two forms, and tables by their figure. */
const savedBy = (page: Page) =>
  page.evaluate(() => {
    const files = window.harness.messages.flatMap((message) => (message.type === 'save-file' ? [message] : []));
    const file = (name: string, kind: string) =>
      new TextDecoder().decode(files.find((one) => one.name === name && one.kind === kind)?.bytes);
    return {
      svg: file('anatomy', 'svg'),
      png: file('anatomy', 'png'),
      anatomy: file('anatomy', 'csv'),
      weights: file('weights', 'csv'),
    };
  });

describe.each(['dark', 'light', 'hc-dark', 'hc-light'] as const)('in the theme %s', (theme) => {
  it('a model with a run poured over it, a block and a weight chosen is accessible', async () => {
    const { page } = await open({ view, theme });
    await page.getByRole('button', { name: 'table of Anatomy' }).click();
    await page.getByRole('option', { name: /^block 3 of 8/ }).click();
    await page.locator('sinkscope-weights').getByRole('button', { name: 'blocks.2.mlp.down.weight' }).click();
    await page.getByTestId('weight').getByText('excess kurtosis').waitFor();
    await expect.poll(() => violations(page)).toEqual([]);
  });

  it('a comparison is accessible', async () => {
    const { page } = await open({ view, theme, events: 0, file: 'fp32', other: 'int4' });
    await page.getByTestId('differences').waitFor();
    await expect.poll(() => violations(page)).toEqual([]);
  });
});

it('what cannot be drawn is said, in an accessible page', async () => {
  const said = {
    graph: 'has no residual stream',
    broken: 'is truncated',
    untrusted: 'nothing of this file was read',
  } as const;
  for (const [file, words] of Object.entries(said)) {
    const { page } = await open({ view, events: 0, file: file as keyof typeof said });
    await page.getByText(words).waitFor();
    await expect.poll(() => violations(page)).toEqual([]);
  }
});

it('layers take the colour of their largest activation on the one scale, as they arrive', async () => {
  const { page } = await open({ view, events: 0 });
  const state = (layer: number) => page.locator(`#layer-${layer} .state`);
  const ground = (layer: number) => state(layer).evaluate((element) => getComputedStyle(element).backgroundColor);
  await expect.poll(() => state(2).innerText()).toBe('h_2');
  const none = await ground(2);
  await page.evaluate(async () => {
    const { events } = await window.harness.loaded;
    for (const [index, event] of events.entries()) {
      if (event.type === 'layer' && event.layer === 3) break;
      window.harness.tell(index, event);
    }
  });
  await page.locator('#layer-2 .state small').waitFor();
  // The recorded run's largest entry of h_2 is 2,213 times the median: beyond the end of the scale, as in the panel.
  await expect.poll(() => state(2).innerText()).toMatch(/2,213 ×/);
  await expect.poll(() => ground(2)).not.toBe(none);
  await expect.poll(() => ground(3)).toBe(none);
  await expect.poll(() => page.getByRole('option', { name: /^block 2 of 8: .*2,213 × the median/ }).count()).toBe(1);
});

it('the keyboard walks along the stream, and a run of the file goes along', async () => {
  const { page, said } = await open({ view });
  // What is chosen is told from where the run is there, which comes after the drawing.
  await expect.poll(() => page.locator('#layer-8 .state').innerText()).toMatch(/×/);
  await page.getByRole('listbox').focus();
  for (const key of ['Home', 'ArrowDown', 'ArrowDown']) await page.keyboard.press(key);
  await page.getByRole('heading', { name: 'Block 2', exact: true }).waitFor();
  expect((await said('select')).map(({ selection }) => selection.layer)).toEqual([0, 1, 2]);
  await page.keyboard.press('End');
  await page.getByRole('heading', { name: 'Block 8', exact: true }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('heading', { name: 'Block 8', exact: true }).waitFor({ state: 'detached' });
});

it('a text is tried with the stream that is drawn, and no other file is coloured by its run', async () => {
  const { page, said } = await open({ view, file: 'plain' });
  await page.getByTestId('text').fill('One. Two.');
  await page.keyboard.press('Enter');
  await expect
    .poll(() => said('model'))
    .toEqual([{ type: 'model', action: { do: 'try', text: 'One. Two.', stream: 'text' } }]);
  await expect.poll(() => page.locator('#layer-2 .state').innerText()).toBe('h_2');
});

it('weights are found by name and place, and read when one is chosen', async () => {
  const { page, said } = await open({ view, events: 0 });
  const rows = page.locator('sinkscope-weights tbody tr');
  await page.getByTestId('find-weight').fill('mlp_out float16');
  await expect.poll(() => rows.count()).toBe(8);
  await expect.poll(() => said('query')).toEqual([]);
  await rows.nth(1).getByRole('button').click();
  await page.getByTestId('weight').getByText('2,097,152 numbers').waitFor();
  expect((await said('query')).map(({ query }) => query)).toEqual([
    { type: 'weight', name: 'blocks.1.mlp.down.weight', of: 'file' },
  ]);
});

it('the drawing is saved as a picture with its title, the run’s colours and what they mean, and tables as CSV', async () => {
  const { page, said } = await open({ view, theme: 'dark' });
  await page.locator('#layer-8 .state small').waitFor();
  const save = async (figure: string, kind: string) => {
    await page.getByLabel(`save ${figure}`, { exact: true }).click();
    await page.getByRole('button', { name: kind }).filter({ visible: true }).click();
  };
  await save('Anatomy', 'Picture as SVG …');
  await save('Anatomy', 'Picture as PNG …');
  await save('Anatomy', 'Table as CSV …');
  await save('Weights', 'Table as CSV …');
  await expect.poll(async () => (await said('save-file')).length).toBe(4);
  const { svg, png, anatomy, weights } = await savedBy(page);
  expect(png.slice(1, 4)).toBe('PNG');
  expect(anatomy).toMatch(/\r\n2,"block 2; Attention, 4 heads of 64, pattern in the graph/);
  expect(weights).toMatch(/^name,in,part,type,shape,bytes\r\n/);
  expect(weights).toContain('blocks.2.mlp.down.weight,block 3,mlp_out,float16,"[704, 256]",360448\r\n');
  // Each state once, what the boxes say, the scale with both ends, and what file and run it is of.
  const texts = [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text]) => text);
  for (let layer = 0; layer <= 8; layer++) expect(texts.filter((text) => text === `h_${layer}`)).toHaveLength(1);
  for (const words of [
    'Anatomy of llama/model.onnx',
    'Attention',
    'float16',
    '2,213 ×',
    '≥ 1,000 ×',
    'output head: logits',
  ])
    expect(texts).toContain(words);
  for (const words of ['÷ the layer’s median', 'parameters: 8,524,064', 'opset: 17', 'BOS on'])
    expect(svg).toContain(words);
  // Dark as the page is, the picture is for paper.
  expect(svg).toMatch(/<rect x="0" y="0" width="\d+" height="\d+" fill="(#ffffff|rgb\(255, 255, 255\))"\/>/);
});

it('two files are one picture, with equal blocks at one height', async () => {
  const { page, said } = await open({ view, events: 0, file: 'llama', other: 'int4' });
  await page.getByLabel('save Anatomy', { exact: true }).click();
  await page.getByRole('button', { name: 'Picture as SVG …' }).filter({ visible: true }).click();
  await expect.poll(async () => (await said('save-file')).length).toBe(1);
  const { svg } = await savedBy(page);
  expect(svg).toContain('Anatomy of llama/model.onnx and int4/model.onnx');
  expect(svg).toContain('>blocks that are not the same in both<');
  for (let layer = 0; layer <= 3; layer++) {
    const heights = [...svg.matchAll(new RegExp(`y="([\\d.]+)"[^>]*>h_${layer}<`, 'g'))].map(([, y]) => y);
    expect(heights).toHaveLength(2);
    expect(heights[0]).toBe(heights[1]);
  }
});

it('fits 320 pixels', async () => {
  for (const other of [undefined, 'int4'] as const) {
    const { page } = await open({ view, width: 320, events: 0, file: 'fp32', ...(other && { other }) });
    await page.getByRole('listbox').first().waitFor();
    await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBe(320);
    if (other === undefined) continue;
    // What differs is read beside what it differs from: neither is left a letter's width.
    const cells = page.getByTestId('differences').locator('tbody tr').first().locator('th, td');
    const widths = await cells.evaluateAll((all) => all.map((cell) => cell.getBoundingClientRect().width));
    expect(Math.min(...widths)).toBeGreaterThan(80);
    // And what a box is called is a word in the narrowest side bar too.
    await page.setViewportSize({ width: 241, height: 700 });
    const lines = page.locator('sinkscope-blocks .branch b');
    await expect
      .poll(() => lines.evaluateAll((all) => Math.max(...all.map((one) => one.getClientRects().length))))
      .toBe(1);
  }
});
