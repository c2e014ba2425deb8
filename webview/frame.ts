/**
 * One animation frame for the whole page: state is taken over, elements follow it, and then canvases are painted, all
 * within the frame. However often something is asked for, it is done once in a frame.
 */
import type { ReactiveController, ReactiveElement } from 'lit';

/** Milliseconds without a change after which what is out of sight is painted too: a page may be printed as a whole. */
const quiet = 200;

const taking = new Set<() => void>();
const painting = new Set<() => void>();
let isAsked = false;

/** Paper is laid out between two frames, so that what is to be on it is painted at once. */
let isPrinting = false;
addEventListener('beforeprint', () => {
  isPrinting = true;
});
addEventListener('afterprint', () => {
  isPrinting = false;
});

/** Calls `take` in the next frame, before anything is painted; one function once. */
export function inNextFrame(take: () => void): void {
  taking.add(take);
  askForFrame();
}

function askForFrame(): void {
  if (isAsked) return;
  isAsked = true;
  requestAnimationFrame(() => run(taking));
  // Between two callbacks of a frame elements update, which they do in microtasks.
  requestAnimationFrame(() => {
    isAsked = false;
    run(painting);
  });
}

function run(tasks: Set<() => void>): void {
  for (const task of [...tasks]) {
    tasks.delete(task);
    task();
  }
}

/** Paints what belongs to an element: in the next frame while that is in sight, and when changes have ceased while not. */
export class Painting implements ReactiveController {
  #isInSight = true;
  #waiting: ReturnType<typeof setTimeout> | undefined;
  readonly #sight = new IntersectionObserver(
    (entries) => {
      this.#isInSight = entries.at(-1)?.isIntersecting ?? true;
      if (this.#isInSight && this.#waiting !== undefined) this.ask();
    },
    { rootMargin: '120px' },
  );

  constructor(
    private readonly host: ReactiveElement,
    private readonly paint: () => void,
  ) {
    host.addController(this);
  }

  hostConnected(): void {
    this.#sight.observe(this.host);
  }

  hostDisconnected(): void {
    this.#sight.disconnect();
    this.#isInSight = true;
    this.#forget();
  }

  /** Something of what is painted is another. */
  ask(): void {
    this.#forget();
    if (isPrinting) queueMicrotask(this.paint);
    else if (this.#isInSight) {
      painting.add(this.paint);
      askForFrame();
    } else {
      this.#waiting = setTimeout(() => {
        this.#waiting = undefined;
        this.paint();
      }, quiet);
    }
  }

  #forget(): void {
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
    painting.delete(this.paint);
  }
}
