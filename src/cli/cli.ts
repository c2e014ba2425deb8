/**
 * `sinkscope`: what the extension does, without VS Code. Results go to stdout, everything else to stderr; the exit
 * code is 0 only on success.
 */
import { constants } from 'node:os';
import { Command } from 'commander';
import { version } from '../../package.json';
import { Engine } from '../engine/host/engine.js';
import { toProblem } from '../errors.js';
import { experiments } from '../experiments/catalogue.js';
import { analyzeCommand } from './analyze.js';
import { experimentCommand } from './experiment.js';
import { inspectCommand } from './inspect.js';

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Once: whoever asks a second time does not want to wait.
  process.once(signal, () => {
    process.exitCode = 128 + constants.signals[signal];
    interruption.abort();
  });
}
// Whoever reads has seen enough, as in `sinkscope … | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

const engine = new Engine();
const program = new Command('sinkscope')
  .description('See attention sinks and massive activations inside local ONNX transformers.')
  .version(version)
  .addCommand(inspectCommand(engine, interruption.signal))
  .addCommand(analyzeCommand(engine, interruption.signal));
for (const experiment of experiments) program.addCommand(experimentCommand(experiment, engine, interruption.signal));

program
  .parseAsync()
  .catch((error: unknown) => {
    process.exitCode ??= 1;
    const message = interruption.signal.aborted ? 'Stopped.' : toProblem(error).message;
    process.stderr.write(`sinkscope: ${message.replace(/\s*\n\s*/g, ' ')}\n`);
  })
  .finally(() => engine.dispose());
