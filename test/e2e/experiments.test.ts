/** Experiments from the palette and from the panel, with pictures of them kept in out/screenshots. */
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { test } from './fixtures.js';

const sample = await readFile('media/sample.md', 'utf8');

test('an experiment is run from the palette, another one from the panel', async ({ enter }) => {
  const window = await enter({ files: { 'sample.md': sample }, size: { width: 1600, height: 1000 } });
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

test('models and files are chosen in the panel, and what came out is there after a reload', async ({ enter }) => {
  const window = await enter({ files: { 'sample.md': sample } });
  await cp('test/zoo/fixtures/gnn-ts-op17', join(window.folder, 'molecules'), { recursive: true });
  await window.openFile('sample.md');
  await window.command('Sinkscope: Refresh Models');
  await window.command('Sinkscope: Logit Lens');
  const panel = await window.panel();
  await panel.experiment('Logit lens · llama').getByText('Half of the 105 tokens').waitFor();

  await panel.chooseExperiment('Activation ratios of a graph transformer');
  await panel.choose('model', /^molecules/);
  await panel.pick('Untrained twin', 'molecules');
  await panel.chooseFile('Graphs');
  await window.answerDialog(join(window.folder, 'molecules', 'golden.safetensors'));
  await panel.file('Graphs', 'golden.safetensors').waitFor();
  await panel.runExperiment.click();
  const ratios = panel.experiment('Activation ratios of a graph transformer · molecules');
  await ratios.getByText('training has made no activations massive here').waitFor();
  await window.screenshot('experiment ratios');

  await window.kept('experiments', 'lens', 'ratios');
  await window.reload();
  const again = await window.panel();
  await again.showExperiments();
  await again
    .experiment('Activation ratios of a graph transformer · molecules')
    .getByText('training has made')
    .waitFor();
  await again.experiment('Logit lens · llama').getByText('Half of the 105 tokens').waitFor();
});
