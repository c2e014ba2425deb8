/** `sinkscope check`: rules that a model has to keep, for continuous integration. */
import { Command, Option } from 'commander';
import { defaultThresholds } from '../analysis/thresholds.js';
import type { Device } from '../engine/contract/device.js';
import type { Engine } from '../engine/host/engine.js';
import { SinkscopeError } from '../errors.js';
import { compareQuantised, type QuantisedResult } from '../experiments/compare-quantised/compute.js';
import { measurePrecision } from '../experiments/precision/compute.js';
import { readDocument } from '../experiments/shared/files.js';
import { modelFile } from '../models/named.js';
import { quoted } from '../visible.js';
import { type BudgetOptions, budgetOf, engineOptions, read } from './options.js';
import { drawProgress } from './progress.js';
import { type Evidence, headroomVerdict, kldVerdict, type PlacedToken, ratioVerdict, sameTopVerdict } from './rules.js';
import { print, printJson } from './terminal.js';
import { checks, type Form, formats, shown, type Verdict } from './verdicts.js';

/** RuleLimits; undefined: not held to. */
export interface RuleLimits {
  readonly maxKld?: number;
  readonly minSameTop?: number;
  readonly minFp16Headroom?: number;
  readonly maxMassiveRatio?: number;
}

interface Options extends RuleLimits, BudgetOptions {
  readonly against?: string;
  readonly file: string;
  readonly tokens: number;
  readonly format: Form;
  readonly bos?: boolean;
  readonly device: Device;
}

/** Windows of a comparison are no longer. */
const longestWindow = 256;

const number = (flag: string, help: string) => {
  const input = { kind: 'number', label: flag, flag, help, least: 0 } as const;
  return new Option(flag, help).argParser(read(input));
};

export function checkCommand(engine: Engine, signal: AbortSignal): Command {
  const tokens = '--tokens <N>';
  const command = new Command('check')
    .description('hold a model to rules, and end with 1 where one is broken, with 2 where it cannot be checked')
    .argument('<model>', 'path of a .onnx file or of a folder with one, or the name of a bundled model')
    .option('--against <model>', 'the model it was made from, for --max-kld and --min-same-top')
    .requiredOption('--file <path>', 'a UTF-8 text file, or one of records (.jsonl, .parquet), to run')
    .addOption(
      new Option(tokens, 'run the first N tokens, prefix included')
        .argParser(read({ kind: 'whole', label: 'Tokens', flag: tokens, help: '', least: 2, unit: 'tokens' }))
        .default(longestWindow),
    )
    .addOption(number('--max-kld <nats>', checks['max-kld']))
    .addOption(number('--min-same-top <share>', checks['min-same-top']))
    .addOption(number('--min-fp16-headroom <times>', checks['min-fp16-headroom']))
    .addOption(number('--max-massive-ratio <times>', checks['max-massive-ratio']))
    .addOption(new Option('--format <form>', 'of what is printed').choices(formats).default('text'))
    .option('--no-bos', "leave out the model's prefix token (BOS or sink token)")
    .action(async (model: string, options: Options) => {
      checkOptions(options);
      engine.device = options.device;
      const verdicts = await judge(engine, await modelFile(model), options, signal);
      const { against, file, format } = options;
      const printed = shown({ model, against, file, lineEnds: engine.lineEnds, verdicts }, format);
      if ('json' in printed) printJson(printed.json, 2);
      else print(printed.lines);
      if (verdicts.some(({ broken }) => broken)) process.exitCode = 1;
    });
  for (const option of engineOptions()) command.addOption(option);
  return command;
}

const comparing = ({ maxKld, minSameTop }: RuleLimits) => maxKld !== undefined || minSameTop !== undefined;
const alone = ({ minFp16Headroom, maxMassiveRatio }: RuleLimits) =>
  minFp16Headroom !== undefined || maxMassiveRatio !== undefined;

/** @throws SinkscopeError `input` where there is no rule, or nothing that one is to be held against */
function checkOptions(options: Options): void {
  const fail = (message: string) => new SinkscopeError({ code: 'input', message });
  if (!comparing(options) && !alone(options))
    throw fail(
      'There is no rule to hold the model to: give --max-kld, --min-same-top, --min-fp16-headroom or --max-massive-ratio.',
    );
  if (comparing(options) && options.against === undefined)
    throw fail(
      '--max-kld and --min-same-top compare with the model that this one was made from: give it by --against.',
    );
}

async function judge(
  engine: Engine,
  model: string,
  options: Options,
  signal: AbortSignal,
): Promise<readonly Verdict[]> {
  const { against, file, tokens, bos } = options;
  const text = await readDocument(file, engine);
  // Commander has true where nothing is said: then it is as the model's files say.
  const request = { ...budgetOf(options), model, text, tokens, ...(bos === false && { bos }) };
  const { minFp16Headroom, maxMassiveRatio, maxKld, minSameTop } = options;
  const verdicts: Verdict[] = [];
  if (alone(options)) {
    const result = await drawProgress(measurePrecision(engine, request, signal));
    if (minFp16Headroom !== undefined) verdicts.push(headroomVerdict(result, minFp16Headroom));
    if (maxMassiveRatio !== undefined) verdicts.push(ratioVerdict(result, maxMassiveRatio));
  }
  if (comparing(options) && against !== undefined) {
    const window = Math.min(tokens, longestWindow);
    const pair = { ...request, window, reference: await modelFile(against), thresholds: defaultThresholds };
    const result = await drawProgress(compareQuantised(engine, pair, signal));
    const evidence = await evidenceOf(engine, result, signal);
    if (maxKld !== undefined) verdicts.push(kldVerdict(result, evidence, maxKld));
    if (minSameTop !== undefined) verdicts.push(sameTopVerdict(result, evidence, minSameTop));
  }
  return verdicts;
}

/** Tokens that a comparison has to name, by their place in the text. */
async function evidenceOf(engine: Engine, result: QuantisedResult, signal: AbortSignal): Promise<Evidence> {
  const { reference, windows, farthest, worst } = result;
  const { sequences, stride, prefix } = windows;
  const idOf = (sequence: number, token: number) => sequences[sequence]?.ids[token] ?? 0;
  // The token that is scored is predicted after the one before it.
  const before = worst && {
    sequence: worst.sequence,
    token: (sequences[worst.sequence]?.from ?? 1) + worst.scored - 1,
  };
  const ids = [...farthest, before].map((one) => (one ? idOf(one.sequence, one.token) : 0));
  const texts = await engine.decode(reference, ids, signal);
  const placed = (sequence: number, token: number, text = ''): PlacedToken => {
    // Every window begins with the prefix, which is the text's first token once.
    const isPrefix = prefix !== undefined && token === 0;
    return { token: isPrefix ? 0 : sequence * stride + token, text: quoted(text) };
  };
  return {
    moved: farthest.map((one, k) => one && { ...placed(one.sequence, one.token, texts[k]), dim: one.dim }),
    worst: before && placed(before.sequence, before.token, texts.at(-1)),
  };
}
