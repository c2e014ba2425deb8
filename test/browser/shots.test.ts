/**
 * Pictures as they are kept, held against what is drawn now: those of the documentation and some views in dark and light.
 * One that changed on purpose is taken anew by `node webview/dev/shots.mjs`; of one that differs otherwise, what is drawn
 * and where it differs lie in `out/shots`.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import pixelmatch from 'pixelmatch';
import type { Browser } from 'playwright-core';
import { PNG } from 'pngjs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { launchBrowser } from '../../scripts/browser.mjs';
import { serve } from '../../webview/dev/serve.mjs';
import { root, shots, take } from '../../webview/dev/shots.mjs';

/** Of a picture's pixels, how many may differ: another processor, driver or version of the browser draws edges otherwise. */
const tolerance = 0.004;

let browser: Browser;
let server: Awaited<ReturnType<typeof serve>>;
beforeAll(async () => {
  [browser, server] = await Promise.all([launchBrowser(), serve()]);
});
afterAll(async () => {
  await browser.close();
  await server.close();
});

it.each(shots.map((shot) => [shot.file, shot] as const))('%s', async (file, shot) => {
  const bytes = await take(browser, server.address, shot);
  const [kept, drawn] = [PNG.sync.read(await readFile(join(root, file))), PNG.sync.read(bytes)];
  const folder = join(root, 'out/shots');
  await mkdir(folder, { recursive: true });
  const name = basename(file, '.png');
  const keepDrawn = () => writeFile(join(folder, `${name}.png`), bytes);
  const { width, height } = kept;
  // A line more or less is a few pixels of height: what there is of both is compared.
  if (Math.abs(drawn.width - width) > 2 || Math.abs(drawn.height - height) > 24) await keepDrawn();
  expect(Math.abs(drawn.width - width)).toBeLessThanOrEqual(2);
  expect(Math.abs(drawn.height - height)).toBeLessThanOrEqual(24);
  const size = { width: Math.min(width, drawn.width), height: Math.min(height, drawn.height) };
  const cut = (from: PNG) => {
    const to = new PNG(size);
    PNG.bitblt(from, to, 0, 0, size.width, size.height, 0, 0);
    return to;
  };
  const different = new PNG(size);
  const count = pixelmatch(cut(kept).data, cut(drawn).data, different.data, size.width, size.height, {
    threshold: 0.06,
  });
  if (count > tolerance * size.width * size.height) {
    await keepDrawn();
    await writeFile(join(folder, `${name}-different.png`), PNG.sync.write(different));
  }
  expect(count / (size.width * size.height)).toBeLessThanOrEqual(tolerance);
});

it('no picture is kept that nothing draws', async () => {
  const files = new Set(shots.map(({ file }) => file));
  for (const folder of new Set(shots.map(({ file }) => dirname(file))))
    for (const name of await readdir(join(root, folder))) expect(files).toContain(`${folder}/${name}`);
});
