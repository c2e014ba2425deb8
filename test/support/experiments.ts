import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defaultThresholds } from '../../src/analysis/thresholds.js';
import type { Engine } from '../../src/engine/host/engine.js';
import references from '../references/experiments.json';

export { finish } from '../../src/experiments/experiment.js';
export { startEngine } from './engine.js';
export { temporaryFolder } from './files.js';
export { withWeight } from './weight.js';
export { references };

export const path = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url));

export const demoModel = (name: string) => path(`media/models/${name}/model.onnx`);
export const fixtureModel = (name: string) => path(`test/zoo/fixtures/${name}/model.onnx`);
export const text = (file: string) => readFileSync(path(file), 'utf8');

export const budget = { memory: 2 ** 31, threads: 1 };
export const thresholds = defaultThresholds;

export const boats = 'test/text/three-men-in-a-boat.md';
export const pendulum = 'test/text/pit-and-pendulum.md';

/** The last of what is yielded. */
export async function last<T>(steps: AsyncIterable<T>): Promise<T> {
  let found: { readonly step: T } | undefined;
  for await (const step of steps) found = { step };
  if (!found) throw new Error('nothing was yielded');
  return found.step;
}

/** −1 … : how far `actual` is from `expected`, relative to it. */
export const off = (actual: number, expected: number) => Math.abs(actual / expected - 1);

/** For texts of which none is in a Parquet file. */
export const noReader: Pick<Engine, 'records'> = {
  records: () => Promise.reject(new Error('no Parquet file is read here')),
};
