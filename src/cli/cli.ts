#!/usr/bin/env node
/**
 * `sinkscope`: what the extension does, without VS Code. Results go to stdout, everything else to stderr; the exit
 * code is 0 only on success.
 */
import { constants } from 'node:os';
import { Command, CommanderError } from 'commander';
import { version } from '../../package.json';
import { Engine } from '../engine/host/engine.js';
import { toProblem } from '../errors.js';
import { commandsOf } from './commands.js';
import { print, remark, watchEnds } from './terminal.js';

/** Milliseconds to say what there is and to leave nothing half-written, when it is asked to end. */
const grace = 10_000;

/** Runs the models of all commands. */
export const engine = new Engine();
const linesOf = (text: string) => text.replace(/\n$/, '').split('\n');

/**
 * Does what the command line asks for; never throws, but says what went wrong, and sets the exit code.
 *
 * @param args without the program's own name
 */
export async function runCommand(args: readonly string[], signal: AbortSignal): Promise<void> {
  const program = new Command('sinkscope')
    .description('See attention sinks and massive activations inside local ONNX transformers.')
    .version(version)
    .configureOutput({ writeOut: (text) => print(linesOf(text)), writeErr: (text) => remark(linesOf(text)) })
    // Thrown, not exited with: what was printed may not have arrived.
    .exitOverride();
  for (const command of commandsOf(engine, signal)) program.addCommand(command.copyInheritedSettings(program));
  // A rule that is broken and a check that could not be made are two things to a script.
  const failed = args[0] === 'check' ? 2 : 1;
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode ??= error.exitCode === 0 ? 0 : failed;
      return;
    }
    process.exitCode ??= failed;
    remark([`sinkscope: ${signal.aborted ? 'Stopped.' : toProblem(error).message}`]);
  }
}

// Tests load this file, and give it one command after another.
if (require.main === module) {
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // Once: whoever asks a second time does not want to wait.
    process.once(signal, () => {
      process.exitCode = 128 + constants.signals[signal];
      interruption.abort();
      // What waits for the system, for a pipe that nobody writes to, knows of no abort.
      setTimeout(() => process.kill(process.pid, signal), grace).unref();
    });
  }
  watchEnds();
  void runCommand(process.argv.slice(2), interruption.signal).finally(() => engine.dispose());
}
