import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Analysis } from '../analysis/analysis.js';
import { baseName } from '../analysis/label.js';
import { presentAnalysis } from '../analysis/present.js';
import { toJson } from '../analysis/result.js';
import { defaultThresholds } from '../analysis/thresholds.js';
import type { RunRequest } from '../engine/contract/events.js';
import type { Engine } from '../engine/host/engine.js';
import { SinkscopeError } from '../errors.js';
import { chatIsOfTexts, outcomeOf } from '../experiments/experiment.js';
import type { Change } from '../experiments/intervene/change.js';
import { meansOfSame, sideBySide } from '../experiments/intervene/compute.js';
import { interveneJson } from '../experiments/intervene/json.js';
import { presentIntervene } from '../experiments/intervene/present.js';
import { resolve as resolveChange, withMeans } from '../experiments/intervene/selectors.js';
import { readDocument } from '../experiments/shared/files.js';
import { runPrompt } from '../experiments/shared/run.js';
import type { NamedText } from '../experiments/values.js';
import { modelFile } from '../models/named.js';
import { parseChange } from './change.js';
import {
  adviseOnLength,
  type BudgetOptions,
  budgetOf,
  chatOptions,
  engineOptions,
  type HowRun,
  lineEndsOption,
  partOption,
  read,
  streamOption,
  takeHow,
  tokenizerOption,
  typedName,
} from './options.js';
import { printOutcome } from './print.js';
import { drawProgress } from './progress.js';
import { against, report } from './report.js';
import { checkSaves } from './save.js';
import { printMarkdown, type Sharing, saveReport, sharingOptions } from './sharing.js';
import { print, printJson } from './terminal.js';

interface Options extends HowRun, Sharing, BudgetOptions {
  readonly text?: string;
  readonly file?: string;
  readonly ids?: readonly number[];
  readonly feeds?: string;
  readonly tokenName?: string;
  readonly tokenAxis?: number;
  readonly image?: string;
  readonly window?: 'first' | 'last';
  readonly set?: readonly Change[];
  readonly calibrate?: string;
  readonly json?: boolean;
  readonly save?: string;
  readonly attention?: boolean;
  readonly mlp?: boolean;
  readonly logits?: boolean;
}

export function analyzeCommand(engine: Engine, signal: AbortSignal): Command {
  const command = new Command('analyze')
    .description('run a model on a text and show its massive activations and attention sinks, layer by layer')
    .argument('<model>', 'path of a .onnx file or of a folder with one, or the name of a bundled model')
    .addOption(new Option('--text <text>', 'the text itself').conflicts(['file', 'ids']))
    .addOption(new Option('--file <path>', 'a UTF-8 text file, or one of records (.jsonl, .parquet)').conflicts('ids'))
    .addOption(new Option('--ids <ids>', 'token ids, as in 1,2,3').argParser(parseIds))
    .addOption(
      new Option(
        '--feeds <path>',
        'a .safetensors or .npz file with tensors by input name: all, or those that a text or ids leave open',
      ).conflicts('window'),
    )
    .option('--token-name <word>', 'with --feeds: what a token is, as in "node", where the model takes no token ids')
    .addOption(
      new Option(
        '--token-axis <axis>',
        'with --feeds: the axis of the residual stream that counts tokens, from 0',
      ).argParser(read({ kind: 'whole', label: 'Axis', flag: '--token-axis <axis>', help: '', least: 0 })),
    )
    .addOption(
      new Option('--image <path>', 'a picture (PNG, JPEG, WebP, GIF, BMP, TIFF), for a vision model').conflicts([
        'text',
        'file',
        'ids',
        'feeds',
        'window',
      ]),
    )
    .option('--bos', 'put the beginning-of-sequence token before the text (default: as the tokenizer does)')
    .option('--no-bos', 'leave it out')
    .addOption(lineEndsOption())
    .addOption(streamOption())
    .addOption(tokenizerOption())
    .addOption(partOption())
    .addOption(
      new Option(
        '--set <change>',
        'change activations, as in "block=2 tokens=massive dims=massive to=zero" (may be given several times)',
      ).argParser(parseChange),
    )
    .option('--calibrate <path>', 'with --set … to=mean: the text that means are taken from')
    .option('--json', 'print the whole result as JSON')
    .option('--save <path>', 'write hidden states (hidden.k, resid_mid.k) to a .safetensors file')
    .option('--attention', 'with --save: attention patterns (attn.k, cross.k) too')
    .option('--mlp', 'with --save: MLP intermediate states (mlp.k) too')
    .option('--logits', 'with --save: logits too');
  for (const option of [...engineOptions(), ...chatOptions(), ...sharingOptions()]) command.addOption(option);
  return command.action(async (model: string, options: Options) => {
    await checkSaves(options.save);
    await checkSaves(options.report);
    takeHow(engine, options);
    const wanted = await requestOf(model, options, engine);
    const name = options.text === undefined ? baseName(nameOf(options)) : typedName(options.text);
    const run = (request: RunRequest) => drawProgress(runPrompt(engine, request, signal));
    if (!options.set) {
      const analysis = await adviseOnLength(run(wanted));
      const shown = presentAnalysis(analysis, defaultThresholds, { name });
      try {
        await saveReport(options.report, { name, analysis }, shown);
      } finally {
        if (options.markdown) printMarkdown(shown);
        else if (options.json) printJson(toJson(analysis, defaultThresholds));
        else print(report(analysis, defaultThresholds));
      }
      return;
    }
    const plain = await adviseOnLength(run({ ...wanted, save: undefined }));
    const calibration = await calibrationOf(options, engine);
    const made = await interventionsOf(engine, wanted, { changes: options.set, plain, calibration }, signal);
    const analysis = await run({ ...wanted, interventions: made.interventions });
    const result = sideBySide(plain, analysis, { ...made, changes: options.set, thresholds: defaultThresholds });
    const presentation = presentIntervene(result, { text: { name: nameOf(options) }, calibration });
    const tables = ['', ...report(analysis, defaultThresholds), ...against(plain, analysis, defaultThresholds)];
    const changed = {
      number: 1,
      experiment: 'intervene',
      title: presentation.title,
      status: 'finished',
      presentation,
    } as const;
    try {
      await saveReport(options.report, { name, analysis, experiments: [changed] }, presentation);
    } finally {
      printOutcome(options, outcomeOf(presentation, interveneJson(result, calibration)), tables);
    }
  });
}

