import { SingleBar } from 'cli-progress';
import type { Step } from '../experiments/shared/variants.js';

/**
 * The last of what `steps` yields, with a bar on a terminal meanwhile.
 *
 * @param shown how far a step is, and what to say beside the bar
 */
export async function followed<S>(
  steps: AsyncIterable<S>,
  shown: (step: S) => { readonly done: number; readonly of: number; readonly text: string },
): Promise<S> {
  const bar = new SingleBar({
    format: '{bar} {value} of {total} {text}',
    clearOnComplete: true,
    hideCursor: true,
    stream: process.stderr,
    noTTYOutput: false,
    gracefulExit: false, // the command line ends runs itself
  });
  let last: { readonly step: S } | undefined;
  try {
    for await (const step of steps) {
      const { done, of, text } = shown(step);
      if (!last) bar.start(of, done, { text });
      bar.setTotal(of);
      bar.update(done, { text });
      last = { step };
    }
  } finally {
    bar.stop();
  }
  if (!last) throw new Error('nothing was run');
  return last.step;
}

/** The result of an experiment, with a bar on a terminal meanwhile. */
export async function finished<Result>(steps: AsyncIterable<Step<Result>>): Promise<Result> {
  const { result } = await followed(steps, ({ phase, done, of }) => ({ done, of, text: phase }));
  if (result === undefined) throw new Error('the experiment has no end');
  return result;
}
