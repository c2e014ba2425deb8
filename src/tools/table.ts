/** The table of tools: those about models and runs, and one for each experiment, made of its definition. */
import { SinkscopeError } from '../errors.js';
import { experiments } from '../experiments/catalogue.js';
import type { Experiment } from '../experiments/experiment.js';
import { isNeeded } from '../experiments/values.js';
import { about } from './about.js';
import { offered } from './schema.js';
import type { Tool } from './tool.js';

/** In the order in which they are offered. */
export const tools: readonly Tool[] = [...about, ...experiments.filter(writesNothing).map(experimentTool)];

/** @throws SinkscopeError `input` where there is no such tool */
export function toolNamed(name: string): Tool {
  const found = tools.find((one) => one.name === name);
  if (found) return found;
  const names = tools.map((one) => one.name).join(', ');
  throw new SinkscopeError({ code: 'input', message: `There is no tool of this name; tools are ${names}.` });
}

/** Files are written for people alone: what cannot go without one is no tool. */
function writesNothing({ inputs }: Experiment): boolean {
  const left = offered(inputs);
  return Object.keys(inputs).every((name) => name in left || !isNeeded(inputs, name, {}));
}

function experimentTool(experiment: Experiment): Tool {
  const { id, title, description, help, inputs } = experiment;
  return {
    name: `sinkscope_${id.replaceAll('-', '_')}`,
    title,
    description: `${description} (Experiment: ${help}.) It may run for minutes on a large model.`,
    inputs: offered(inputs),
    async *run(desk, given, signal) {
      // An engine of its own: the run that was analysed keeps answering, and all that is held is given back.
      const engine = desk.around.newEngine();
      try {
        // What does not fit of a prompt is left out, which the result says.
        const setup = { ...desk.around.setup(), engine, part: 'first' } as const;
        const { presentation } = yield* experiment.run(setup, given, signal);
        return { presentation };
      } finally {
        engine.dispose();
      }
    },
  };
}
