import { SingleBar } from 'cli-progress';
import { eachAs, finish, type Progress, progressInWords } from '../experiments/experiment.js';
import { visible } from '../visible.js';

/** Runs to the end, with a bar on a terminal meanwhile, and resolves with the result. */
export async function drawProgress<Result>(run: AsyncGenerator<Progress, Result, void>): Promise<Result> {
  const bar = new SingleBar({
    format: '{bar} {text}',
    clearOnComplete: true,
    hideCursor: true,
    stream: process.stderr,
    noTTYOutput: false,
    gracefulExit: false, // the command line ends runs itself
  });
  const draw = (progress: Progress) => {
    const { done, of, underWay = 0 } = progress;
    const payload = { text: visible(progressInWords(progress)) };
    if (!bar.isActive) bar.start(of, done, payload);
    bar.setTotal(of);
    bar.update(done + underWay, payload);
  };
  try {
    return await finish(eachAs(run, draw));
  } finally {
    bar.stop();
  }
}
