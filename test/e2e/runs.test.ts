/** What can happen to a run: stopped, killed, too long, hidden, reloaded. */
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { describe, expect, inject } from 'vitest';
import { at } from '../support/lists.js';
import { test } from './fixtures.js';

const panelTitle = /^Sinkscope: /;
const sample = await readFile('media/sample.md', 'utf8');

/** The process that runs the model, found by its script, once those of windows closed before have ended. */
async function engineProcess(): Promise<number> {
  const engines = () => {
    const lines = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' }).split('\n');
    return lines.filter((line) => line.includes(inject('extensions')) && line.includes('engine.js'));
  };
  await expect.poll(engines).toHaveLength(1);
  return Number.parseInt(at(engines(), 0), 10);
}

describe('a run', () => {
  test('is ended by Stop at once, and the next one works', async ({ enter }) => {
    const window = await enter({ files: { 'sample.md': sample } });
    await window.openFile('sample.md');
    const panel = await window.analyze();

    // A process that stands still makes a run that lasts until it is stopped.
    process.kill(await engineProcess(), 'SIGSTOP');
    await panel.again.click();
    await panel.stop.click();
    await panel.stop.waitFor({ state: 'hidden' });

    await panel.again.click();
    await panel.finished();
    expect(await panel.summary.textContent()).toContain('239');
  });

  test('whose process is killed says so, and the next one works', async ({ enter }) => {
    const window = await enter({ files: { 'sample.md': sample } });
    await window.openFile('sample.md');
    const panel = await window.analyze();

    const engine = await engineProcess();
    process.kill(engine, 'SIGSTOP');
    await panel.again.click();
    await panel.stop.waitFor();
    process.kill(engine, 'SIGKILL');
    await expect.poll(() => panel.problem.textContent()).toMatch(/engine process ended unexpectedly/);
    await panel.again.click();
    await panel.finished();
  });

  test('of a text that is too long asks which part, and says which it was', async ({ enter }) => {
    const window = await enter({ files: { 'long.md': 'The lamp was lit and the door was shut.\n'.repeat(200) } });
    await window.openFile('long.md');
    const last = window.page.getByRole('option', { name: /^The last 512 tokens/ });
    await window.menuOf(window.lines.first(), 'Analyze Prompt', () => last);
    await last.click();
    const panel = await window.panel();
    await panel.finished();
    expect(await panel.conditions.textContent()).toMatch(/T = 512/);
    expect(await panel.conditions.textContent()).toMatch(/tokens [\d,]+–[\d,]+ of [\d,]+/);
  });

  test('is still there after the panel was hidden, closed and opened again', async ({ enter }) => {
    const window = await enter({ files: { 'sample.md': sample, 'other.md': 'Another text.\n' } });
    await window.openFile('sample.md');
    const before = await (await window.analyze()).summary.textContent();

    // Another editor in front of the panel.
    await window.tab(panelTitle).click();
    await window.openFile('other.md');
    await window.tab(panelTitle).click();
    await expect.poll(() => window.summary()).toBe(before);

    await window
      .tab('Sinkscope')
      .getByRole('button', { name: /^Close/ })
      .click();
    await window.tab(panelTitle).waitFor({ state: 'detached' });
    await window.command('Sinkscope: Show Panel');
    await expect.poll(() => window.summary()).toBe(before);
  });

  test('comes back with the window', async ({ enter }) => {
    const window = await enter({ files: { 'sample.md': sample } });
    await window.openFile('sample.md');
    const before = await (await window.analyze()).summary.textContent();
    const signs = async () => (await window.marks()).signs.join('');
    await expect.poll(signs).toMatch(/bos.*▲.*⚓/);
    await window.kept('runs', basename(window.folder));
    await window.reload();
    await expect.poll(() => window.summary()).toBe(before);
    await expect.poll(signs).toMatch(/bos.*▲.*⚓/);
  });
});
