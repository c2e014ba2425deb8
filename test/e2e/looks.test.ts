/** Pictures of an analysis in every kind of theme, wide and narrow, kept in out/screenshots to be looked at. */
import { readFile } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { test } from './fixtures.js';

const sample = await readFile('media/sample.md', 'utf8');

describe('an analysis', () => {
  test.for([
    { theme: 'Default Dark Modern', kind: 'vscode-dark', name: 'dark' },
    { theme: 'Default Light Modern', kind: 'vscode-light', name: 'light' },
    { theme: 'Default High Contrast', kind: 'vscode-high-contrast', name: 'high contrast' },
    { theme: 'Default High Contrast Light', kind: 'vscode-high-contrast-light', name: 'high contrast light' },
  ])('is drawn in a $name theme', async ({ theme, kind, name }, { open }) => {
    const window = await open({
      files: { 'sample.md': sample },
      settings: { 'workbench.colorTheme': theme },
      size: { width: 1600, height: 1000 },
    });
    await window.openFile('sample.md');
    const panel = await window.analyze();
    await panel.tokens.first().click();
    await expect.poll(() => panel.selectedToken.count()).toBe(1);
    expect(await panel.bodyClasses()).toContain(kind);
    await window.screenshot(`${name} wide`);

    await window.page.setViewportSize({ width: 800, height: 1000 });
    await expect.poll(() => panel.overflow()).toBeLessThanOrEqual(0);
    await window.screenshot(`${name} narrow`);
  });
});
