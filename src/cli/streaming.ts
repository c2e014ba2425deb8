import { Command, Option } from 'commander';
import { counted } from '../analysis/format.js';
import type { Engine } from '../engine/host/engine.js';
import { readText } from '../experiments/shared/files.js';
import { meanShare, type StreamingResult, streaming } from '../experiments/streaming/compute.js';
import { presentStreaming } from '../experiments/streaming/present.js';
import { rowJson, rowTable, textJson } from './interventions.js';
import { modelFile } from './model.js';
import { finished } from './progress.js';
import { columns, section } from './table.js';
import { budget, whole, withRunOptions } from './text.js';
import { print } from './words.js';

interface Options {
  readonly file: string;
  readonly window: number;
  readonly sinks: number;
  readonly length: number;
  readonly tokens?: number;
  readonly bos?: boolean;
  readonly memory: number;
  readonly json?: boolean;
}

export function streamingCommand(engine: Engine, signal: AbortSignal): Command {
  return withRunOptions(new Command('streaming'))
    .description('measure what a sliding attention window loses, and what keeping the first tokens gives back')
    .argument('<model>', 'path of a .onnx file, or the name of a bundled model')
    .requiredOption('--file <path>', 'a UTF-8 text file to measure on')
    .addOption(
      new Option('--window <keys>', 'keys a query sees, its own included').argParser(whole('keys')).default(64),
    )
    .addOption(new Option('--sinks <keys>', 'first tokens kept among them').argParser(whole('keys')).default(4))
    .addOption(
      new Option('--length <tokens>', 'length of a sequence, prefix included').argParser(whole('tokens')).default(512),
    )
    .addOption(new Option('--tokens <N>', 'use only the first N tokens of the text').argParser(whole('tokens')))
    .action(async (name: string, options: Options) => {
      const { window, sinks, length, tokens, bos, file } = options;
      const [model, text] = [await modelFile(name), await readText(file)];
      const request = { model, text, window, sinks, length, tokens, bos, ...budget(options) };
      const result = await finished(streaming(engine, request, signal));
      print(options.json, presentStreaming(result, file), toJson(result, file), tables(result));
    });
}

function toJson(result: StreamingResult, file: string) {
  const { model, window, sinks, windows, evicted, rows } = result;
  const { window: length, ...text } = textJson(model, file, windows, rows);
  return {
    ...text,
    length,
    window,
    sinks,
    /** [layer - 1][head], of the first sequence. */
    evicted_share: { window: evicted.window, window_and_sinks: evicted['window and sinks'] },
    rows: rows.map(rowJson),
  };
}

function tables({ window, sinks, evicted, rows }: StreamingResult): string[] {
  const percent = (share: readonly number[]) =>
    share.length === 0 ? '' : `${(100 * meanShare([share])).toFixed(1)} %`;
  const lines = evicted.window.map((shares, i) => [
    `${i + 1}`,
    percent(shares),
    percent(evicted['window and sinks'][i] ?? []),
  ]);
  return [
    section('Perplexity', rowTable(rows)),
    section(
      'Attention mass that is evicted, mean over heads (first sequence)',
      columns(['layer', `window ${window}`], `with ${counted(sinks, 'sink')}`, lines),
    ),
  ];
}
