/** `test` with windows of VS Code that are closed after each test; one browser per file. */
import { afterAll, test as base } from 'vitest';
import { launchBrowser } from '../../scripts/browser.mjs';
import { type Options, Workbench } from './workbench.js';

const browser = await launchBrowser();
afterAll(() => browser.close());

interface Fixtures {
  /** Opens a window; a test that fails leaves a picture of it. */
  open: (options: Options) => Promise<Workbench>;
}

export const test = base.extend<Fixtures>({
  open: async ({ task }, use) => {
    const windows: Workbench[] = [];
    await use(async (options) => {
      const workbench = await Workbench.open(browser, options);
      windows.push(workbench);
      return workbench;
    });
    for (const workbench of windows) {
      if (task.result?.state === 'fail') await workbench.screenshot(`failed ${task.name.replaceAll(/\W+/g, '-')}`);
      await workbench.close();
    }
  },
});
