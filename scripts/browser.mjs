/** The browser that shows VS Code's server build: one that is installed, else Playwright's own. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { chromium } from 'playwright-core';
import { run } from './npm.mjs';

const { env } = process;

const wellKnown = {
  linux: [],
  darwin: ['Google Chrome', 'Microsoft Edge', 'Chromium'].map(
    (name) => `/Applications/${name}.app/Contents/MacOS/${name}`,
  ),
  win32: [env.PROGRAMFILES, env['PROGRAMFILES(X86)'], env.LOCALAPPDATA]
    .filter((folder) => folder !== undefined)
    .flatMap((folder) => [
      join(folder, 'Google/Chrome/Application/chrome.exe'),
      join(folder, 'Microsoft/Edge/Application/msedge.exe'),
      join(folder, 'Chromium/Application/chrome.exe'),
    ]),
};

const commands = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'microsoft-edge'];

/**
 * Path of an installed Chromium, Chrome or Edge, `CHROME_PATH` first.
 * @returns {Promise<string | undefined>}
 */
export async function findBrowser() {
  const folders = (env.PATH ?? '').split(delimiter);
  const candidates = [
    env.CHROME_PATH,
    ...(process.platform === 'win32' ? [] : commands.flatMap((name) => folders.map((folder) => join(folder, name)))),
    ...(wellKnown[process.platform] ?? []),
    chromium.executablePath(),
  ];
  for (const path of candidates) {
    if (path && (await isExecutable(path))) return path;
  }
  return undefined;
}

/** Path of a browser, downloaded by Playwright where none is installed. */
export async function getBrowser() {
  const installed = await findBrowser();
  if (installed) return installed;
  console.log('No Chrome, Edge or Chromium found: downloading one with Playwright …');
  try {
    // Its command line is no export of the package.
    const manifest = createRequire(import.meta.url).resolve('playwright-core/package.json');
    await run(process.execPath, [join(dirname(manifest), 'cli.js'), 'install', 'chromium']);
    return chromium.executablePath();
  } catch (error) {
    throw new Error(
      'No browser to show VS Code in, and Playwright could not download one: install Chrome, Edge or Chromium, or name one in CHROME_PATH.',
      { cause: error },
    );
  }
}

/** Starts a browser without a window. */
export async function launchBrowser() {
  return chromium.launch({
    executablePath: await getBrowser(),
    args: [
      // Containers seldom allow Chromium's sandbox; it shows nothing but our own server.
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

const isExecutable = (path) =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
