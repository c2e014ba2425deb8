/** What leaves the panel: results, reports, pictures and the numbers behind them. */
import { PNG } from 'pngjs';
import { expect, it } from 'vitest';
import type {} from '../../webview/dev/harness.js';
import { webview } from './browser.js';

const { open } = webview();

it('saves the result, a report, pictures as SVG and PNG, and the numbers behind them', async () => {
  const { page, said } = await open();
  const menu = page.getByTestId('export');
  for (const name of ['Result', 'Report', 'Markdown']) {
    await menu.locator('summary').click();
    await menu.getByRole('button', { name }).click();
  }
  await expect.poll(() => said('save')).toEqual([{ type: 'save', what: 'json' }]);
  await expect.poll(() => said('save-report')).toHaveLength(1);
  expect((await said('copy'))[0]?.text).toMatch(/^### Analysis of notes\.md\n\n1 massive dimension: 239 on/);
  for (const [view, kind] of [
    ['layer-profile', 'PNG'],
    ['layer-profile', 'SVG'],
    ['residual-heatmap', 'SVG'],
    ['residual-heatmap', 'CSV'],
  ]) {
    const saves = page.locator(`sinkscope-${view} details`);
    await saves.locator('summary').click();
    await saves.getByRole('button', { name: kind }).click();
  }
  await expect.poll(async () => (await said('save-file')).length).toBe(4);
  const files = await page.evaluate(() =>
    window.harness.messages.flatMap((message) =>
      message.type === 'save-file'
        ? [{ of: `${message.name}.${message.kind}`, text: new TextDecoder().decode(message.bytes) }]
        : [],
    ),
  );
  const file = (of: string) => files.find((one) => one.of === of)?.text ?? '';
  expect(file('layer-profile.png').slice(1, 4)).toBe('PNG');
  // Which line is which, on which axis, of what run: nothing is left to the page that it was on.
  const profile = file('layer-profile.svg');
  for (const words of [
    'Layer profile',
    'dim 239',
    'dim 87',
    'median',
    'embed',
    'layer',
    'log scale',
    'BOS on',
    '1,000',
  ])
    expect(profile).toContain(`>${words}`.replace('>log', 'log').replace('>BOS', 'BOS'));
  const residual = file('residual-stream.svg');
  for (const words of ['10 ×', '>massive<', '>large<', 'BOS on']) expect(residual).toContain(words);
  // Dark as the page is, the picture is for paper.
  expect(residual).toMatch(/<rect x="0" y="0" width="\d+" height="\d+" fill="(#ffffff|rgb\(255, 255, 255\))"\/>/);
  const [head, first] = file('residual-stream.csv').split('\r\n');
  expect(head).toMatch(/^token,embed,1,2,/);
  expect(first?.split(',')[1]).toMatch(/^\d+\.\d{6,}$/);
});

it('puts a picture on the clipboard as PNG, for print, and has it saved where that is refused', async () => {
  const { page, said } = await open();
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  const copy = async () => {
    const menu = page.locator('sinkscope-layer-profile details');
    await menu.locator('summary').click();
    await menu.getByRole('button', { name: 'Copy picture' }).click();
  };
  const copied = () =>
    page.evaluate(async () => {
      const [item] = await navigator.clipboard.read();
      if (!item?.types.includes('image/png')) return undefined;
      return [...new Uint8Array(await (await item.getType('image/png')).arrayBuffer())];
    });
  // Awaited from before, since it goes away by itself.
  const told = page.getByRole('status').filter({ hasText: 'Picture copied.' }).waitFor();
  await copy();
  await told;
  await expect.poll(copied).toBeDefined();
  const { width, data } = PNG.sync.read(Buffer.from((await copied()) ?? []));
  expect(width).toBeGreaterThan(1200);
  // Dark as the page is, the picture is for paper.
  expect([...data.subarray(0, 4)]).toEqual([255, 255, 255, 255]);
  await expect.poll(() => said('save-file')).toEqual([]);

  await page.evaluate(() => {
    navigator.clipboard.write = () => Promise.reject(new DOMException('Refused.', 'NotAllowedError'));
  });
  await copy();
  await expect.poll(async () => (await said('save-file')).length).toBe(1);
  expect((await said('save-file'))[0]).toMatchObject({ name: 'layer-profile', kind: 'png' });
});

it('draws what is painted for print too: a surface in the colours that its legend has', async () => {
  const { page, said } = await open({ theme: 'dark', width: 600 });
  const view = page.locator('sinkscope-magnitudes');
  await view.scrollIntoViewIfNeeded();
  await view.locator('sinkscope-legend').waitFor();
  await view.locator('summary').click();
  await view.getByRole('button', { name: 'Picture as SVG …' }).click();
  await expect.poll(async () => (await said('save-file')).length).toBe(1);
  const dark = await page.evaluate(async () => {
    const saved = window.harness.messages.find((message) => message.type === 'save-file');
    const image = new Image();
    image.src = URL.createObjectURL(new Blob([saved?.bytes.slice() ?? ''], { type: 'image/svg+xml' }));
    await image.decode();
    const [width, height] = [60, 40];
    const context = new OffscreenCanvas(width, height).getContext('2d');
    context?.drawImage(image, 0, 0, width, height);
    const { data = [] } = context?.getImageData(0, 0, width, height) ?? {};
    return Array.from({ length: width * height }, (_, at) => data[4 * at] ?? 0).filter((red) => red < 100).length;
  });
  // Of 2,400 points, where a page of this theme would be dark in most.
  expect(dark).toBeLessThan(120);
});
