/** Pictures of an analysis in every kind of theme, wide and narrow, kept in out/screenshots to be looked at. */
import { readFile } from 'node:fs/promises';
import pixelmatch from 'pixelmatch';
import { PNG } from 'pngjs';
import { expect } from 'vitest';
import { test } from './fixtures.js';

const themes = [
  { theme: 'Dark Modern', kind: 'vscode-dark', name: 'dark' },
  { theme: 'Light Modern', kind: 'vscode-light', name: 'light' },
  { theme: 'Dark High Contrast', kind: 'vscode-high-contrast', name: 'high contrast' },
  { theme: 'Light High Contrast', kind: 'vscode-high-contrast-light', name: 'high contrast light' },
];
const wide = { width: 1600, height: 1000 };
const narrow = { width: 800, height: 1000 };

test('an analysis follows the theme and fits wide and narrow windows', async ({ open }) => {
  const window = await open({ files: { 'sample.md': await readFile('media/sample.md', 'utf8') }, size: wide });
  await window.openFile('sample.md');
  const panel = await window.analyze();
  await panel.tokens.first().click();
  await expect.poll(() => panel.selectedToken.count()).toBe(1);
  await window.command('View: Close Primary Side Bar');

  for (const { theme, kind, name } of themes) {
    await window.colorTheme(theme);
    await expect.poll(() => panel.bodyClasses()).toContain(kind);
    for (const [width, size] of Object.entries({ wide, narrow })) {
      await window.page.setViewportSize(size);
      await expect.poll(() => panel.overflow()).toBeLessThanOrEqual(0);
      await window.screenshot(`${name} ${width}`);
    }
  }

  // The picture on the project's first page is the first of these; `node webview/dev/shots.mjs panel` takes it over.
  const [kept, drawn] = [await coarse('media/panel.png'), await coarse('out/screenshots/dark wide.png')];
  const { width, height } = kept;
  expect([drawn.width, drawn.height]).toEqual([width, height]);
  const different = pixelmatch(kept.data, drawn.data, undefined, width, height, { threshold: 0.1 });
  expect(different / (width * height)).toBeLessThan(0.1);
});

/** A picture in squares of 20 pixels, in which letters of one font are as those of another. */
async function coarse(file: string): Promise<PNG> {
  const fine = PNG.sync.read(await readFile(file));
  const side = 20;
  const made = new PNG({ width: Math.floor(fine.width / side), height: Math.floor(fine.height / side) });
  for (let y = 0; y < made.height; y++)
    for (let x = 0; x < made.width; x++)
      for (let channel = 0; channel < 4; channel++) {
        let sum = 0;
        for (let row = 0; row < side; row++)
          for (let column = 0; column < side; column++)
            sum += fine.data[4 * ((y * side + row) * fine.width + x * side + column) + channel] ?? 0;
        made.data[4 * (y * made.width + x) + channel] = sum / side ** 2;
      }
  return made;
}
