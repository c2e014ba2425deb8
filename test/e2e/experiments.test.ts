/** Experiments from the palette and from the panel, with pictures of them kept in out/screenshots. */
import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { test } from './fixtures.js';

const sample = await readFile('media/sample.md', 'utf8');

test('an experiment is run from the palette, another one from the panel', async ({ open }) => {
  const window = await open({ files: { 'sample.md': sample }, size: { width: 1600, height: 1000 } });
  await window.openFile('sample.md');
  await window.command('Sinkscope: Logit Lens');
  const panel = await window.panel();
  const lens = panel.experiment('Logit lens · llama');
  await lens.getByText('Half of the 105 tokens have their final prediction').waitFor();
  await window.screenshot('experiment logit lens');

  await panel.chooseExperiment('Intervene');
  await panel.runExperiment.click();
  // What PyTorch has: 23 of 32 heads are drawn to the first token once its massive entry is zero.
  const intervene = panel.experiment('Intervene · llama');
  await intervene.getByText('71.9 % after').waitFor();
  await window.screenshot('experiment intervene');
  await intervene.getByRole('button', { name: 'Close Intervene · llama' }).click();
  await expect.poll(() => intervene.count()).toBe(0);
  expect(await lens.count()).toBe(1);
  expect(await panel.overflow()).toBeLessThanOrEqual(0);
});
