/** The process that runs models. It does one thing at a time, says everything through messages, and may be killed. */
import { toProblem } from '../../errors.js';
import type { DeviceEvent } from '../contract/device.js';
import { checkToChild, type FromChild, isLive, messageId } from '../contract/protocol.js';
import { allowRunning, useDevice, useTokenizers } from './current.js';
import { perform } from './perform.js';

let queue = Promise.resolve();
/** The last that follows an edit, of those that have arrived. */
let lastLive = 0;

process.on('message', (message: unknown) => {
  if (isLive(message)) lastLive = messageId(message);
  queue = queue.then(() => handle(message));
});
// The parent is gone: nobody is left to work for. `process.exit` would end the guard, then wait for native code in other
// threads, which may never come back.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

async function handle(message: unknown): Promise<void> {
  const id = messageId(message);
  try {
    const { type, request, tokenizers, device } = checkToChild(message);
    useTokenizers(tokenizers);
    // An analysis begins with `started`, which comes when its device has been chosen.
    let waiting: DeviceEvent[] | undefined = type === 'analyze' ? [] : undefined;
    const place = (event: DeviceEvent) => void (waiting?.push(event) ?? send({ id, type: 'device', event }));
    useDevice(device, place);
    const answer = await perform(
      type,
      request,
      async (event) => {
        await send({ id, type: 'event', event });
        const before = waiting ?? [];
        waiting = undefined;
        for (const one of before) place(one);
      },
      () => lastLive > id,
    );
    await send({ id, type: 'answer', answer });
  } catch (error) {
    await send({ id, type: 'problem', problem: toProblem(error) });
  }
  allowRunning();
}

/** Resolves once the message is on its way: the next stage blocks this thread. */
function send(message: FromChild): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, undefined, undefined, () => resolve());
  });
}
