/**
 * `npm start`: opens VS Code with the extension on a sample document and analyses it.
 * `npm start -- --headless`: prints the analysis of the sample in the terminal.
 *
 * VS Code is `code` on PATH; else, with a display, the desktop one; else the server build, shown by a browser. The first
 * start installs what it needs, and says so.
 */
import { copyFile, mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { installDependencies } from './install.mjs';
import { run } from './npm.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({ options: { headless: { type: 'boolean' } } });

await installDependencies();
await import('./build.mjs');

if (values.headless) {
  await run(process.execPath, [join(root, 'dist/cli.js'), 'analyze', 'llama', '--file', join(root, 'media/sample.md')]);
} else {
  // The extension itself, and the one that presses the button.
  const extensions = [root, join(root, 'scripts/sample')];
  const development = extensions.map((path) => `--extensionDevelopmentPath=${path}`);
  const folder = await sampleFolder();
  const cache = join(root, '.cache/start');

  if (await openInCode([...development, '--new-window', folder])) {
    console.log('Sinkscope is open in a new window of VS Code.');
  } else {
    const { desktopVSCode } = await import('./desktop.mjs');
    const desktop = await desktopVSCode();
    if (desktop) {
      const own = [
        `--user-data-dir=${join(cache, 'desktop')}`,
        `--extensions-dir=${join(cache, 'desktop-extensions')}`,
      ];
      await run(desktop, [...own, '--disable-workspace-trust', '--skip-welcome', ...development, folder], {
        stdio: 'ignore',
      });
    } else {
      await serve(join(cache, 'server'), extensions, folder);
    }
  }
}

/** A folder with a copy of the sample, so that what is typed there does not change the project. */
async function sampleFolder() {
  const folder = join(root, '.cache/start/sample');
  await mkdir(folder, { recursive: true });
  await copyFile(join(root, 'media/sample.md'), join(folder, 'sample.md'));
  return folder;
}

/** True when there is a `code` on PATH and it took the arguments. */
async function openInCode(args) {
  const quoted = process.platform === 'win32' ? args.map((arg) => `"${arg}"`) : args;
  return run('code', quoted, { shell: process.platform === 'win32', stdio: 'ignore' }).then(
    () => true,
    () => false,
  );
}

/** The server build until Ctrl+C, with the extensions linked into it. */
async function serve(userData, extensions, folder) {
  const { startServer, writeSettings } = await import('./vscode-server.mjs');
  // A fresh folder of extensions: VS Code takes in what it finds there when it has no list of its own yet.
  const installed = join(userData, 'extensions');
  await rm(installed, { recursive: true, force: true });
  await mkdir(installed, { recursive: true });
  for (const [index, path] of extensions.entries())
    await symlink(path, join(installed, `extension-${index}`), 'junction');
  await writeSettings(userData);
  const server = await startServer({ userData });
  const address = `${server.url}?folder=${pathToFileURL(folder).pathname}`;
  const opened = await openInBrowser(address);
  const where = opened ? 'in your browser, at' : 'at an address to be opened in a browser on this machine:';
  console.log(`Sinkscope is running in VS Code ${where}\n\n  ${address}\n\nCtrl+C stops it.`);
}

/** True where the system has something that opens addresses, and it took this one. */
async function openInBrowser(address) {
  const [program, ...args] = { darwin: ['open'], win32: ['cmd', '/c', 'start', '""'] }[process.platform] ?? [
    'xdg-open',
  ];
  const hasDisplay = process.platform !== 'linux' || process.env.DISPLAY || process.env.WAYLAND_DISPLAY;
  if (!hasDisplay) return false;
  return run(program, [...args, address], { stdio: 'ignore' }).then(
    () => true,
    () => false,
  );
}
