import { expect, it } from 'vitest';
import { Channel } from '../../../src/engine/host/channel.js';

function opened() {
  const log = { returned: 0 };
  const channel = new Channel<number>(() => {
    log.returned++;
  });
  return { channel, log };
}

it('gives what was pushed in its order, whether it was waited for or not, and then ends', async () => {
  const { channel, log } = opened();
  channel.push(1);
  channel.push(2);
  const read: number[] = [];
  const reading = (async () => {
    for await (const value of channel) read.push(value);
  })();
  channel.push(3);
  channel.close();
  channel.push(4);
  await reading;
  expect(read).toEqual([1, 2, 3]);
  expect(log.returned).toBe(0);
});

it('hands each value to the one who has waited longest', async () => {
  const { channel } = opened();
  const [first, second] = [channel.next(), channel.next()];
  channel.push(1);
  channel.push(2);
  expect(await first).toEqual({ value: 1, done: false });
  expect(await second).toEqual({ value: 2, done: false });
});

it('is left at once while it waits, says so once, and gives nothing more', async () => {
  const { channel, log } = opened();
  channel.push(1);
  await channel.next();
  const waiting = [channel.next(), channel.next()];
  channel.push(2);
  await channel.return();
  await channel.return();
  expect(await waiting[0]).toEqual({ value: 2, done: false });
  expect(await waiting[1]).toEqual({ value: undefined, done: true });
  channel.push(3);
  expect(await channel.next()).toEqual({ value: undefined, done: true });
  expect(log.returned).toBe(1);
});

it('forgets what was not read when it is left', async () => {
  const { channel, log } = opened();
  for (const value of [1, 2, 3]) channel.push(value);
  for await (const _ of channel) break;
  expect(await channel.next()).toEqual({ value: undefined, done: true });
  expect(log.returned).toBe(1);
});

it('is left by whoever throws into it', async () => {
  const { channel, log } = opened();
  await expect(channel.throw(new Error('enough'))).rejects.toThrow('enough');
  expect(log.returned).toBe(1);
});
