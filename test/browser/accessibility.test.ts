import { describe, expect, it } from 'vitest';
import type {} from '../../webview/dev/harness.js';
import { violations } from './axe.js';
import { webview } from './browser.js';

const { open } = webview();

describe.each(['dark', 'light', 'hc-dark', 'hc-light'] as const)('in the theme %s', (theme) => {
  it('the panel with everything open is accessible', async () => {
    // A short text has every element that a long one has, and what axe looks at grows with the tokens.
    const { page } = await open({ theme, stale: true, run: 'summer' });
    await page.evaluate(() => window.harness.select({ token: 0, layer: 5, head: 2, dim: 239 }));
    await page.locator('sinkscope-attention-pattern sinkscope-grid').waitFor();
    await page.locator('sinkscope-magnitudes').scrollIntoViewIfNeeded();
    await page.locator('sinkscope-magnitudes sinkscope-surface').waitFor();
    const tables = await page.getByRole('button', { name: /^table of / }).all();
    expect(tables).toHaveLength(6);
    for (const button of tables) await button.click();
    await page.getByTestId('export').locator('summary').click();
    await expect.poll(() => violations(page)).toEqual([]);
  });

  it('the panel about a picture is accessible', async () => {
    const { page } = await open({ theme, run: 'picture' });
    await page.locator('sinkscope-picture img').waitFor();
    await page.evaluate(() => window.harness.select({ token: 4 }));
    await page.locator('sinkscope-picture').getByRole('button', { name: 'table' }).click();
    await expect.poll(() => violations(page)).toEqual([]);
  });

  it('the panel about a mixture of experts is accessible', async () => {
    const { page } = await open({ theme, run: 'experts' });
    await page.locator('sinkscope-expert-heatmap sinkscope-grid').waitFor();
    await page.locator('sinkscope-expert-heatmap').getByRole('button', { name: 'table' }).click();
    await expect.poll(() => violations(page)).toEqual([]);
  });

  it('the panel of a watched model is accessible, held against another run', async () => {
    const { page } = await open({ theme, run: 'summer', against: 'harris' });
    await page.evaluate(() => {
      window.harness.view({ pinned: 'other', watched: { name: 'mine', problem: 'It is cut off.' } });
      window.harness.select({ layer: 1 });
    });
    await page.locator('sinkscope-moved tr.selected').waitFor();
    await expect.poll(() => violations(page)).toEqual([]);
  });

  it('a saved result is accessible', async () => {
    const { page } = await open({ theme, run: 'summer', view: 'report' });
    await page.locator('sinkscope-residual-heatmap canvas').first().waitFor();
    await expect.poll(() => violations(page)).toEqual([]);
  });

  it('what went wrong is accessible', async () => {
    const { page } = await open({ theme, run: 'summer', events: 3 });
    const problem = { code: 'crashed' as const, message: 'The engine ended by itself.' };
    await page.evaluate((problem) => window.harness.tell(3, { type: 'failed', problem }), problem);
    await page.getByRole('alert').waitFor();
    await expect.poll(() => violations(page)).toEqual([]);
  });
});

it('what can be pressed is 24 pixels at least, but within a text, and no experiment makes the page wider than 320', async () => {
  const { page } = await open({ width: 320, experiments: '', run: 'summer' });
  await page.getByTestId('export').locator('summary').click();
  const small = () =>
    page.evaluate(() => {
      const found: string[] = [];
      const look = (root: ParentNode) => {
        for (const element of root.querySelectorAll('*')) {
          if (element.shadowRoot) look(element.shadowRoot);
          if (!element.matches('button, summary, select, vscode-button, vscode-dropdown')) continue;
          const { width, height } = element.getBoundingClientRect();
          const isInText = element.closest('sinkscope-summary li') !== null;
          if (width > 0 && !isInText && Math.min(width, height) < 24)
            found.push(`${element.ariaLabel ?? element.textContent} ${width} × ${height}`);
        }
      };
      look(document);
      return found;
    });
  await expect.poll(() => small()).toEqual([]);
  await page.keyboard.press('Escape');
  await page.getByTestId('page-experiments').click();
  await page.getByRole('article', { name: /^Quantisation doctor/ }).waitFor();
  await expect.poll(() => small()).toEqual([]);
  await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBe(320);
});

it('the empty and running panels are accessible', async () => {
  for (const events of [0, 2]) {
    const { page } = await open({ events });
    await expect.poll(() => violations(page)).toEqual([]);
  }
});
