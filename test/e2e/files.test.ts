/** Files that are clicked: a model, feeds, folders and texts. */
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, inject } from 'vitest';
import { halved } from '../support/halved.js';
import { test } from './fixtures.js';
import { begun, type Panel } from './panel.js';

const demo = (name: string) => readFile(`media/models/llama/${name}`);
const model = {
  'model.onnx': await demo('model.onnx'),
  'tokenizer.json': await demo('tokenizer.json'),
  'tokenizer_config.json': await demo('tokenizer_config.json'),
  'config.json': await demo('config.json'),
};

describe('a model', () => {
  test('that is clicked is drawn, tried, weighed and compared', async ({ enter }) => {
    const window = await enter({ files: model });
    await window.inExplorer('model.onnx').click();
    const page = await window.view('model');
    await page.getByTestId('blocks').getByRole('option').first().waitFor();
    await page.getByTestId('text').fill('Summer is warm.');
    await page.getByTestId('run').click();
    await page.getByText(/most at h_\d+, [\d,.]+ × the median/).waitFor();
    await page.getByLabel('save Anatomy', { exact: true }).click();
    await page.getByRole('button', { name: 'Picture as SVG …' }).filter({ visible: true }).click();
    expect(await readFile(await window.answerSaving(), 'utf8')).toContain('Anatomy of ');

    await page.getByTestId('find-weight').fill('down');
    await page.getByRole('row', { name: /blocks\.0\.mlp\.down\.weight/ }).click();
    await page
      .getByTestId('weight')
      .getByText(/numbers, standard deviation/)
      .waitFor();

    await page.getByTestId('compare').click();
    await window.pick(/^llama-bias, /);
    await page
      .getByTestId('differences')
      .getByText(/things? differs?/)
      .waitFor();
    await window.screenshot('model editor');
    await page.getByTestId('compare-end').click();
    await page.getByTestId('differences').waitFor({ state: 'detached' });
  });

  test('that is watched is analyzed again when its file changes', async ({ enter }) => {
    const window = await enter({
      files: {
        ...Object.fromEntries(Object.entries(model).map(([name, bytes]) => [`mine/${name}`, bytes])),
        'a.md': 'Summer is warm.',
      },
    });
    await window.openFile('a.md');
    await window.command('Sinkscope: Refresh Models');
    await window.inExplorer('mine').click();
    await window.menuOf(window.inExplorer('model.onnx'), 'Watch This Model', ({ moved }) =>
      moved.getByText('mine is watched'),
    );
    const panel = await window.panel();
    await window.analyze();
    const file = join(window.folder, 'mine/model.onnx');
    await writeFile(file, halved(file));
    await panel.moved.getByRole('heading', { name: 'What moved', exact: true }).waitFor();
    await panel.moved.getByRole('button', { name: 'stop watching' }).click();
    await panel.moved.getByText('mine is watched').waitFor({ state: 'detached' });
  });

  test('of the Hub is looked into, downloaded and chosen', async ({ enter }) => {
    const window = await enter({ files: { 'a.md': 'Summer is warm.' } });
    await window.command('Sinkscope: Open from Hugging Face…');
    await window.answer('A model repository: owner/name', 'owner/name');
    await window.pick(/Look Inside First/);
    await window.page
      .getByRole('option', { name: /8 blocks|8 layers/ })
      .first()
      .waitFor();
    await expect(readdir(inject('hubCache')), 'nothing was downloaded yet').rejects.toThrow();
    await window.pick(/Download \d/);
    await expect.poll(() => window.status.textContent()).toMatch(/owner\/name · /);
    await window.openFile('a.md');
    const panel = await window.analyze();
    expect(await panel.conditions.textContent()).toMatch(/^owner\/name /);
  });
});

describe('from the Explorer', () => {
  test('feeds are run', async ({ enter }) => {
    const window = await enter({ files: {} });
    await copyFile('test/zoo/fixtures/llama-ts-op17-sdpa/golden.safetensors', join(window.folder, 'ids.safetensors'));
    await window.look();
    await window.menuOf(window.inExplorer('ids.safetensors'), 'Analyze with Feeds…', begun);
    const panel = await window.panel();
    await panel.finished();
    expect(await panel.conditions.textContent()).toMatch(/T = 20 · tokens as given/);
  });

  test('a folder is surveyed', async ({ enter }) => {
    const window = await enter({
      files: { 'texts/a.md': 'Summer is warm. '.repeat(40), 'texts/b.md': 'Winter is cold. '.repeat(40) },
    });
    const survey = (panel: Panel) => panel.experiment('Survey of a corpus · llama');
    await window.menuOf(window.inExplorer('texts'), 'Survey This Folder', survey);
    await survey(await window.panel())
      .getByText(/dim 239/)
      .first()
      .waitFor();
  });

  test('files are compared', async ({ enter }) => {
    const window = await enter({ files: { 'a.md': 'Summer is warm.', 'b.md': 'Winter is cold.' } });
    // A file that is opened is selected alone, and a moment later: it is open before two are.
    await window.openFile('a.md');
    await expect
      .poll(async () => {
        await window.inExplorer('a.md').click();
        await window.inExplorer('b.md').click({ modifiers: ['ControlOrMeta'] });
        return window.inExplorer('a.md').getAttribute('aria-selected');
      })
      .toBe('true');
    const comparison = (panel: Panel) => panel.experiment('Compare models or texts');
    await window.menuOf(window.inExplorer('b.md'), 'Compare These Texts', comparison);
    const compared = comparison(await window.panel());
    await compared.getByText(/a\.md/).first().waitFor();
    await compared.getByText(/b\.md/).first().waitFor();
  });
});
