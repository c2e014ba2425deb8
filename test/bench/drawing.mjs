/**
 * What is drawn: the surface of 2,048 tokens × 4,096 dims while it is turned, a file of 4.5 GB in its editor from the click
 * to the picture, and how large a report of 512 tokens is.
 *
 * The browser is the one that tests use, without a graphics processor: WebGL 2 is computed on the processor there, and what
 * is measured of the surface is the least that anybody has. The renderer is named.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { launchBrowser } from '../../scripts/browser.mjs';
import { serve } from '../../webview/dev/serve.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const outdir = join(root, 'node_modules/.cache/sinkscope/bench');
const turns = 120;
const rounds = 5;

/** @returns {Promise<{ what: string, target: string, measured: string }[]>} */
export async function drawing() {
  const [browser, server] = await Promise.all([launchBrowser(), serve()]);
  const folder = await mkdtemp(join(tmpdir(), 'sinkscope-drawing-'));
  try {
    return [await surface(browser, server), await editor(browser, server, folder), await report(folder)];
  } finally {
    await browser.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function surface(browser, { address }) {
  const page = await browser.newPage({ viewport: { width: 1100, height: 900 } });
  await page.goto(`${address}?run=large&tokens=2048&dims=4096`);
  await page.locator('sinkscope-magnitudes').scrollIntoViewIfNeeded();
  await page.locator('sinkscope-magnitudes sinkscope-legend').waitFor({ timeout: 120_000 });
  const stage = page.locator('sinkscope-surface .stage');
  await stage.focus();
  const { frames, renderer } = await stage.evaluate(turn, turns);
  await page.close();
  const sorted = frames.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.floor(share * (sorted.length - 1))].toFixed(1);
  return {
    what: 'surface of 2,048 × 4,096 while it is turned: between two frames',
    target: '16.7 ms (60 fps)',
    measured: `median ${at(0.5)} ms, 95 % ${at(0.95)} ms, longest ${at(1)} ms (${renderer})`,
  };
}

/** In the page: milliseconds between frames while every frame turns the surface by a key. */
async function turn(stage, count) {
  const frame = () => new Promise(requestAnimationFrame);
  const press = () => stage.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));
  for (let warm = 0; warm < 20; warm++) {
    press();
    await frame();
  }
  const frames = [];
  let last = await frame();
  for (let index = 0; index < count; index++) {
    press();
    const now = await frame();
    frames.push(now - last);
    last = now;
  }
  const context = stage.querySelector('canvas.surface').getContext('webgl2');
  const named = context?.getExtension('WEBGL_debug_renderer_info');
  return { frames, renderer: named ? context.getParameter(named.UNMASKED_RENDERER_WEBGL) : 'no WebGL 2' };
}

/** The quickest of some rounds: what else the machine does only adds. */
async function editor(browser, { address }, folder) {
  const outfile = join(outdir, 'drawing.cjs');
  await build({
    absWorkingDir: root,
    stdin: {
      contents: `export { Engine } from './src/engine/host/engine.js';
        export { writeLlama } from './test/bench/models.js';`,
      resolveDir: root,
    },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    outfile,
  });
  const { Engine, writeLlama } = createRequire(import.meta.url)(outfile);
  const { file } = writeLlama(folder, 16);
  let [read, drawn, gigabytes] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0];
  for (let round = 0; round < rounds; round++) {
    // As the editor has it: a process that is started for it, and a page that is opened.
    const engine = new Engine(join(outdir, 'engine.js'));
    const started = performance.now();
    const description = await engine.describe(file);
    read = Math.min(read, performance.now() - started);
    engine.dispose();
    gigabytes = description.files.reduce((sum, { bytes }) => sum + bytes, 0) / 2 ** 30;
    const page = await browser.newPage({ viewport: { width: 1100, height: 900 } });
    await page.goto(`${address}?view=model`);
    await page.locator('.page').waitFor();
    const loaded = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0);
    const state = { file, shown: { name: 'model.onnx', about: { status: 'read', description } } };
    drawn = Math.min(drawn, loaded + (await page.evaluate(show, state)));
    await page.close();
  }
  return {
    what: `a file of ${gigabytes.toFixed(1)} GB in its editor: read and drawn, one after the other`,
    target: '500 ms',
    measured: `${(read + drawn).toFixed(0)} ms (${read.toFixed(0)} read, ${drawn.toFixed(0)} page and picture)`,
  };
}

/** In the page: milliseconds from the message to the frame that shows its blocks. */
async function show(state) {
  const frame = () => new Promise(requestAnimationFrame);
  await frame();
  const start = performance.now();
  window.harness.post({ type: 'model', state });
  while (!document.querySelector('.page')?.textContent.includes('model.onnx')) await frame();
  await frame();
  return (await frame()) - start;
}

async function report(folder) {
  const file = join(folder, 'report.html');
  const text = join(root, 'test/text/three-men-in-a-boat.md');
  const args = ['analyze', 'llama', '--file', text, '--window', 'first', '--json', '--report', file];
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'dist/cli.js'), ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  });
  if (status !== 0) throw new Error(stderr);
  const { bytes, tokens } = { bytes: (await stat(file)).size, tokens: JSON.parse(stdout).tokens.length };
  return {
    what: `report of a run of ${tokens} tokens, 8 layers × 256`,
    target: '1.5 MB at T = 512',
    measured: `${(bytes / 1e6).toFixed(2)} MB`,
  };
}
