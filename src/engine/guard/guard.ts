/** The guard of the engine's process, as that process sees it. */
import { fstatSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { type Bounds, pipe } from './note.js';

export interface Guard {
  /** Sets new bounds; time counts from now. */
  allow(bounds: Bounds): void;
}

/** Starts the guard: this same bundle in a thread (`process.ts`). None where the parent gave no pipe to say it on. */
export function startGuard(): Guard {
  if (!hasPipe()) return { allow: () => {} };
  const worker = new Worker(__filename);
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
