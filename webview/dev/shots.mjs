/**
 * Every picture of the webviews that is kept: those of the documentation, and the views that a test holds to how they
 * look. `node webview/dev/shots.mjs [name …]` takes them anew, all or those named, from recorded runs;
 * `test/browser/shots.test.ts` says when one is no longer what the sources draw. `panel` is what the end-to-end test of how
 * all looks has left in `out/screenshots`, of a real VS Code, and that test says when it is old.
 *
 * Their letters come from a font of a package, so that another machine breaks lines where this one does.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ImageMagick, initializeImageMagick, MagickFormat, QuantizeSettings } from '@imagemagick/magick-wasm';
import { launchBrowser } from '../../scripts/browser.mjs';
import { serve } from './serve.mjs';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * @typedef {import('playwright-core').Page} Page
 * @typedef {object} Shot
 * @property {string} file from the project's folder
 * @property {Record<string, string>} query parameters of the page, see `harness.ts`
 * @property {number} width of the window, in CSS pixels
 * @property {(page: Page) => Promise<import('playwright-core').Locator>} find brings what is taken into sight
 * @property {number} [height] what is taller is cut off here: it is a list that one scrolls
 */

/** Experiments with a picture on their page of the documentation. */
const pictured = [
  'perplexity',
  'generate',
  'interventions',
  'intervene',
  'survey',
  'bias',
  'compare',
  'weights',
  'finetune',
  'cancelling',
  'outliers',
  'precision',
  'prefix',
  'compare-quantised',
  'doctor',
  'lens',
  'gradients',
  'streaming',
  'vision',
  'ratios',
];

/** @type {(id: string, file: string, theme: string) => Shot} */
const experiment = (id, file, theme) => ({
  file,
  query: { theme, experiments: id },
  width: 1000,
  height: 640,
  async find(page) {
    await page.getByTestId('page-experiments').click();
    const run = page.getByTestId('experiment-run').first();
    await run.locator('table, canvas, svg').first().waitFor();
    return run;
  },
});

/** @type {(file: string, theme: string) => Shot} */
const drawing = (file, theme) => ({
  file,
  query: { view: 'model', theme },
  width: 1100,
  height: 760,
  async find(page) {
    await page.getByRole('option', { name: /^block 2 of 8/ }).click();
    await page.getByTestId('layer').waitFor();
    return page.locator('.page');
  },
});

/**
 * A view of the panel.
 *
 * @type {(element: string, file: string, query: Record<string, string>, act?: (page: Page) => Promise<void>) => Shot}
 */
const view = (element, file, query, act) => ({
  file,
  query: { run: 'harris', ...query },
  width: 1000,
  height: 640,
  async find(page) {
    await page.locator('sinkscope-magnitudes sinkscope-legend').waitFor();
    await act?.(page);
    return page.locator(element);
  },
});

/** The head of the panel while it follows a text that is typed: what was kept of the run before, then what stands out. */
const live = {
  file: 'docs/pictures/live.png',
  query: { run: 'harris', theme: 'light' },
  width: 1000,
  height: 460,
  async find(page) {
    await page.locator('sinkscope-layer-profile svg').first().waitFor();
    await page.evaluate(() =>
      window.harness.view({ live: 'Live: what is shown follows the text as you type; 49 of 51 tokens were kept.' }),
    );
    await page.getByTestId('live').waitFor();
    return page.locator('.page');
  },
};

const flat = async (page) => {
  await page.getByTestId('flat').click();
  await page.locator('sinkscope-magnitudes sinkscope-grid canvas').first().waitFor();
};
const ridge = async (page) => {
  await page.getByTestId('over-layers').click();
  await page.locator('sinkscope-magnitudes').filter({ hasText: 'layer × dimension of' }).waitFor();
};

