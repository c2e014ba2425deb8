/**
 * The panel with 48 layers × 1,024 and 2,048 tokens in a real browser: how long it draws, and how long frames take while
 * the selection moves over the whole of it.
 */
import { launchBrowser } from '../../scripts/browser.mjs';
import { serve } from '../../webview/dev/serve.mjs';

const selections = 100;

/** @returns {Promise<{ what: string, target: string, measured: string }[]>} */
export async function panel() {
  const [browser, server] = await Promise.all([launchBrowser(), serve()]);
  try {
    return [...(await measured(browser, server, 1024)), ...(await measured(browser, server, 2048))];
  } finally {
    await browser.close();
    await server.close();
  }
}

async function measured(browser, server, tokens) {
  const what = `panel, 48 × ${tokens.toLocaleString('en-US')}`;
  const page = await browser.newPage({ viewport: { width: 1100, height: 900 } });
  await page.goto(`${server.address}?run=large&tokens=${tokens}&events=0`);
  await page.locator('.state').waitFor();
  const drawn = await page.evaluate(draw);
  const devtools = await page.context().newCDPSession(page);
  // Time on the processor, so that a busy machine changes it little.
  await devtools.send('Performance.enable', { timeDomain: 'threadTicks' });
  const busy = async () => {
    const { metrics } = await devtools.send('Performance.getMetrics');
    return 1000 * (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN);
  };
  const before = await busy();
  const frames = await page.evaluate(select, { count: selections, tokens });
  const each = ((await busy()) - before) / selections;
  const late = frames.filter((frame) => frame > 50).length;
  const worst = Math.max(...frames);
  await page.close();
  return [
    { what: `${what}: from the events to the picture`, target: '', measured: `${drawn.toFixed(0)} ms` },
    {
      what: `${what}: longest frame while selecting`,
      target: '50 ms',
      measured: `${worst.toFixed(0)} ms (${late} of ${frames.length} above 50; ${each.toFixed(1)} ms of work each)`,
    },
  ];
}

/** In the page: milliseconds from the replay to the frame that shows it. */
async function draw() {
  const { events } = await window.harness.loaded;
  const frame = () => new Promise(requestAnimationFrame);
  await frame();
  const start = performance.now();
  window.harness.post({ type: 'replay', run: 1, events });
  while (document.querySelector('sinkscope-residual-heatmap') === null) await frame();
  await frame();
  return (await frame()) - start;
}

/** In the page: milliseconds of each frame while every second frame selects another cell. */
async function select({ count, tokens }) {
  const frame = () => new Promise(requestAnimationFrame);
  for (let warm = 0; warm < 30; warm++) await frame();
  const frames = [];
  let last = await frame();
  for (let index = 0; index < count; index++) {
    window.harness.select({ token: (index * 37) % tokens, layer: index % 49 });
    for (let wait = 0; wait < 2; wait++) {
      const now = await frame();
      frames.push(now - last);
      last = now;
    }
  }
  return frames;
}
