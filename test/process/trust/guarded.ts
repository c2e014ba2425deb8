/** A process under guard that does not behave, as it is told. */
import { startGuard } from '../../../src/engine/guard/guard.js';

misbehave();

function misbehave(): void {
  const guard = startGuard();
  process.once('message', (how) => {
    if (how === 'hoard') {
      guard.allow({ what: 'it hoarded', bytes: process.memoryUsage.rss() + 2 ** 26 });
      const hoard: Buffer[] = [];
      // Filled, for what is not touched takes no memory; and outside of JavaScript's heap, as tensors are.
      for (;;) hoard.push(Buffer.alloc(2 ** 24, hoard.length + 1));
    }
    if (how === 'give up') {
      guard.allow({ what: 'it gave up', bytes: Number.POSITIVE_INFINITY });
      // As native code does, when the guard has been heard.
      process.once('message', () => process.abort());
      return;
    }
    if (how === 'wait') {
      guard.allow({ what: 'it waited', bytes: Number.POSITIVE_INFINITY, seconds: { work: 1000, waiting: 0.1 } });
      // As for a disk that does not answer.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    }
    const seconds = how === 'spin' ? { work: 0.1, waiting: 1000 } : undefined;
    guard.allow({ what: 'it spun', bytes: Number.POSITIVE_INFINITY, seconds });
    // To whoever waits for it; then nothing is heard any more.
    process.stdout.write(`${process.pid}\n`, () => {
      for (;;);
    });
  });
}
