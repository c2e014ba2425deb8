/**
 * `sinkscope`: what the extension does, without VS Code. Results go to stdout, everything else to stderr; the exit
 * code is 0 only on success.
 */
import { constants } from 'node:os';
import { Command } from 'commander';
import { version } from '../../package.json';
import { Engine } from '../engine/host/engine.js';
import { toProblem } from '../errors.js';
import { analyzeCommand } from './analyze.js';
import { biasCommand } from './bias.js';
import { compareCommand } from './compare.js';
import { inspectCommand } from './inspect.js';
import { interventionsCommand } from './interventions.js';
import { lensCommand } from './lens.js';
import { perplexityCommand } from './perplexity.js';
import { compareQuantisedCommand, outliersCommand } from './quantisation.js';
import { ratiosCommand } from './ratios.js';
import { streamingCommand } from './streaming.js';
import { mergeCommand, surveyCommand } from './survey.js';
import { visionCommand } from './vision.js';
import { weightsCommand } from './weights.js';

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
  .addCommand(analyzeCommand(engine, interruption.signal))
  .addCommand(biasCommand(engine, interruption.signal))
  .addCommand(compareCommand(engine, interruption.signal))
  .addCommand(lensCommand(engine, interruption.signal))
  .addCommand(streamingCommand(engine, interruption.signal))
  .addCommand(visionCommand(engine, interruption.signal))
  .addCommand(ratiosCommand(engine, interruption.signal))
  .addCommand(perplexityCommand(engine, interruption.signal))
  .addCommand(interventionsCommand(engine, interruption.signal))
  .addCommand(surveyCommand(engine, interruption.signal))
  .addCommand(mergeCommand())
  .addCommand(weightsCommand(engine, interruption.signal))
  .addCommand(outliersCommand(engine, interruption.signal))
  .addCommand(compareQuantisedCommand(engine, interruption.signal));

program
  .parseAsync()
  .catch((error: unknown) => {
    process.exitCode ??= 1;
    const message = interruption.signal.aborted ? 'Stopped.' : toProblem(error).message;
    process.stderr.write(`sinkscope: ${message.replace(/\s*\n\s*/g, ' ')}\n`);
  })
  .finally(() => engine.dispose());
