/** The first minutes: the walkthrough, from its first click; and an experiment that is stopped and keeps what it had. */
import { describe, expect } from 'vitest';
import { test } from './fixtures.js';

describe('the walkthrough', () => {
  test('is read, and its first click shows the sample', async ({ enter }) => {
    const window = await enter({ files: {} });
    await window.command('Welcome: Open Walkthrough...');
    await window.pick(/^Look Inside a Transformer/);
    const page = window.page.locator('.gettingStartedContainer');
    await page.getByText('Analyze a prompt').first().click();
    await page.getByRole('button', { name: 'Try the Sample' }).click();
    const panel = await window.panel();
    await panel.finished();
    expect(await panel.summary.textContent()).toContain('239');
  });
});

describe('an experiment', () => {
  test('that is stopped keeps what it had', async ({ enter }) => {
    const window = await enter({ files: { 'long.md': 'The lamp was lit and the door was shut. '.repeat(4_000) } });
    await window.openFile('long.md');
    await window.command('Sinkscope: Show Panel');
    const panel = await window.panel();
    await panel.showExperiments();
    await panel.chooseExperiment('Perplexity');
    await panel.fill('Sequences', '2000');
    await panel.runExperiment.click();
    const survey = panel.experiment('Survey of a corpus · llama');
    // There is a part of it.
    await survey
      .getByText(/dim 239/)
      .first()
      .waitFor();
    await panel.stopExperiment.click();
    await survey
      .getByText(/stopped/i)
      .first()
      .waitFor();
    expect(await survey.getByText(/dim 239/).count()).toBeGreaterThan(0);
  });

  test('compares the heads of two files that are chosen in its form', async ({ enter }) => {
    const files = { 'summer.md': 'Summer is warm. '.repeat(60), 'code.md': 'for (const x of xs) f(x);\n'.repeat(60) };
    const window = await enter({ files });
    await window.openFile('summer.md');
    await window.command('Sinkscope: Show Panel');
    const panel = await window.panel();
    await panel.showExperiments();
    await panel.chooseExperiment('Heads by domain');
    await panel.chooseFile('Corpus');
    await window.answerDialog(`${window.folder}/summer.md`);
    await panel.chooseFile('Other corpus');
    await window.answerDialog(`${window.folder}/code.md`);
    await panel.fill('Sequences', '2');
    await panel.fill('Length (tokens)', '16');
    await panel.runExperiment.click();
    const heads = panel.experiment('Heads by domain · llama');
    await heads.getByText(/of its attention is on the sink on summer\.md/).waitFor();
  });
});
