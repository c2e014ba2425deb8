/** A report as it was written: opened from the disk, by a browser that would tell of any request. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { launchBrowser } from '../../scripts/browser.mjs';
import { type Analysis, emptyAnalysis, fold } from '../../src/analysis/analysis.js';
import type { ExperimentRun } from '../../src/protocol.js';
import { contentsOf, type Reported } from '../../src/report/contents.js';
import { reportPage } from '../../src/report/page.js';
import { type Run, recorded, synthetic } from '../../webview/dev/runs.js';
import { serve } from '../../webview/dev/serve.mjs';
import type { Grid } from '../../webview/grid.js';
import { inFiles as names } from '../support/hostile.js';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const runs = new URL('../../webview/dev/runs/', import.meta.url);

let browser: Browser;
let assets: { readonly style: string; readonly host: string; readonly panel: string };
let folder: string;
const contexts: BrowserContext[] = [];
const wrong: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sinkscope-report-'));
  const server = await serve();
  const text = (name: string) => Buffer.from(server.bundled.get(name) ?? []).toString();
  assets = { style: text('panel.css'), host: text('report.js'), panel: text('panel.js') };
  await server.close();
  browser = await launchBrowser();
});

afterAll(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
  expect(wrong).toEqual([]);
});

const folded = ({ events }: Run): Analysis => events.reduce(fold, emptyAnalysis);

const pageOf = (reported: Reported, title = 'notes.md') =>
  reportPage(contentsOf(reported), assets, { title, sentence: title, nonce: 'c2lua3Njb3BlLW5vbmNlLTI0' });

async function open(html: string, options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
  const file = join(folder, `${contexts.length}.html`);
  await writeFile(file, html);
  const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, ...options });
  contexts.push(context);
  const page = await context.newPage();
  page.setDefaultTimeout(90_000);
  page.on('pageerror', (error) => wrong.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') wrong.push(message.text());
  });
  page.on('request', (request) => {
    if (!/^(file|data|blob):/.test(request.url())) wrong.push(`asked the network for ${request.url()}`);
  });
  await page.goto(pathToFileURL(file).href);
  await page.locator('.page').waitFor();
  return page;
}

const harris = async () => recorded(await readFile(new URL('harris.json', runs), 'utf8'));

async function lens(): Promise<ExperimentRun> {
  const { runs: all }: { runs: ExperimentRun[] } = JSON.parse(
    await readFile(new URL('experiments.json', runs), 'utf8'),
  );
  const found = all.find(({ experiment }) => experiment === 'lens');
  if (!found) throw new Error('no lens was recorded');
  return found;
}

const violations = async (page: Page) => {
  await page.evaluate(axe);
  const found: { violations: { id: string; nodes: { html: string }[] }[] } = await page.evaluate('axe.run()');
  return found.violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
};

it('shows the run and its experiments, answers what was open, and says calmly of the rest that it is not there', async () => {
  const run = await harris();
  const answers = [{ query: { type: 'pattern' as const, layer: 3, head: 1 }, value: run.pattern(3, 1) }];
  const reported = { name: 'notes.md', analysis: folded(run), experiments: [await lens()], answers };
  const page = await open(pageOf({ ...reported, selection: { layer: 3, head: 1, token: 0 } }), { colorScheme: 'dark' });
  await page.getByText('1 massive dimension').waitFor();
  await page.locator('sinkscope-attention-pattern sinkscope-grid').waitFor();
  // Of another token nothing was asked before.
  await page.locator('sinkscope-token-strip').getByRole('option').nth(3).click();
  await page.locator('sinkscope-predictions').getByText('are not in this report').waitFor();
  const heads = page.locator('sinkscope-sink-heatmap');
  await heads.getByText('layers down, heads across').waitFor();
  expect(await heads.getByText('click for the pattern').count()).toBe(0);
  const position = await heads
    .locator('sinkscope-grid')
    .evaluate((grid) => (grid as Grid).middle({ row: 4, column: 2 }));
  await heads.locator('.scroller').click({ position });
  await page.locator('sinkscope-attention-pattern').getByText('The pattern is not in this report').waitFor();
  expect(await page.locator('.problem').count()).toBe(0);
  // What cannot be done there is not offered.
  for (const id of ['model', 'bos', 'again', 'settings', 'export']) expect(await page.getByTestId(id).count()).toBe(0);
  await page.getByTestId('page-experiments').click();
  await page.getByTestId('experiment-run').getByRole('heading', { name: 'Logit lens' }).waitFor();
  await expect.poll(() => page.locator('sinkscope-experiment-form').count()).toBe(0);
  await expect.poll(() => page.getByRole('button', { name: 'Close' }).count()).toBe(0);
});

it.each([
  { colorScheme: 'light', contrast: 'no-preference' },
  { colorScheme: 'dark', contrast: 'no-preference' },
  { colorScheme: 'light', contrast: 'more' },
  { colorScheme: 'dark', contrast: 'more' },
] as const)('is accessible as the system has it: $colorScheme, contrast $contrast', async (scheme) => {
  const analysis = folded(await harris());
  const page = await open(pageOf({ name: 'notes.md', analysis, experiments: [await lens()] }), scheme);
  await page.getByText('1 massive dimension').waitFor();
  const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const [red = 0] = (/\d+/.exec(ground) ?? []).map(Number);
  expect(red > 127).toBe(scheme.colorScheme === 'light');
  await page.locator('sinkscope-layer-profile details summary').click();
  await expect.poll(() => violations(page)).toEqual([]);
  await page.getByTestId('page-experiments').click();
  await expect.poll(() => violations(page)).toEqual([]);
});

it('saves its pictures and tables by itself', async () => {
  const page = await open(pageOf({ name: 'notes.md', analysis: folded(await harris()) }), { acceptDownloads: true });
  const menu = page.locator('sinkscope-layer-profile details');
  for (const [kind, name] of [
    ['SVG', 'layer-profile.svg'],
    ['CSV', 'layer-profile.csv'],
  ]) {
    await menu.locator('summary').click();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      menu.getByRole('button', { name: kind }).click(),
    ]);
    expect(download.suggestedFilename()).toBe(name);
  }
});

it('takes what strangers wrote as text, fits a narrow window, and runs nothing of it', async () => {
  const analysis = folded(await harris());
  const { started, tokens } = analysis;
  if (!started || !tokens) throw new Error('the recorded run has not begun');
  const hostile: Analysis = {
    ...analysis,
    started: { ...started, model: { ...started.model, name: names.join(' ') } },
    tokens: { ...tokens, tokens: tokens.tokens.map((token, i) => ({ ...token, text: names[i % names.length] ?? '' })) },
  };
  const name = '</title></script><script>document.title = "taken over"</script><img src=x onerror=alert(1)>';
  const page = await open(pageOf({ name, analysis: hostile }, name), { viewport: { width: 320, height: 900 } });
  await page.getByText('Repair').first().waitFor({ state: 'attached' });
  await expect.poll(() => page.title()).toBe(name);
  await expect.poll(() => page.locator('a[href], img[src="x"]').count()).toBe(0);
  await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320);
});

it('is drawn anew in a copy that a browser has saved of its page', async () => {
  const page = await open(pageOf({ name: 'notes.md', analysis: folded(await harris()) }));
  await page.getByText('1 massive dimension').waitFor();
  const saved = await page.evaluate(() => {
    const root = document.documentElement.cloneNode(true) as HTMLElement;
    // What scripts have set is refused in the copy, with a word on the console, and set again.
    for (const styled of [root, ...root.querySelectorAll('[style]')]) styled.removeAttribute('style');
    return `<!DOCTYPE html>${root.outerHTML}`;
  });
  const copy = await open(saved);
  await copy.getByText('1 massive dimension').waitFor();
  await copy.locator('sinkscope-layer-profile svg').first().waitFor();
  expect(await copy.locator('sinkscope-app').count()).toBe(1);
});

it('is light on paper, whole, and where it is on the screen', async () => {
  const page = await open(pageOf({ name: 'notes.md', analysis: folded(await harris()) }), { colorScheme: 'dark' });
  const grid = page.locator('sinkscope-grid').first();
  await grid.waitFor();
  const seen = await grid.evaluateHandle((element: Grid) => () => {
    const base = element.shadowRoot?.querySelector('canvas');
    const context = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    if (!base || !context) throw new Error('nothing is drawn');
    // The ground, right below the cells.
    context.drawImage(base, base.width - 1, base.height - 1, 1, 1, 0, 0, 1, 1);
    const [red = 0] = context.getImageData(0, 0, 1, 1).data;
    return { isLight: red > 127, width: document.body.clientWidth };
  });
  const now = () => seen.evaluate((look) => look());
  const screen = { isLight: false, width: 1100 };
  await expect.poll(now).toEqual(screen);
  const paper = seen.evaluate(
    (look) =>
      new Promise((done) => {
        matchMedia('print').addEventListener('change', () => done(look()), { once: true });
      }),
  );
  await page.pdf({ preferCSSPageSize: true });
  expect(await paper).toEqual({ isLight: true, width: 1100 });
  await expect.poll(now).toEqual(screen);
}, 60_000);

it('stays below 1.5 MB for 512 tokens of a model of 30 layers, 9 heads and 576 dims', () => {
  const analysis = folded(synthetic({ layers: 30, tokens: 512, dims: 576, heads: 9 }));
  expect(pageOf({ name: 'notes.md', analysis }).length).toBeLessThan(1_500_000);
});
