import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import type {} from '../../webview/dev/harness.js';
import { at } from '../support/lists.js';
import { violations } from './axe.js';
import { type Options, webview } from './browser.js';

const { open } = webview();

/** The page of the experiments with what was recorded of them. */
async function openExperiments(options: Options = {}) {
  const opened = await open({ run: 'summer', experiments: '', ...options });
  await opened.page.getByTestId('page-experiments').click();
  await opened.page.getByTestId('experiment').waitFor();
  return opened;
}

const running = { number: 99, experiment: 'perplexity', title: 'Perplexity · llama', status: 'running' } as const;
const tell = (page: Page, part: object) =>
  page.evaluate(
    (run) => {
      window.harness.post({ type: 'experiments', message: { kind: 'run', run } });
    },
    { ...running, ...part },
  );

describe('the form', () => {
  it('asks for what the experiment needs and leaves the rest to the defaults', async () => {
    const { page, said } = await openExperiments();
    await page.getByTestId('experiment').selectOption('perplexity');
    await expect.poll(() => page.locator('#note-window').innerText()).toBe('unless given: 256');
    await page.locator('input[name=tokens]').fill('2048');
    await page.getByTestId('text-text').click();
    await page.getByTestId('run-experiment').click();
    expect((await said('experiment')).map(({ action }) => action)).toEqual([
      { do: 'choose-text', experiment: 'perplexity', input: 'text' },
      { do: 'run', experiment: 'perplexity', values: { tokens: 2048 } },
    ]);
  });

  it('says on a button alone which book is meant', async () => {
    const { page } = await openExperiments();
    await page.getByTestId('experiment').selectOption('doctor');
    await expect.poll(() => page.locator('#note-aim').innerText()).toBe('unless given: a quarter of what it is');
    expect(await page.getByTestId('text-calibration').innerText()).toBe('pit-and-pendulum.md');
    expect(await page.locator('#note-calibration').count()).toBe(0);
  });

  it('offers the bundled models to be compared', async () => {
    const { page, said } = await openExperiments();
    await page.getByTestId('experiment').selectOption('compare');
    await page.getByRole('checkbox', { name: 'llama-sink' }).uncheck();
    await page.getByTestId('run-experiment').click();
    const { action } = at(await said('experiment'), 0);
    const models = ['llama', 'llama-plain', 'llama-bias'].map((name) => `models/${name}/model.onnx`);
    expect(action).toEqual({ do: 'run', experiment: 'compare', values: { models } });
  });

  it('picks no model by what its place is called, and sends what is switched on', async () => {
    const { page, said } = await openExperiments();
    await page.evaluate(() => {
      const models = [{ file: 'mine.onnx', name: 'bundled', origin: 'workspace' as const }];
      window.harness.view({ models });
    });
    await page.getByTestId('experiment').selectOption('compare');
    await page.getByRole('checkbox', { name: 'bundled', checked: false }).waitFor();
    await page.getByTestId('experiment').selectOption('lens');
    await page.getByRole('checkbox', { name: 'Between attention and MLP too' }).check();
    await page.getByTestId('run-experiment').click();
    const { action } = at(await said('experiment'), 0);
    expect(action).toEqual({ do: 'run', experiment: 'lens', values: { mid: true } });
  });

  it('offers what is selected where the experiment takes some of it', async () => {
    const { page } = await openExperiments();
    const take = page.getByRole('button', { name: 'Take token 3', exact: true });
    await page.evaluate(() => window.harness.select({ token: 3, layer: 2, head: 1 }));
    await page.getByTestId('experiment').selectOption('lens');
    await take.click();
    await expect.poll(() => page.locator('input[name=token]').inputValue()).toBe('3');
    await page.getByTestId('experiment').selectOption('perplexity');
    await expect.poll(() => take.count()).toBe(0);
  });

  it('says what is not needed with what is chosen', async () => {
    const { page } = await openExperiments();
    await page.getByTestId('experiment').selectOption('intervene');
    const note = page.locator('#note-amount');
    await expect.poll(() => note.innerText()).toBe('not needed with what is chosen');
    await page.locator('select[name=set]').selectOption('scale');
    await expect.poll(() => note.innerText()).toMatch(/^to be given: /);
  });

  it('runs nothing while something is missing, says what at its field, and goes there', async () => {
    const { page, said } = await openExperiments();
    await page.getByTestId('experiment').selectOption('compare-quantised');
    await expect.poll(() => page.locator('#note-quantised').innerText()).toBe('to be given: the file made from it');
    await page.getByTestId('run-experiment').click();
    const field = page.locator('select[name=quantised]');
    await expect.poll(() => field.evaluate((one) => one.matches(':focus'))).toBe(true);
    await expect.poll(() => page.locator('#note-quantised').innerText()).toBe('Choose a model.');
    await expect.poll(() => said('experiment')).toEqual([]);
    await field.selectOption({ index: 1 });
    await page.getByTestId('run-experiment').click();
    expect((await said('experiment')).map(({ action }) => action.do)).toEqual(['run']);
  });

  it('runs nothing with a value that does not fit, a window longer than the chosen model takes among them', async () => {
    const { page, said } = await openExperiments();
    await page.getByTestId('experiment').selectOption('perplexity');
    const window_ = page.locator('input[name=window]');
    const note = page.locator('#note-window');
    await page.evaluate(() => window.harness.view({ context: 512 }));
    await window_.fill('99999');
    await page.getByTestId('run-experiment').click();
    await expect.poll(() => window_.evaluate((one) => one.matches(':focus'))).toBe(true);
    await expect.poll(() => note.innerText()).toBe('It is a whole number of tokens, from 2 to 512.');
    expect(await window_.getAttribute('aria-invalid')).toBe('true');
    expect(await said('experiment')).toEqual([]);
    // A model that takes fewer than are meant elsewhere is asked for what it takes.
    await page.evaluate(() => window.harness.view({ context: 128 }));
    await window_.fill('');
    await window_.press('Tab');
    await expect.poll(() => note.innerText()).toBe('unless given: 128');
    await page.getByTestId('run-experiment').click();
    await expect
      .poll(async () => (await said('experiment')).map(({ action }) => action))
      .toEqual([{ do: 'run', experiment: 'perplexity', values: { window: 128 } }]);
  });

  it('offers experiments by what they answer', async () => {
    const { page } = await openExperiments();
    const group = page.getByTestId('experiment').locator('optgroup').first();
    await expect.poll(() => group.getAttribute('label')).toBe('What is massive?');
    await expect.poll(() => group.locator('option').first().innerText()).toContain('Survey');
  });

  it('takes an entry that is selected in the run', async () => {
    const { page, said } = await openExperiments();
    await page.evaluate(() => window.harness.select({ token: 0, layer: 2, dim: 239 }));
    await page.getByTestId('experiment').selectOption('intervene');
    await page.getByRole('button', { name: 'Take token 0, dim 239, layer 2' }).click();
    await page.getByTestId('run-experiment').click();
    const { action } = at(await said('experiment'), 0);
    expect(action).toEqual({
      do: 'run',
      experiment: 'intervene',
      values: { tokens: '0', dims: '239', block: '2' },
    });
  });
});

