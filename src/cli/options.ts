/** Options that several subcommands have, and how their values are read. */
import { resolve } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { type Device, devices } from '../engine/contract/device.js';
import { defaultBudget } from '../engine/host/budget.js';
import type { Engine } from '../engine/host/engine.js';
import { SinkscopeError } from '../errors.js';
import type { ExperimentInput } from '../experiments/facts.js';
import { valueIn, wantedOf } from '../experiments/values.js';

/** Reads what an input asks for. */
export const read = (input: ExperimentInput) => (words: string) => {
  const value = valueIn(input, words);
  if (value === undefined) throw new InvalidArgumentError(wantedOf(input));
  return value;
};

/** What an engine may use, and what runs the model. */
export const engineOptions = (): Option[] => [memoryOption(), threadsOption(), deviceOption()];

function memoryOption(): Option {
  const flag = '--memory <MB>';
  const help = 'memory that the engine may hold beside the block it runs';
  const megabytes = { kind: 'whole', label: 'Memory', flag, help, least: 1, unit: 'megabytes' } as const;
  return new Option(flag, help)
    .argParser(read(megabytes))
    .default(defaultBudget() / 2 ** 20, "a quarter of the machine's");
}

function threadsOption(): Option {
  const flag = '--threads <n>';
  const help = 'threads that one run uses; 0: OMP_NUM_THREADS where it is set, or what ONNX Runtime chooses';
  return new Option(flag, help)
    .argParser(read({ kind: 'whole', label: 'Threads', flag, help, least: 0, most: 256 }))
    .default(0);
}

function deviceOption(): Option {
  const help =
    'what runs the model: the CPU, a provider of ONNX Runtime for graphics cards, or auto: a card whose first block is the CPU’s, else the CPU';
  return new Option('--device <device>', help).choices(devices).default('cpu');
}

export function streamOption(): Option {
  return new Option('--stream <name>', 'of a model with several residual streams, the one to show (see inspect)');
}

export function lineEndsOption(): Option {
  const help = 'how line ends of texts are read: CR LF and CR as LF, which models are trained on, or as they are';
  return new Option('--line-ends <how>', help).choices(['lf', 'as-is']).default('lf');
}

export function chatOptions(): Option[] {
  const help = "whether the text is the user's turn of a chat, as the chat template beside the model writes it";
  return [
    new Option('--chat <how>', help).choices(['off', 'on']).default('off'),
    new Option('--system <text>', "with --chat on: the system's text, before the user's"),
  ];
}

/** @throws SinkscopeError `input` for a system's text without a chat */
function chatFrom(chat: HowRun['chat'], system: string | undefined): Engine['chat'] {
  if (chat === 'on') return system === undefined ? {} : { system };
  if (system === undefined) return undefined;
  throw new SinkscopeError({
    code: 'input',
    message: "The system's text is part of a chat: give --chat on as well, or leave it out.",
  });
}

export function tokenizerOption(): Option {
  return new Option('--tokenizer <path>', "a tokenizer.json, in the place of what lies beside the model's file");
}

/** How a command's models are run, whatever it asks of them. */
export interface HowRun {
  readonly device?: Device;
  readonly stream?: string;
  readonly tokenizer?: string;
  readonly bos?: boolean;
  readonly lineEnds?: 'lf' | 'as-is';
  readonly chat?: 'off' | 'on';
  readonly system?: string;
}

/**
 * Has all models of a command run so; where something is left out, as the engine does by itself.
 *
 * @throws SinkscopeError `input` where options do not go together
 */
export function takeHow(engine: Engine, { device, stream, tokenizer, lineEnds, chat, system }: HowRun): void {
  if (device !== undefined) engine.device = device;
  engine.chat = chatFrom(chat, system);
  if (stream !== undefined) engine.choose(stream);
  if (lineEnds !== undefined) engine.lineEnds = lineEnds;
  if (tokenizer === undefined) return;
  const file = resolve(tokenizer);
  engine.useTokenizers(() => file);
}

/** What an engine may use, as the options say. */
export interface BudgetOptions {
  /** Megabytes. */
  readonly memory: number;
  readonly threads: number;
}

/** The same in bytes. */
export const budgetOf = ({ memory, threads }: BudgetOptions) => ({ memory: memory * 2 ** 20, threads });

export function partOption(): Option {
  return new Option('--window <part>', 'of a text that is too long, the part to run').choices(['first', 'last']);
}

/**
 * What `run` comes to.
 *
 * @throws SinkscopeError as `run`; for a text that is too long, with what can be done about it here
 */
export async function adviseOnLength<T>(run: Promise<T>): Promise<T> {
  try {
    return await run;
  } catch (error) {
    if (!SinkscopeError.is(error, 'too-long') || !error.limit) throw error;
    const message = `${error.message} Use --window first or --window last.`;
    throw new SinkscopeError({ ...error, message }, { cause: error });
  }
}

/** Characters of a text that are its name. */
const named = 40;

/** What a text is called that was typed. */
export function typedName(text: string): string {
  const characters = [...text];
  return JSON.stringify(characters.length > named ? `${characters.slice(0, named).join('')}…` : text);
}