function nameOf({ ids, feeds, image, file, text }: Options): string {
  return file ?? (ids ? `ids ${ids.join(',')}` : text === undefined ? (feeds ?? image ?? '') : typedName(text));
}

async function calibrationOf({ set = [], calibrate: file }: Options, engine: Engine): Promise<NamedText | undefined> {
  if (file !== undefined) return { name: file, file, text: await readDocument(file, engine) };
  if (set.every((change) => change.set.to !== 'mean')) return undefined;
  throw new SinkscopeError({
    code: 'input',
    message: 'A mean is taken from another text; give one with --calibrate.',
  });
}

/** What the changes that were asked for mean for this prompt. */
async function interventionsOf(
  engine: Engine,
  { model, prompt, memory, threads }: RunRequest,
  given: { readonly changes: readonly Change[]; readonly plain: Analysis; readonly calibration?: NamedText },
  signal: AbortSignal,
) {
  const { changes, plain, calibration } = given;
  const resolved = changes.flatMap((change) => resolveChange(change, plain, defaultThresholds));
  const calibrationText = calibration?.text ?? '';
  const length = plain.layers[0]?.tokens ?? 0;
  const bos = plain.started?.settings.bos ?? false;
  const means = { model, memory, threads, calibrationText, length, bos };
  const { interventions, sequences: calibrated } = await withMeans(engine, resolved, means, signal);
  const hasMean = changes.some(({ set }) => set.to === 'mean');
  return { interventions, calibrated, warnings: hasMean ? meansOfSame(prompt, calibrationText) : [] };
}

async function requestOf(model: string, options: Options, engine: Engine): Promise<RunRequest> {
  const { bos, window, save, attention = false, mlp = false, logits = false } = options;
  return {
    prompt: await prompt(options, engine),
    model: await modelFile(model),
    bos,
    window,
    attention: true,
    ...budgetOf(options),
    save: save === undefined ? undefined : { file: resolve(save), attention, mlp, logits },
  };
}

async function prompt(
  { text, file, ids, feeds, tokenName, tokenAxis, image, bos, chat }: Options,
  engine: Engine,
): Promise<RunRequest['prompt']> {
  if (bos && (text ?? file) === undefined && (ids ?? feeds ?? image) !== undefined) {
    throw new SinkscopeError({
      code: 'input',
      message: '--bos is about texts: token ids and feeds are run as they are, so put the token among them.',
    });
  }
  if (chat === 'on' && (ids ?? feeds ?? image) !== undefined) {
    throw new SinkscopeError({
      code: 'input',
      message: chatIsOfTexts,
    });
  }
  const beside = feeds === undefined ? undefined : resolve(feeds);
  const isOfTokens = (text ?? file ?? ids) !== undefined;
  if (isOfTokens && beside !== undefined && (tokenName !== undefined || tokenAxis !== undefined)) {
    throw new SinkscopeError({
      code: 'input',
      message: '--token-name and --token-axis are about feeds alone: leave them out, for the text tells the tokens.',
    });
  }
  if (text !== undefined) return { text, beside };
  if (file !== undefined) return { text: await readDocument(file, engine), beside };
  if (ids !== undefined) return { ids, beside };
  if (feeds !== undefined) return { feeds: resolve(feeds), tokenName, tokenAxis };
  if (image !== undefined) return { image: resolve(image) };
  throw new SinkscopeError({
    code: 'input',
    message: 'Nothing to analyze: give --text, --file, --ids, --feeds or --image.',
  });
}

function parseIds(value: string): number[] {
  const ids = value.split(',').map((id) => (/^\s*\d+\s*$/.test(id) ? Number(id) : Number.NaN));
  if (!ids.every(Number.isSafeInteger)) throw new InvalidArgumentError('Token ids are whole numbers, as in 1,2,3.');
  return ids;
}
