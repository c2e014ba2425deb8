/** Packages the extension, installs it into a fresh VS Code server and starts that for all end-to-end tests. */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { packageExtension } from '../../scripts/package.mjs';
import { startServer, writeSettings } from '../../scripts/vscode-server.mjs';
import { startHub } from '../support/hub.js';
import { keybindings } from './keys.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Address of the server, with a slash at its end. */
    url: string;
    /** The package that is installed there. */
    vsix: string;
    /** Folder that it is installed in. */
    extensions: string;
    /** Folder in which the editor keeps what extensions store, by workspace. */
    storage: string;
    /** The editor's own settings, for all windows. */
    settings: string;
    /** The cache of the model hub, of which a stand-in has the repository `owner/name`. */
    hubCache: string;
    /** Folder for the workspaces of the tests. */
    workspaces: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const out = join(project.config.root, 'out/e2e');
  for (const old of [out, join(project.config.root, 'out/screenshots')])
    await rm(old, { recursive: true, force: true });
  const userData = join(out, 'user-data');
  await writeSettings(userData);
  // Models that this machine has elsewhere are none of the tests', and theirs none of its.
  const hubCache = join(out, 'hub');
  const demo = (name: string) => readFile(join(project.config.root, 'media/models/llama', name));
  const hub = await startHub({
    'onnx/model.onnx': await demo('model.onnx'),
    'tokenizer.json': await demo('tokenizer.json'),
  });
  Object.assign(process.env, { HF_HUB_CACHE: hubCache, HF_ENDPOINT: hub.endpoint });
  const vsix = await packageExtension();
  const server = await startServer({ userData, vsix, trust: true, grace: 1, driver: true });
  const extensions = join(userData, 'extensions');
  const [installed = ''] = (await readdir(extensions)).filter((name) => name.startsWith('sinkscope.'));
  const chosen = join(extensions, installed, 'media/models/llama/model.onnx');
  await writeFile(join(userData, 'User/keybindings.json'), JSON.stringify(keybindings(chosen)));
  project.provide('url', server.url);
  project.provide('vsix', vsix);
  project.provide('extensions', extensions);
  project.provide('storage', join(userData, 'User/workspaceStorage'));
  project.provide('settings', join(userData, 'User/settings.json'));
  project.provide('hubCache', hubCache);
  project.provide('workspaces', join(out, 'workspaces'));
  return async () => {
    await server.close();
    await hub.close();
  };
}
