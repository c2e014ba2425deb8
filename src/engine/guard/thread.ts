/**
 * A thread of the engine's process that ends it when its parent is gone, when it holds more memory than it may, or when
 * something takes longer than it may. A thread, because the main one is blocked while a file is read, a text is
 * tokenised or a model runs; and the process, because nothing less ends native code.
 */
import { Socket } from 'node:net';
import { parentPort } from 'node:worker_threads';
import { type Bounds, type Note, pipe } from './note.js';

/** Milliseconds between looks. Memory grows by some hundred megabytes in that time at most. */
const interval = 100;

let bounds: Bounds = { what: 'it started', bytes: Number.POSITIVE_INFINITY };
let since = now();
let ending = false;

parentPort?.on('message', (message: Bounds) => {
  if (message.what !== bounds.what) say({ kind: 'at', what: message.what });
  bounds = message;
  since = now();
});

const parent = new Socket({ fd: pipe, readable: true, writable: true });
parent.on('error', () => kill());
parent.on('close', () => kill());
parent.resume();

setInterval(() => {
  const bytes = process.memoryUsage.rss();
  const { what, bytes: limit, seconds } = bounds;
  if (bytes > limit) end({ kind: 'memory', what, bytes, limit });
  if (seconds === undefined) return;
  const { work, waiting } = now();
  if (work - since.work > seconds.work) end({ kind: 'time', what, seconds: seconds.work, of: 'work' });
  else if (waiting - since.waiting > seconds.waiting)
    end({ kind: 'time', what, seconds: seconds.waiting, of: 'waiting' });
}, interval);

/** Processor time of the whole process, and time by the clock, in seconds. */
function now(): { work: number; waiting: number } {
  const { user, system } = process.cpuUsage();
  return { work: (user + system) / 1e6, waiting: performance.now() / 1000 };
}

function end(note: Note): void {
  if (ending) return;
  ending = true;
  say(note, () => kill());
}

function say(note: Note, then?: () => void): void {
  parent.write(`${JSON.stringify(note)}\n`, then);
}

function kill(): void {
  process.kill(process.pid, 'SIGKILL');
}
