/** The webview in a real browser, with the harness as its host. One browser and one server for a test file. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { launchBrowser } from '../../scripts/browser.mjs';
import type { FromWebview } from '../../src/protocol.js';
import { serve } from '../../webview/dev/serve.mjs';

interface Opened {
  readonly page: Page;
  /** What the webview has told the host, of one type. */
  said<T extends FromWebview['type']>(type: T): Promise<Extract<FromWebview, { type: T }>[]>;
}

export interface Options {
  readonly run?:
    | 'harris'
    | 'summer'
    | 'large'
    | 'bias'
    | 'plain'
    | 'one'
    | 'picture'
    | 'classes'
    | 'decoder'
    | 'experts';
  readonly view?: 'panel' | 'report' | 'model';
  /** A run that the one shown is held against. */
  readonly against?: Options['run'];
  /** In the editor of a model's file: which file, and which it is compared with. */
  readonly file?: 'llama' | 'plain' | 'int4' | 'fp32' | 'experts' | 'graph' | 'broken' | 'untrusted';
  readonly other?: Options['file'];
  readonly theme?: 'dark' | 'light' | 'hc-dark' | 'hc-light';
  readonly events?: number;
  readonly stale?: true;
  readonly silent?: true;
  /** Id of a recorded experiment, or nothing for all. */
  readonly experiments?: string;
  readonly width?: number;
  readonly webgl?: 'none';
  readonly tokens?: number;
  readonly dims?: number;
}

/** To be called at the top of a test file; every page must stay free of errors, the policy's refusals among them. */
export function webview(): { open(options?: Options): Promise<Opened>; bundled(name: string): Uint8Array } {
  let browser: Browser;
  let server: Awaited<ReturnType<typeof serve>>;
  const errors: string[] = [];
  /** Pages that are in use, and those that may be again: half of what a small page costs is a process of its own. */
  const used: Page[] = [];
  const blank: Page[] = [];

  beforeAll(async () => {
    [browser, server] = await Promise.all([launchBrowser(), serve()]);
  });
  afterEach(async () => {
    await Promise.all(used.map(cleared));
    blank.push(...used.splice(0));
    expect(errors.splice(0)).toEqual([]);
  });
  afterAll(async () => {
    await browser.close();
    await server.close();
  });

  async function newPage(): Promise<Page> {
    const page = await browser.newPage();
    page.setDefaultTimeout(90_000);
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('console', (message) => {
      // That pixels of a surface are read back takes time, which the driver remarks: a screenshot does, and a picture.
      if (message.text().includes('GPU stall due to ReadPixels')) return;
      if (message.type() === 'error' || message.type() === 'warning') errors.push(message.text());
    });
    return page;
  }

  return {
    bundled: (name) => server.bundled.get(name) ?? new Uint8Array(),
    async open({ width = 1100, ...parameters } = {}) {
      const page = blank.pop() ?? (await newPage());
      used.push(page);
      await page.setViewportSize({ width, height: 900 });
      const query = new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, `${value}`]));
      await page.goto(`${server.address}?${query}`);
      await page.locator('.page').waitFor();
      return {
        page,
        said: async <T extends FromWebview['type']>(type: T) => {
          const messages = await page.evaluate(() => window.harness.messages);
          return messages.filter((message): message is Extract<FromWebview, { type: T }> => message.type === type);
        },
      };
    },
  };
}

/** Leaves nothing of a test: where the pointer is, what is kept for a reload, and what the page still does. */
async function cleared(page: Page): Promise<void> {
  await page.mouse.move(0, 0);
  await page.evaluate(() => sessionStorage.clear());
  await page.goto('about:blank');
}
