/** Pictures of an analysis in every kind of theme, wide and narrow, kept in out/screenshots to be looked at. */
import { readFile } from 'node:fs/promises';
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
});
