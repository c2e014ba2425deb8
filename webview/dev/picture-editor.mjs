/** Takes the documentation's picture of the editor of models: `node webview/dev/picture-editor.mjs` writes `docs/pictures/editor.png`. */
import { fileURLToPath } from 'node:url';
import { launchBrowser } from '../../scripts/browser.mjs';
import { serve } from './serve.mjs';

const server = await serve();
const browser = await launchBrowser();
try {
  const page = await browser.newPage({ viewport: { width: 1100, height: 760 } });
  await page.goto(`${server.address}?view=model&theme=light`);
  await page.getByRole('option', { name: /^block 2 of 8/ }).click();
  await page.getByTestId('layer').waitFor();
  await page.mouse.move(0, 0);
  await page.screenshot({ path: fileURLToPath(new URL('../../docs/pictures/editor.png', import.meta.url)) });
} finally {
  await browser.close();
  await server.close();
}
