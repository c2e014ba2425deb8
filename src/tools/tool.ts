/**
 * What an agent can ask for: a table of tools that serves Model Context Protocol (`sinkscope mcp`) and VS Code's chat
 * alike. Inputs are described as those of experiments are; what a tool gives is a presentation, which is put into words
 * in one place (`words.ts`) and kept under an id, so that more of it can be asked for.
 */
import type { Presentation } from '../analysis/presentation.js';
import type { Progress } from '../experiments/experiment.js';
import type { ExperimentInputs } from '../experiments/facts.js';
import { checkedValues, type Given, type InputValues } from '../experiments/values.js';
import type { Analysed, Desk } from './desk.js';

export interface ToolFacts {
  /** As it is called: lower case and underscores, `sinkscope_analyze`. */
  readonly name: string;
  readonly title: string;
  /** For the one that calls it: what it answers, and when to use it. */
  readonly description: string;
  readonly inputs: ExperimentInputs;
}

/** What a tool gives: kept under an id, unless `more` is of something that is kept already. */
export interface ToolAnswer {
  readonly presentation: Presentation;
  /** A run that can be asked about and compared. */
  readonly analysed?: Analysed;
  /** Where rows of parts begin, in place of 0: these parts alone are put into words. */
  readonly from?: { readonly part: number; readonly row: number };
  /** What to call next, in a sentence. */
  readonly next?: string;
}

/** @throws SinkscopeError where values, files or model do not fit; `cancelled` when `signal` is aborted */
export type ToolRun = AsyncGenerator<Progress, ToolAnswer, void>;

export interface Tool extends ToolFacts {
  /** @param given by name of the input, files read */
  run(desk: Desk, given: Given, signal: AbortSignal): ToolRun;
}

/** A tool with the types of its values; one that is done at once resolves with its answer. */
export function tool<const I extends ExperimentInputs>(
  facts: ToolFacts & { readonly inputs: I },
  run: (desk: Desk, values: InputValues<I>, signal: AbortSignal) => ToolRun | Promise<ToolAnswer>,
): Tool {
  return {
    ...facts,
    async *run(desk, given, signal) {
      const answer = run(desk, checkedValues(facts.inputs, given), signal);
      return answer instanceof Promise ? await answer : yield* answer;
    },
  };
}
