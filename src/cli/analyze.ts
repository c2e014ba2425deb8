import { resolve } from 'node:path';
import { SingleBar } from 'cli-progress';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type Analysis, emptyAnalysis, fold } from '../analysis/analysis.js';
import { toJson } from '../analysis/result.js';
import { defaultThresholds } from '../analysis/thresholds.js';
import type { RunRequest } from '../engine/contract/events.js';
import type { Engine } from '../engine/host/engine.js';
import { SinkscopeError } from '../errors.js';
import { type InterveneResult, intervened, meansOfSame } from '../experiments/intervene/compute.js';
import { presentIntervene } from '../experiments/intervene/present.js';
import { readText } from '../experiments/shared/files.js';
import { type Change, type Means, resolve as resolveChange, withMeans } from '../experiments/shared/selectors.js';
import { parseChange } from './change.js';
import { modelFile } from './model.js';
import { fitting, parseIndex, promptName } from './prompt.js';
import { against, report } from './report.js';
import { checkTarget } from './save.js';
import { memoryOption } from './text.js';
import { print } from './words.js';

interface Options {
  readonly text?: string;
  readonly file?: string;
  readonly ids?: readonly number[];
  readonly feeds?: string;
  readonly tokenName?: string;
  readonly tokenAxis?: number;
  readonly image?: string;
  readonly bos?: boolean;
  readonly window?: 'first' | 'last';
  readonly memory: number;
  readonly set?: readonly Change[];
  readonly calibrate?: string;
  readonly json?: boolean;
  readonly save?: string;
  readonly attention?: boolean;
  readonly mlp?: boolean;
  readonly logits?: boolean;
}

export function analyzeCommand(engine: Engine, signal: AbortSignal): Command {
  return new Command('analyze')
    .description('run a model on a text and show its massive activations and attention sinks, layer by layer')
    .argument('<model>', 'path of a .onnx file, or the name of a bundled model')
    .addOption(new Option('--text <text>', 'the text itself').conflicts(['file', 'ids', 'feeds']))
    .addOption(new Option('--file <path>', 'a UTF-8 text file').conflicts(['ids', 'feeds']))
    .addOption(new Option('--ids <ids>', 'token ids, as in 1,2,3').conflicts('feeds').argParser(parseIds))
    .addOption(
      new Option('--feeds <path>', 'a .safetensors or .npz file with tensors by input name').conflicts('window'),
    )
    .option('--token-name <word>', 'with --feeds: what a token is, as in "node", where the model takes no token ids')
    .addOption(
      new Option(
        '--token-axis <axis>',
        'with --feeds: the axis of the residual stream that counts tokens, from 0',
      ).argParser(parseIndex),
    )
    .addOption(
      new Option('--image <path>', 'a PNG or JPEG picture, for a vision model').conflicts([
        'text',
        'file',
        'ids',
        'feeds',
        'window',
      ]),
    )
    .option('--bos', 'put the beginning-of-sequence token before the text (default: as the tokenizer does)')
    .option('--no-bos', 'leave it out')
    .addOption(new Option('--window <part>', 'of a text that is too long, the part to run').choices(['first', 'last']))
    .addOption(memoryOption())
    .addOption(
      new Option(
        '--set <change>',
        'change activations, as in "block=2 tokens=massive dims=massive to=zero" (may be given several times)',
      ).argParser(parseChange),
    )
    .option('--calibrate <path>', 'with --set … to=mean: the text that means are taken from')
    .option('--json', 'print the whole result as JSON')
    .option('--save <path>', 'write hidden states (hidden.k, resid_mid.k) to a .safetensors file')
    .option('--attention', 'with --save: attention patterns (attn.k) too')
    .option('--mlp', 'with --save: MLP intermediate states (mlp.k) too')
    .option('--logits', 'with --save: logits too')
    .action(async (model: string, options: Options) => {
      await checkTarget(options.save);
      const asked = await request(model, options);
      const plain = await fitting(run(engine, options.set ? { ...asked, save: undefined } : asked, signal));
      const change = options.set && (await changeOf(engine, asked, options, plain, signal));
      const analysis = change ? await run(engine, { ...asked, interventions: change.interventions }, signal) : plain;
      const said = report(analysis, defaultThresholds, process.stdout.isTTY && !process.env.NO_COLOR);
      if (!change) {
        process.stdout.write(options.json ? `${JSON.stringify(toJson(analysis, defaultThresholds))}\n` : said);
        return;
      }
      const { sequences: calibrated, ...made } = change;
      const result = intervened(plain, analysis, { ...made, calibrated, thresholds: defaultThresholds });
      const shown = presentIntervene(result, { text: nameOf(options), calibration: options.calibrate });
      const tables = [`\n${said}`, against(plain, analysis, defaultThresholds)];
      print(options.json, shown, changedJson(result, options), tables);
    });
}

