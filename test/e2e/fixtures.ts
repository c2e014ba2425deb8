/** `test` with windows of VS Code: one that the tests share and find empty, and others of their own. */
import type { Browser, BrowserContext } from 'playwright-core';
import { test as base } from 'vitest';
import { launchBrowser } from '../../scripts/browser.mjs';
import { type Options, Workbench } from './workbench.js';

interface Fixtures {
  /** The one window that tests share, emptied and with these files alone; most of a test's time is what one takes. */
  enter: (options: Options) => Promise<Workbench>;
  /** Opens a window of its own; a test that fails leaves a picture of it. */
  open: (options: Options) => Promise<Workbench>;
}

/** What lasts from file to file. */
interface Lasting {
  readonly browser: Browser;
  /** Windows of one profile, so that what VS Code is made of is loaded and compiled once. */
  readonly profile: BrowserContext;
  readonly shared: { window: Workbench | undefined };
}

export const test = base.extend<Fixtures & Lasting>({
  browser: [
    // biome-ignore lint/correctness/noEmptyPattern: vitest reads what is needed from the pattern
    async ({}, use) => {
      const browser = await launchBrowser();
      await use(browser);
      await browser.close();
    },
    { scope: 'worker' },
  ],
  profile: [
    async ({ browser }, use) => use(await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] })),
    { scope: 'worker' },
  ],
  // biome-ignore lint/correctness/noEmptyPattern: as above
  shared: [async ({}, use) => use({ window: undefined }), { scope: 'worker' }],
  enter: async ({ task, profile, shared }, use) => {
    await use(async (options) => {
      if (shared.window) await shared.window.empty(options);
      else shared.window = await Workbench.open(profile, options);
      return shared.window;
    });
    if (task.result?.state !== 'fail' || !shared.window) return;
    // Whatever it is in, the next test is not to find it.
    const { window } = shared;
    shared.window = undefined;
    await window.failed(task.name);
    await window.close();
  },
  open: async ({ task, profile }, use) => {
    const windows: Workbench[] = [];
    await use(async (options) => {
      const workbench = await Workbench.open(profile, options);
      windows.push(workbench);
      return workbench;
    });
    for (const workbench of windows) {
      if (task.result?.state === 'fail') await workbench.failed(task.name);
      await workbench.close();
    }
  },
});
