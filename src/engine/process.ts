/** The engine's process: its main thread runs models, and a thread of the same bundle watches over it. */
import { isMainThread } from 'node:worker_threads';

// Each only where it is needed: the guard has no use for ONNX Runtime.
void (isMainThread ? import('./jobs/child.js') : import('./guard/thread.js'));
