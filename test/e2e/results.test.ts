/** What becomes of a run: pinned, named, found again, deleted, and files for others. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect } from 'vitest';
import { test } from './fixtures.js';

const sample = await readFile('media/sample.md', 'utf8');

describe('a run that stays', () => {
  test('is pinned, and another is held against it', async ({ enter }) => {
    const window = await enter({ files: { 'sample.md': sample } });
    await window.openFile('sample.md');
    const panel = await window.analyze();
    await panel.pin.click();
    await panel.moved.getByText('This run is pinned').waitFor();
    await panel.choose('bos', /off/);
    await panel.moved
      .getByText(/went: dim 239 on/)
      .first()
      .waitFor();
    await window.screenshot('what moved');
    await panel.moved.getByRole('button', { name: 'unpin' }).click();
    await panel.moved.getByText('Pinned: ').waitFor({ state: 'detached' });
  });

  test('is named, searched, pinned and deleted in the side bar', async ({ enter }) => {
    const window = await enter({ files: { 'a.md': 'Summer is warm.', 'b.md': 'Winter is cold.' } });
    await window.openFile('a.md');
    await window.analyze();
    await window.openFile('b.md');
    await window.analyze();
    await window.page.getByRole('tab', { name: 'Sinkscope', exact: true }).click();
    await window.menuOf(window.inSideBar(/^a\.md/), 'Name Run…');
    await window.answer('A run with a name stays', 'The warm one');
    const named = window.inSideBar(/^The warm one, /);
    await named.waitFor();

    // By its text, which its line does not say.
    await window.command('Sinkscope: Open Earlier Run…');
    await window.pick(/The warm one/, 'Summer');
    const panel = await window.panel();
    await expect.poll(async () => (await panel.tokens.allTextContents()).join('')).toContain('Summer');

    await window.menuOf(window.inSideBar(/^b\.md/), 'Pin Run, to Hold Others Against It');
    await window.inSideBar(/^b\.md, pinned/).waitFor();
    await panel.moved.getByText('Pinned: ').waitFor();
    await window.menuOf(named, 'Delete Run');
    await named.waitFor({ state: 'detached' });
    await window.inSideBar(/^b\.md, pinned/).waitFor();

    // All at once, with what was pinned, goes only after a question.
    await window.command('Sinkscope: Clear History');
    await window.page.locator('.monaco-dialog-box').getByRole('button', { name: 'Delete' }).click();
    await window.inSideBar(/^b\.md/).waitFor({ state: 'detached' });
  });

  test('is saved as a result that opens by a double click, without the model', async ({ enter }) => {
    const window = await enter({ files: { 'sample.md': sample } });
    await window.openFile('sample.md');
    const panel = await window.analyze();
    const summary = await panel.summary.textContent();
    await panel.export('Result, to open anywhere …');
    const file = basename(await window.answerSaving());
    expect(file).toMatch(/\.sinkscope\.json$/);
    await window.look();
    await window.inExplorer(file).dblclick();
    const saved = await window.view('report');
    await saved.locator('sinkscope-summary ul').waitFor();
    expect(await saved.locator('sinkscope-summary ul').textContent()).toBe(summary);
    await window.screenshot('saved result');
  });

  test('is exported as a report, Markdown, a picture and a table', async ({ enter }) => {
    const window = await enter({ files: { 'sample.md': sample } });
    await window.openFile('sample.md');
    const panel = await window.analyze();
    await panel.export('Report as one HTML file …');
    const report = await window.answerSaving();
    await panel.export('Copy as Markdown');
    await expect
      .poll(() => window.page.evaluate(() => navigator.clipboard.readText()))
      .toMatch(/massive dimension.*239.*\| *layer/is);
    await panel.save('Layer profile', 'Picture as SVG …');
    const picture = await window.answerSaving();
    await expect.poll(() => readFile(picture, 'utf8')).toMatch(/^<svg.*llama.*<\/svg>\s*$/s);
    await panel.save('Massive activations', 'Table as CSV …');
    const table = await window.answerSaving();
    await expect.poll(() => readFile(table, 'utf8')).toMatch(/\b239\b/);

    // Nobody's network is needed to read it.
    const reader = await window.page.context().newPage();
    await reader.route('http*://**', (route) => route.abort());
    await reader.goto(pathToFileURL(report).href);
    await reader.locator('sinkscope-summary ul').waitFor();
    expect(await reader.locator('sinkscope-summary ul').textContent()).toBe(await panel.summary.textContent());
    await reader.close();
  });
});
