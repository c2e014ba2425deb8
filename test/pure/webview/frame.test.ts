import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { inNextFrame, Painting } from '../../../webview/frame.js';
import { at } from '../../support/lists.js';

/** What the browser tells of: it is listened to from the start. */
const heard = vi.hoisted(() => {
  const listeners = new Map<string, () => void>();
  vi.stubGlobal('addEventListener', (name: string, listener: () => void) => listeners.set(name, listener));
  return (name: string) => listeners.get(name)?.();
});

/** What the browser would call, in order. */
let callbacks: (() => void)[] = [];
let look: (isInSight: boolean) => void = () => undefined;

/** As the browser has it: microtasks run between two callbacks of a frame; what is asked for meanwhile is for the next. */
async function frame(): Promise<void> {
  for (const callback of callbacks.splice(0)) {
    callback();
    await Promise.resolve();
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  callbacks = [];
  vi.stubGlobal('requestAnimationFrame', (callback: () => void) => callbacks.push(callback));
  vi.stubGlobal(
    'IntersectionObserver',
    class {
      constructor(tell: (entries: { isIntersecting: boolean }[]) => void) {
        // Of what came and went between two looks, the last counts.
        look = (isInSight) => tell([{ isIntersecting: !isInSight }, { isIntersecting: isInSight }]);
      }
      observe = () => undefined;
      disconnect = () => undefined;
    },
  );
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A painting in the place of an element, which Lit would connect. */
function placed() {
  const paint = vi.fn();
  const controllers: Painting[] = [];
  const host = { addController: (one: Painting) => controllers.push(one) };
  const painting = new Painting(host as never, paint);
  at(controllers, 0).hostConnected();
  return { painting, paint };
}

it('paints in the frame in which state is taken over, once', async () => {
  const { painting, paint } = placed();
  // An element that follows in a microtask, as Lit's do.
  const take = vi.fn(() => void Promise.resolve().then(() => painting.ask()));
  for (let i = 0; i < 5; i++) inNextFrame(take);
  painting.ask();
  await frame();
  expect(take).toHaveBeenCalledTimes(1);
  expect(paint).toHaveBeenCalledTimes(1);
  await frame();
  expect(paint).toHaveBeenCalledTimes(1);
});

it('leaves what is out of sight until changes have ceased, and then paints it once', async () => {
  const { painting, paint } = placed();
  look(false);
  for (let i = 0; i < 50; i++) {
    painting.ask();
    await frame();
    vi.advanceTimersByTime(100);
  }
  expect(paint).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1000);
  expect(paint).toHaveBeenCalledTimes(1);
});

it('paints what comes into sight, where something of it has changed', async () => {
  const { painting, paint } = placed();
  look(false);
  painting.ask();
  look(true);
  await frame();
  expect(paint).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(1000);
  look(false);
  look(true);
  await frame();
  expect(paint).toHaveBeenCalledTimes(1);
});

it('paints on paper at once, also what is out of sight', async () => {
  const { painting, paint } = placed();
  look(false);
  heard('beforeprint');
  painting.ask();
  await Promise.resolve();
  expect(paint).toHaveBeenCalledTimes(1);
  heard('afterprint');
  painting.ask();
  await Promise.resolve();
  expect(paint).toHaveBeenCalledTimes(1);
});

it('paints nothing of what has left the page', async () => {
  const { painting, paint } = placed();
  painting.ask();
  painting.hostDisconnected();
  await frame();
  expect(paint).not.toHaveBeenCalled();
});
