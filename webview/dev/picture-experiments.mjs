/**
 * Takes the documentation's pictures of experiments from the harness:
 * `node webview/dev/picture-experiments.mjs [id …]` writes `docs/pictures/<id>.png` from `runs/experiments.json`.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { launchBrowser } from '../../scripts/browser.mjs';
import { serve } from './serve.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { runs } = JSON.parse(await readFile(`${root}/webview/dev/runs/experiments.json`, 'utf8'));
const wanted = process.argv.slice(2);
const ids = wanted.length > 0 ? wanted : runs.map(({ experiment }) => experiment);

const server = await serve();
const browser = await launchBrowser();
try {
  const page = await browser.newPage({ viewport: { width: 1000, height: 800 } });
  for (const id of ids) {
    await page.goto(`${server.address}?theme=light&experiments=${id}`);
    await page.getByTestId('page-experiments').click();
    const run = page.getByTestId('experiment-run').first();
    await run.locator('table, canvas, svg').first().waitFor();
    const { y, height } = await run.boundingBox();
    // Beyond this it is a list that one scrolls.
    const clip = { x: 0, y, width: 1000, height: Math.min(height, 640) };
    await page.screenshot({ path: `${root}/docs/pictures/${id}.png`, clip, fullPage: true });
  }
} finally {
  await browser.close();
  await server.close();
}
