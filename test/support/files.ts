/** Files that tests of every kind use. */
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export const demo = join(root, 'media/models/llama/model.onnx');

export const zoo = join(root, 'test/zoo/fixtures');

/** The names of the fixtures. */
export const fixtures: readonly string[] = readdirSync(zoo, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .sort();

export function fixture(name: string): { model: string; golden: string } {
  const folder = join(zoo, name);
  return { model: join(folder, 'model.onnx'), golden: join(folder, 'golden.safetensors') };
}

/** An empty folder, removed after the tests of the file. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sinkscope-'));
  afterAll(() => rm(folder, { recursive: true }));
  return folder;
}
