/** The guard of the engine's process, as that process sees it. */
import { fstatSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type Bounds, pipe } from './note.js';

export interface Guard {
  /** Sets new bounds; time counts from now. */
  allow(bounds: Bounds): void;
}

/** Starts the guard (`thread.ts`, which is a bundle of its own). None where the parent gave no pipe to say it on. */
export function startGuard(): Guard {
  if (!hasPipe()) return { allow: () => {} };
  const worker = new Worker(join(__dirname, 'guard.js'));
  return { allow: (bounds) => worker.postMessage(bounds) };
}

function hasPipe(): boolean {
  try {
    const stat = fstatSync(pipe);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false;
  }
}
