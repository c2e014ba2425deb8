/** Tools about models and runs: which there are, what a file is, a run, what is behind it, and two beside each other. */

import { presentMoved } from '../analysis/moved.js';
import { analysisSettings, presentAnalysis } from '../analysis/present.js';
import { SinkscopeError } from '../errors.js';
import { runPrompt } from '../experiments/shared/run.js';
import { explained, lookInputs } from './explain.js';
import { presentInspection } from './inspection.js';
import { tool } from './tool.js';

const model = {
  kind: 'model',
  label: 'Model',
  flag: '<model>',
  help: 'path of a .onnx file, or a name that sinkscope_models lists',
} as const;
const stream = {
  kind: 'words',
  label: 'Stream',
  flag: '--stream <name>',
  help: 'of a model with several residual streams, the one to show (see sinkscope_inspect)',
  open: 'the one that fits what is given',
} as const;
const result = {
  kind: 'words',
  label: 'Result',
  flag: '--result <id>',
  help: 'id of a result of an earlier call, as in r1',
} as const;

const models = tool(
  {
    name: 'sinkscope_models',
    title: 'List models',
    description:
      'Lists the ONNX models that can be named without a path, and the folders of which files may be opened.',
    inputs: {},
  },
  async ({ around }) => {
    const [known, folders] = await Promise.all([around.models(), around.folders()]);
    return {
      presentation: {
        title: 'Models',
        sentence: folders.length > 0 ? `Files may be opened in ${folders.join(', ')}.` : 'No folder may be opened.',
        settings: [],
        warnings: [],
        parts: [
          {
            kind: 'table',
            heading: 'Models',
            columns: [{ name: 'name' }, { name: 'from' }, { name: 'MB', format: 'number' }, { name: 'file' }],
            rows: known.map(({ name, origin, bytes, file }) => [name, origin, bytes / 1e6, file]),
          },
        ],
      },
    };
  },
);

const inspect = tool(
  {
    name: 'sinkscope_inspect',
    title: 'Inspect a model',
    description:
      'Reads the structure of an ONNX transformer without running it: layers, heads, where residual stream, attention patterns and MLPs are in its graph, how its inputs are fed, and what was not found and why.',
    inputs: { model, stream },
  },
  async ({ engine }, given, signal) => {
    const inspection = await engine.inspect(given.model, signal, { stream: given.stream });
    return { presentation: presentInspection(inspection) };
  },
);

const analyze = tool(
  {
    name: 'sinkscope_analyze',
    title: 'Analyze a text',
    description:
      'Runs a local ONNX transformer on a text and tells its massive activations and attention sinks, layer by layer, and the next token. The id of the result is taken by sinkscope_explain and sinkscope_compare_runs.',
    inputs: {
      model,
      text: { kind: 'text', label: 'Text', flag: '--file <path>', help: 'what the model is run on' },
      bos: {
        kind: 'choice',
        label: 'Prefix token',
        flag: '--bos <how>',
        help: "whether the model's prefix token (BOS) is put before the text; auto: as its tokenizer does",
        choices: ['auto', 'on', 'off'],
      },
      part: {
        kind: 'choice',
        label: 'Part',
        flag: '--window <part>',
        help: 'of a text that is too long, the part to run',
        choices: ['first', 'last'],
      },
      stream,
    },
  },
  async function* (desk, { model: file, text, bos, part, stream: named }, signal) {
    const { thresholds, memory, threads, bos: usual } = desk.around.setup();
    const prefix = bos === 'auto' ? usual : bos === 'on';
    const request = {
      model: file,
      prompt: { text: text.text },
      bos: prefix,
      window: part,
      memory,
      threads,
      stream: named,
    };
    desk.answers(undefined);
    const analysed = { request, analysis: yield* runPrompt(desk.engine, request, signal) };
    desk.answers(analysed);
    return {
      presentation: presentAnalysis(analysed.analysis, thresholds, {
        name: analysed.analysis.started?.model.name,
        whole: true,
      }),
      analysed,
      next: 'To look closer, call sinkscope_explain with result RESULT and a token, a layer, or a layer with a head.',
    };
  },
);

const explain = tool(
  {
    name: 'sinkscope_explain',
    title: 'Explain a token, layer or head',
    description:
      'Looks into a run of sinkscope_analyze: with a token, its size and the attention it draws at every layer, and what would come after it; with a layer, its largest entries and what its heads are drawn to; with a layer and a head, that head’s attention pattern (with a token besides: where that token looks).',
    inputs: { result, ...lookInputs },
  },
  async function* (desk, { result: id, ...at }, signal) {
    const analysed = desk.analysed(id);
    const { thresholds } = desk.around.setup();
    const { engine } = desk;
    // It is run again where another run was made since.
    async function* ready() {
      if (desk.isAnswering(analysed)) return;
      desk.answers(undefined);
      yield* runPrompt(engine, analysed.request, signal);
      desk.answers(analysed);
    }
    const run = { engine, analysis: analysed.analysis, thresholds, ready };
    const { sentence, parts } = yield* explained(run, at, signal);
    const settings = [{ name: 'run', value: id }, ...analysisSettings(analysed.analysis, thresholds)];
    return { presentation: { title: 'A closer look', sentence, settings, warnings: [], parts } };
  },
);

const compareRuns = tool(
  {
    name: 'sinkscope_compare_runs',
    title: 'Compare two runs',
    description:
      'Tells what moved between two runs of sinkscope_analyze: of a model and its quantised form, of two prompts, with and without a prefix token. Massive activations and sinks that came or went, layers that changed, the next token.',
    inputs: {
      before: { ...result, label: 'Before', flag: '--before <id>' },
      after: { ...result, label: 'After', flag: '--after <id>' },
    },
  },
  async (desk, { before, after }) => {
    const [first, second] = [desk.analysed(before), desk.analysed(after)];
    const moved = presentMoved(first.analysis, second.analysis, desk.around.setup().thresholds);
    return {
      presentation: { ...moved, settings: [{ name: 'runs', value: `${before} → ${after}` }, ...moved.settings] },
    };
  },
);

const more = tool(
  {
    name: 'sinkscope_more',
    title: 'More rows of a result',
    description: 'Shows more rows of one part of an earlier result, where it says that there are more.',
    inputs: {
      result,
      part: { kind: 'whole', label: 'Part', flag: '--part <index>', help: 'number of the part, from 0', least: 0 },
      from: {
        kind: 'whole',
        label: 'From',
        flag: '--from <row>',
        help: 'first row to show, from 0',
        least: 0,
        default: 0,
      },
    },
  },
  async (desk, { result: id, part, from }) => {
    const { presentation } = desk.result(id);
    if (part >= presentation.parts.length) {
      const message = `Result ${id} has ${presentation.parts.length} parts, counted from 0; there is no part ${part}.`;
      throw new SinkscopeError({ code: 'input', message });
    }
    return { presentation, from: { part, row: from } };
  },
);

export const about = [models, inspect, analyze, explain, compareRuns, more];