/** @type {readonly Shot[]} */
export const shots = [
  ...pictured.map((id) => experiment(id, `docs/pictures/${id}.png`, 'light')),
  drawing('docs/pictures/editor.png', 'light'),
  view('sinkscope-moved', 'docs/pictures/moved.png', { theme: 'light', against: 'summer' }),
  view('sinkscope-magnitudes', 'docs/pictures/surface.png', { theme: 'light' }),
  live,
  ...['dark', 'light'].flatMap((theme) => {
    const kept = (name) => `test/browser/looks/${name}-${theme}.png`;
    return [
      view('sinkscope-token-strip', kept('strip'), { theme }),
      view('sinkscope-residual-heatmap', kept('heatmap'), { theme }),
      view('sinkscope-magnitudes', kept('flat'), { theme }, flat),
      view('sinkscope-magnitudes', kept('ridge'), { theme }, ridge),
      experiment('doctor', kept('doctor'), theme),
      drawing(kept('drawing'), theme),
    ];
  }),
];

/** Faces of the font by the characters that each has. */
const faces = createRequire(import.meta.url)('@fontsource/roboto/unicode.json');

/**
 * @param {import('playwright-core').Browser} browser
 * @param {string} address of `serve.mjs`
 * @param {Shot} shot
 * @returns {Promise<Buffer>} PNG of the page as it stands when nothing is drawn any more
 */
export async function take(browser, address, { query, width, height = Number.POSITIVE_INFINITY, find }) {
  // So tall that nothing has to be scrolled to.
  const page = await browser.newPage({ viewport: { width, height: 3000 } });
  try {
    await page.goto(`${address}?${new URLSearchParams(query)}`);
    await page.locator('.page').waitFor();
    await page.evaluate(inFont, Object.entries(faces));
    const found = await find(page);
    await page.mouse.move(0, 0);
    await page.evaluate(settled);
    const box = await found.boundingBox();
    const clip = { ...box, height: Math.min(box.height, height) };
    return await page.screenshot({ clip, animations: 'disabled', caret: 'hide' });
  } finally {
    await page.close();
  }
}

/** In the page: everything is written in the packaged font. */
async function inFont(faces) {
  for (const [subset, unicodeRange] of faces) {
    const face = new FontFace('Pictured', `url(fonts/roboto-${subset}-400-normal.woff2)`, { unicodeRange });
    document.fonts.add(await face.load());
  }
  for (const which of ['font-family', 'editor-font-family'])
    document.documentElement.style.setProperty(`--vscode-${which}`, 'Pictured, sans-serif');
}

/** In the page: waits until what was asked for is drawn, some frames long. */
async function settled() {
  const frame = () => new Promise(requestAnimationFrame);
  await document.fonts.ready;
  for (let still = 0; still < 10; still++) await frame();
}

/** With 256 colours: a picture of a page has few more, and is a third of its size so. */
function small(png) {
  return ImageMagick.read(png, (image) => {
    const settings = new QuantizeSettings();
    settings.colors = 256;
    settings.ditherMethod = 0;
    image.quantize(settings);
    image.strip();
    return image.write(MagickFormat.Png8, (bytes) => Buffer.from(bytes));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wasm = createRequire(import.meta.url).resolve('@imagemagick/magick-wasm/magick.wasm');
  await initializeImageMagick(await readFile(wasm));
  const wanted = process.argv.slice(2);
  const keep = async (file, png) => {
    const bytes = small(png);
    await mkdir(dirname(join(root, file)), { recursive: true });
    await writeFile(join(root, file), bytes);
    console.log(`${file}: ${(bytes.length / 1000).toFixed(0)} KB`);
  };
  if (wanted.includes('panel')) await keep('media/panel.png', await readFile(join(root, 'out/screenshots/dark wide.png')));
  const isWanted = ({ file }) => wanted.length === 0 || wanted.some((name) => name !== 'panel' && file.includes(name));
  const [browser, server] = await Promise.all([launchBrowser(), serve()]);
  try {
    for (const shot of shots.filter(isWanted)) await keep(shot.file, await take(browser, server.address, shot));
  } finally {
    await browser.close();
    await server.close();
  }
}