function nameOf({ ids, feeds, image, ...options }: Options): string {
  return feeds ?? image ?? (ids ? `ids ${ids.join(',')}` : promptName(options));
}

function changedJson({ before, after, interventions, calibrated }: InterveneResult, { set, calibrate }: Options) {
  return {
    ...toJson(after, defaultThresholds),
    /** As they were asked for, and what they mean for this prompt: a mean is a value by then. */
    changes: set,
    interventions,
    calibration:
      calibrated === 0 ? null : { file: calibrate, sequences: calibrated, window: before.layers[0]?.tokens ?? 0 },
    as_is: toJson(before, defaultThresholds),
  };
}

/** What the changes that were asked for mean for this prompt. */
async function changeOf(
  engine: Engine,
  { model, prompt, memory, threads }: RunRequest,
  { set = [], calibrate }: Options,
  plain: Analysis,
  signal: AbortSignal,
): Promise<Means & Pick<InterveneResult, 'warnings'>> {
  const resolved = set.flatMap((change) => resolveChange(change, plain, defaultThresholds));
  if (calibrate === undefined && set.some((change) => change.set.to === 'mean')) {
    throw new SinkscopeError({
      code: 'input',
      message: 'A mean is taken from another text; give one with --calibrate.',
    });
  }
  const calibration = calibrate === undefined ? '' : await readText(calibrate);
  const length = plain.layers[0]?.tokens ?? 0;
  const bos = plain.started?.settings.bos ?? false;
  const made = await withMeans(engine, resolved, { model, memory, threads, calibration, length, bos }, signal);
  const hasMean = set.some((change) => change.set.to === 'mean');
  return { ...made, warnings: hasMean ? meansOfSame(prompt, calibration) : [] };
}

async function request(model: string, options: Options): Promise<RunRequest> {
  const { bos, window, memory, save, attention = false, mlp = false, logits = false } = options;
  return {
    prompt: await prompt(options),
    model: await modelFile(model),
    bos,
    window,
    attention: true,
    memory: memory * 2 ** 20,
    threads: 0,
    save: save === undefined ? undefined : { file: resolve(save), attention, mlp, logits },
  };
}

async function prompt({
  text,
  file,
  ids,
  feeds,
  tokenName,
  tokenAxis,
  image,
  bos,
}: Options): Promise<RunRequest['prompt']> {
  if (bos && (ids ?? feeds ?? image) !== undefined) {
    throw new SinkscopeError({
      code: 'input',
      message: '--bos is about texts: token ids and feeds are run as they are, so put the token among them.',
    });
  }
  if (text !== undefined) return { text };
  if (file !== undefined) return { text: await readText(file) };
  if (ids !== undefined) return { ids };
  if (feeds !== undefined) return { feeds: resolve(feeds), tokenName, tokenAxis };
  if (image !== undefined) return { image: resolve(image) };
  throw new SinkscopeError({
    code: 'input',
    message: 'Nothing to analyze: give --text, --file, --ids, --feeds or --image.',
  });
}

/** Runs to the end, showing on a terminal how far it is. */
async function run(engine: Engine, request: RunRequest, signal: AbortSignal): Promise<Analysis> {
  const bar = new SingleBar({
    format: '{bar} layer {value} of {total}',
    clearOnComplete: true,
    hideCursor: true,
    stream: process.stderr,
    noTTYOutput: false,
    gracefulExit: false, // the command line ends runs itself
  });
  let analysis = emptyAnalysis;
  try {
    for await (const event of engine.analyze(request, signal)) {
      analysis = fold(analysis, event);
      if (event.type === 'started') bar.start(event.model.layers, 0);
      if (event.type === 'layer') bar.update(event.layer);
    }
  } finally {
    bar.stop();
  }
  if (analysis.problem) throw new SinkscopeError(analysis.problem);
  return analysis;
}

function parseIds(value: string): number[] {
  const ids = value.split(',').map((id) => (/^\s*\d+\s*$/.test(id) ? Number(id) : Number.NaN));
  if (!ids.every(Number.isSafeInteger)) throw new InvalidArgumentError('Token ids are whole numbers, as in 1,2,3.');
  return ids;
}