describe('a run', () => {
  it('is turned to when it begins, tells how far it is, and can be stopped', async () => {
    const { page, said } = await open({ run: 'summer', experiments: '' });
    await tell(page, { progress: { done: 2, of: 8, text: 'window 2 of 8 · perplexity 63.23' } });
    const run = page.getByTestId('experiment-run').first();
    await run.getByText('window 2 of 8 · perplexity 63.23').waitFor();
    await page.getByTestId('stop-experiment').click();
    expect((await said('experiment')).map(({ action }) => action)).toEqual([{ do: 'stop' }]);
  });

  it('that was stopped keeps what it had, and says how far it was', async () => {
    const { page } = await openExperiments({ experiments: 'perplexity' });
    const recorded = page.getByTestId('experiment-run');
    await recorded.getByText('Running perplexity').waitFor();
    const presentation = await page.evaluate(async () => {
      const { runs } = await (await fetch('runs/experiments.json')).json();
      return runs.find((run: { experiment: string }) => run.experiment === 'perplexity').presentation;
    });
    await tell(page, {
      status: 'failed',
      problem: { code: 'cancelled', message: 'The analysis was stopped.' },
      progress: { done: 2, of: 16, text: 'window 2 of 16' },
      presentation,
    });
    const stopped = recorded.filter({ hasText: 'stopped at window 2 of 16' });
    await stopped.getByText('Running perplexity').waitFor();
    await stopped.locator('.plot svg').waitFor();
    expect(await stopped.getByRole('button', { name: /as Markdown$/ }).count()).toBe(1);
    expect(await page.getByRole('alert').count()).toBe(0);
  });

  it('tells which heads are dormant on one corpus and active on another', async () => {
    const { page } = await openExperiments({ experiments: 'domains' });
    const run = page.getByTestId('experiment-run');
    await run.getByText('on three-men-in-a-boat.md, 57.4 % on pit-and-pendulum.md').waitFor();
    // Of heads of two corpora, one heatmap for each.
    await expect.poll(() => run.locator('sinkscope-grid').count()).toBeGreaterThan(1);
  });

  it('calls each line of a logarithmic axis', async () => {
    const { page } = await openExperiments({ experiments: 'outliers' });
    const plot = page.getByTestId('experiment-run').locator('sinkscope-chart .plot').first();
    await plot.locator('svg').waitFor();
    const marks = (name: string) => plot.locator(`[aria-label="${name}"] > *`);
    expect(await marks('y-axis tick label').allTextContents()).toEqual(['1 %', '2 %', '5 %', '10 %', '20 %', '50 %']);
    expect(await marks('y-grid').count()).toBe(6);
  });

  it('says what went wrong where its result would be', async () => {
    const { page } = await openExperiments();
    await tell(page, { status: 'failed', problem: { code: 'input', message: 'The text has 3 tokens.' } });
    await expect.poll(() => page.getByRole('alert').innerText()).toBe('The text has 3 tokens.');
    await tell(page, { status: 'failed', problem: { code: 'cancelled', message: 'The analysis was stopped.' } });
    await page.getByText('stopped', { exact: true }).waitFor();
    await expect.poll(() => page.getByRole('alert').count()).toBe(0);
  });

  it('shows its sentence, its settings, and a table behind every picture', async () => {
    const { page } = await openExperiments({ experiments: 'interventions' });
    const run = page.getByTestId('experiment-run');
    await run.getByText('Setting one entry of h_2 to zero multiplies perplexity by 2.07').waitFor();
    await run.getByText('BOS on (token 0)').waitFor();
    const bars = run.locator('sinkscope-figure').filter({ hasText: 'Perplexity by variant' });
    await expect.poll(() => bars.locator('sinkscope-chart .plot').textContent()).toContain('60.37');
    await bars.getByRole('button', { name: 'table' }).click();
    const rows = await bars.locator('tbody tr').allInnerTexts();
    expect(rows[1]).toMatch(/^zero\t60\.37\t/);
  });

  it('is saved as JSON, its tables as CSV, its pictures as PNG, and can be closed', async () => {
    const { page, said } = await openExperiments({ experiments: 'lens' });
    const run = page.getByTestId('experiment-run');
    await run.getByRole('button', { name: /as JSON$/ }).click();
    for (const menu of await run.locator('sinkscope-figure details').all()) {
      for (const kind of ['PNG', 'CSV']) {
        await menu.locator('summary').click();
        // What is a table alone has no picture.
        const item = menu.getByRole('button', { name: kind });
        if ((await item.count()) > 0) await item.click();
        else await menu.locator('summary').click();
      }
    }
    // Two pictures, and all four tables.
    await expect.poll(async () => (await said('save-file')).length).toBe(6);
    await run.getByRole('button', { name: 'copy Logit lens' }).click();
    expect((await said('copy'))[0]?.text).toMatch(/^### Logit lens/);
    await run.getByRole('button', { name: 'Close Logit lens' }).click();
    expect((await said('experiment')).map(({ action }) => action)).toMatchObject([
      { do: 'save-json' },
      { do: 'close' },
    ]);
    const starts = await page.evaluate(() =>
      window.harness.messages.flatMap((message) =>
        message.type === 'save-file' && message.kind === 'png'
          ? [String.fromCharCode(...message.bytes.slice(1, 4))]
          : [],
      ),
    );
    expect(starts).toEqual(['PNG', 'PNG']);
  });

  it('is saved as its own file, where it has one', async () => {
    const { page, said } = await openExperiments({ experiments: 'doctor' });
    const run = page.getByTestId('experiment-run');
    await run.getByTitle('write the list of nodes to exclude as JSON, in the forms that quantisers take').click();
    expect((await said('experiment')).map(({ action }) => action)).toMatchObject([{ do: 'save-file' }]);
    const other = await openExperiments({ experiments: 'lens' });
    await expect.poll(() => other.page.getByTestId('experiment-run').getByTestId('save-file').count()).toBe(0);
  });

  it('leads from a block to its layer, where the run is of the same model', async () => {
    const { page, said } = await openExperiments({ experiments: 'doctor' });
    await page.getByRole('button', { name: 'block 2', exact: true }).click();
    await expect.poll(() => said('select')).toEqual([{ type: 'select', selection: { layer: 2 } }]);
    await expect.poll(() => page.getByTestId('page-analysis').getAttribute('aria-current')).toBe('page');

    const other = await openExperiments({ experiments: 'doctor', run: 'bias' });
    const block = other.page.getByRole('button', { name: 'block 2', exact: true });
    await block.click();
    await expect.poll(() => block.getAttribute('aria-pressed')).toBe('true');
    await expect.poll(() => other.page.getByTestId('page-experiments').getAttribute('aria-current')).toBe('page');
  });

  it('draws bars beside the numbers of blocks, and says what shades are of', async () => {
    const { page } = await openExperiments({ experiments: 'doctor' });
    const table = page.locator('sinkscope-figure').filter({ hasText: 'Block by block' }).first();
    const row = table.locator('tbody tr').filter({ hasText: 'block 2' });
    const widths = await row.locator('.bar > i').evaluateAll((bars) => bars.map((bar) => bar.clientWidth));
    // The ratio of noise twice, and what is left with the block restored.
    expect(widths).toHaveLength(3);
    expect(Math.max(...widths)).toBeGreaterThan(20);
    // For who does not see them, in words.
    await expect.poll(() => row.innerText()).toMatch(/mlp_out \/blocks\.1\/mlp\/down\/MatMul 8\d(\.\d)? %/);
  });

  it('gives its list to the clipboard', async () => {
    const { page, said } = await openExperiments({ experiments: 'doctor' });
    await page
      .getByTestId('experiment-run')
      .getByRole('button', { name: /^Copy (?!.*Markdown)/ })
      .click();
    expect(at(await said('copy'), 0).text).toMatch(/\S/);
  });

  it('paints what grew otherwise than what shrank', async () => {
    const { page } = await openExperiments({ experiments: 'intervene' });
    const grid = page.locator('sinkscope-grid').first();
    const colors = await grid.evaluate((element) => {
      const { cells, theme } = element as unknown as {
        cells: { shades: Float32Array };
        theme: { ramps: { difference: { tones: { color: string }[] } } };
      };
      const at = (shade: number) => theme.ramps.difference.tones[Math.round(shade * 255)]?.color;
      return { shades: [Math.min(...cells.shades), Math.max(...cells.shades)], ends: [at(0), at(0.5), at(1)] };
    });
    // The massive token shrinks most, so zero is the middle of the ramp.
    expect(colors.shades[0]).toBeCloseTo(0, 5);
    expect(new Set(colors.ends).size).toBe(3);
  });
});

describe.each(['dark', 'light', 'hc-dark', 'hc-light'] as const)('in the theme %s', (theme) => {
  // Bars; lines; heatmaps; words and strips.
  it.each(['interventions', 'outliers', 'streaming', 'doctor'])(
    '%s is accessible, tables open',
    async (experiments) => {
      const { page } = await openExperiments({ theme, experiments });
      await page.locator('sinkscope-figure').first().waitFor();
      const tables = await page.getByRole('button', { name: /^table of / }).all();
      expect(tables.length).toBeGreaterThan(0);
      for (const button of tables) await button.click();
      await expect.poll(() => violations(page)).toEqual([]);
    },
  );
});

it('has its heatmap of words in print as it is on screen: each cell says its word, in bands that a page holds', async () => {
  const { page, said } = await openExperiments({ experiments: 'lens' });
  const figure = page.locator('sinkscope-figure').first();
  await figure.locator('summary').click();
  await figure.getByRole('button', { name: 'Picture as SVG …' }).click();
  await expect.poll(async () => (await said('save-file')).length).toBe(1);
  const svg = await page.evaluate(() =>
    window.harness.messages
      .flatMap((message) => (message.type === 'save-file' ? [new TextDecoder().decode(message.bytes)] : []))
      .join(''),
  );
  const [, width] = /^<svg [^>]*width="(\d+)"/.exec(svg) ?? [];
  expect(Number(width)).toBeLessThan(1200);
  // What layer 8 makes of the first and of the last token but four, and the column that each stands in.
  for (const words of ['>#<', '>·burni…<', '>⟨bos⟩<', '>·another<', '>layers down, tokens across'])
    expect(svg).toContain(words.replace('>layer', 'layer'));
});

it('has whole names beside bars in a narrow panel, words at the left and digits below one another', async () => {
  const { page } = await openExperiments({ experiments: 'streaming', width: 320 });
  const plots = page.locator('sinkscope-chart svg');
  await expect.poll(() => plots.count()).toBe(2);
  const beyond = () =>
    plots.evaluateAll((all) =>
      all.flatMap((plot) => {
        const { left } = plot.getBoundingClientRect();
        const names = [...plot.querySelectorAll('text')];
        return names.filter((name) => name.getBoundingClientRect().left < left - 1).map((name) => name.textContent);
      }),
    );
  await expect.poll(beyond).toEqual([]);
  await page.evaluate(async () => {
    const { runs } = await (await fetch('runs/experiments.json')).json();
    const shown = runs.filter((run: { experiment: string }) => ['doctor', 'cancelling'].includes(run.experiment));
    window.harness.post({ type: 'experiments', message: { kind: 'runs', runs: shown } });
  });
  const part = page
    .locator('sinkscope-figure')
    .filter({ hasText: 'What is added, by part' })
    .locator('tbody td')
    .first();
  await expect.poll(() => part.innerText()).toBe('attention');
  expect(await part.evaluate((cell) => getComputedStyle(cell).textAlign)).toBe('left');
  const lost = page.locator('sinkscope-figure').filter({ hasText: 'Block by block' }).locator('tbody tr');
  await expect.poll(() => lost.nth(4).locator('td').nth(2).innerText()).toBe('0.310');
});

it('keeps within a narrow panel', async () => {
  const { page } = await openExperiments({ width: 420 });
  await page.locator('sinkscope-chart svg').first().waitFor();
  await expect
    .poll(() => page.evaluate(() => document.documentElement.scrollWidth - innerWidth))
    .toBeLessThanOrEqual(0);
});
