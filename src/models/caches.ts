/** Where other programs keep models on this machine. */
import { readdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface CacheFolders {
  /** Of the Hugging Face Hub: a folder for each repository. */
  readonly hub: string;
  /** Others, in which models lie as they are. */
  readonly folders: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Repositories that are looked into. */
const most = 2000;

/**
 * The caches of this machine: Hugging Face's, where its variables put it, Foundry Local's and AI Toolkit's. None need
 * exist.
 */
export function machineCaches(environment: Environment, home = homedir()): CacheFolders {
  return {
    hub: hubCache(environment, home),
    folders: [join(home, '.foundry', 'cache', 'models'), join(home, '.aitk', 'models')],
  };
}

/** The folder of the Hub's cache, by the variables that all of Hugging Face's tools read. */
export function hubCache(environment: Environment, home = homedir()): string {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = environment;
  const named = HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE;
  const base = HF_HOME || join(XDG_CACHE_HOME || join(home, '.cache'), 'huggingface');
  return (named || join(base, 'hub')).replace(/^~(?=$|[/\\])/, home);
}

/** Where transformers.js, a package of a project, keeps what it downloads: in its own folder. */
export function packageCaches(project: string): string[] {
  return ['@huggingface', '@xenova'].map((owner) => join(project, 'node_modules', owner, 'transformers', '.cache'));
}

/** The folders of the versions that a Hub's cache has of its models; of each repository the one called main first. */
export async function snapshots(hub: string): Promise<string[]> {
  const repositories = (await listed(hub)).filter((name) => name.startsWith('models--')).slice(0, most);
  const found = await Promise.all(
    repositories.map(async (repository) => {
      const folder = join(hub, repository);
      const main = (await readFile(join(folder, 'refs', 'main'), 'utf8').catch(() => '')).trim();
      const versions = (await listed(join(folder, 'snapshots'))).sort();
      const first = versions.filter((version) => version === main);
      return [...first, ...versions.filter((version) => version !== main)].map((one) => join(folder, 'snapshots', one));
    }),
  );
  return found.flat();
}

/** Names of the folders in a folder; none where it may not be read. */
async function listed(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}
