import { SingleBar } from 'cli-progress';

/**
 * The last of what `steps` yields, with a bar on a terminal meanwhile.
 *
 * @param shown how far a step is, and what to say beside the bar
 */
export async function followed<Step>(
  steps: AsyncIterable<Step>,
  shown: (step: Step) => { readonly done: number; readonly of: number; readonly text: string },
): Promise<Step> {
  const bar = new SingleBar({
    format: '{bar} {value} of {total} {text}',
    clearOnComplete: true,
    hideCursor: true,
    stream: process.stderr,
    noTTYOutput: false,
    gracefulExit: false, // the command line ends runs itself
  });
  let last: { readonly step: Step } | undefined;
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
