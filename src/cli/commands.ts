/** All subcommands: those about models and runs, and one for each experiment. */
import type { Command } from 'commander';
import type { Engine } from '../engine/host/engine.js';
import { experiments } from '../experiments/catalogue.js';
import { analyzeCommand } from './analyze.js';
import { checkCommand } from './check.js';
import { downloadCommand } from './download.js';
import { experimentCommand } from './experiment.js';
import { explain } from './explain.js';
import { inspectCommand } from './inspect.js';
import { mcpCommand } from './mcp.js';

/** In the order of the help. */
export function commandsOf(engine: Engine, signal: AbortSignal): Command[] {
  return [
    inspectCommand(engine, signal),
    analyzeCommand(engine, signal),
    experimentCommand(explain, engine, signal),
    checkCommand(engine, signal),
    mcpCommand(signal),
    downloadCommand(engine, signal),
    ...experiments.map((experiment) => experimentCommand(experiment, engine, signal)),
  ];
}
