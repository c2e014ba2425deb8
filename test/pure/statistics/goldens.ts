import { fileURLToPath } from 'node:url';
import { openSafetensors } from '../../../src/statistics/safetensors.js';

/** Made by tools/references/kernels.py. */
export const goldensFile = fileURLToPath(new URL('goldens.safetensors', import.meta.url));
const goldens = await openSafetensors(goldensFile);

export async function floats(name: string): Promise<Float32Array> {
  return new Float32Array((await goldens.tensor(name)).bytes.buffer);
}

export async function ints(name: string): Promise<Int32Array> {
  return new Int32Array((await goldens.tensor(name)).bytes.buffer);
}

export async function shape(name: string): Promise<readonly number[]> {
  return (await goldens.tensor(name)).shape;
}

/** The bits of a half-precision tensor. */
export async function bits(name: string): Promise<Uint16Array> {
  return new Uint16Array((await goldens.tensor(name)).bytes.buffer);
}
