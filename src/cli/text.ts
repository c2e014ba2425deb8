/** Options and files of the subcommands that run a model over a text. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { defaultThresholds } from '../analysis/thresholds.js';
import { readText } from '../experiments/shared/files.js';

/** What {@link withTextOptions} adds, beside `--json`. */
export interface TextOptions {
  readonly file: string;
  readonly window: number;
  readonly tokens?: number;
  readonly bos?: boolean;
  readonly memory: number;
  readonly json?: boolean;
}

export function withTextOptions(command: Command): Command {
  return withRunOptions(command)
    .requiredOption('--file <path>', 'a UTF-8 text file to measure on')
    .addOption(
      new Option('--window <tokens>', 'length of a sequence, prefix included').argParser(whole('tokens')).default(256),
    )
    .addOption(new Option('--tokens <N>', 'use only the first N tokens of the text').argParser(whole('tokens')));
}

export function withRunOptions(command: Command): Command {
  return command
    .option('--bos', "begin every sequence with the prefix token (default: as the tokenizer's files say)")
    .option('--no-bos', "leave out the model's prefix token (BOS or sink token)")
    .addOption(memoryOption())
    .option('--json', 'print the result as JSON');
}

export function memoryOption(): Option {
  return new Option('--memory <MB>', 'what the engine may hold beside the block it runs')
    .argParser(whole('megabytes'))
    .default(1024);
}

export interface CalibratedOptions extends TextOptions {
  readonly calibrate: string;
  readonly seed: number;
}

export function withCalibration(command: Command): Command {
  return command
    .requiredOption('--calibrate <path>', 'another UTF-8 text file, to find the entries and their means on')
    .addOption(new Option('--seed <n>', 'of the random entries').argParser(parseSeed).default(0));
}

function parseSeed(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('It is a whole number from 0 on.');
  return Number(value);
}

/** All of a calibrated experiment but the model. */
export async function calibratedRequest<Options extends CalibratedOptions>(options: Options) {
  return {
    ...options,
    ...budget(options),
    text: await readText(options.file),
    calibration: await readText(options.calibrate),
    thresholds: defaultThresholds,
  };
}

/** What an experiment takes of the options. */
export function budget({ memory }: { readonly memory: number }) {
  return { memory: memory * 2 ** 20, threads: 0 };
}

/** Reads a whole number from 1 on. */
export function whole(what: string): (value: string) => number {
  return (value) => {
    if (!/^[1-9]\d*$/.test(value)) throw new InvalidArgumentError(`It is a whole number of ${what}, from 1 on.`);
    return Number(value);
  };
}
