/**
 * What the catalogue of experiments and the table of tools say, where they cannot be read from: commands and tools in
 * package.json, their titles in package.nls.json, and the tables in docs/experiments.md, docs/terms.md and docs/reference.md. `node scripts/contributions.mjs` writes them in place; with
 * `--check`, as `npm run check` runs it, it says what differs and writes nothing.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { withReference } from './reference.mjs';
import { code, codes, optionsOf, table } from './tables.mjs';

/** @typedef {import('../src/experiments/facts.js').ExperimentFacts & { command: string, title: string }} Facts */

const json = (value) => `${JSON.stringify(value, undefined, 2)}\n`;

/** Where derived things are kept apart from those that are written by hand: by the key of their title. */
const keyOf = ({ id }) => `experiment.${id}`;
const isDerived = (key) => key.startsWith('experiment.');

/** `list` without what is derived, and `derived` where the first of that stood, or at the end. */
function replaced(list, derived, isOne) {
  const at = list.findIndex(isOne);
  const rest = list.filter((one) => !isOne(one));
  return rest.toSpliced(at < 0 ? rest.length : at, 0, ...derived);
}

/**
 * package.json with a command for each experiment.
 *
 * @param {string} text
 * @param {readonly Facts[]} experiments
 * @param {(experiment: Facts) => string} commandOf
 */
export function withCommands(text, experiments, commandOf) {
  const manifest = JSON.parse(text);
  const derived = experiments.map((one) => {
    return { command: commandOf(one), title: `%${keyOf(one)}%`, category: manifest.displayName };
  });
  const commands = replaced(manifest.contributes.commands, derived, ({ title }) => isDerived(title.slice(1)));
  return json({ ...manifest, contributes: { ...manifest.contributes, commands } });
}

/**
 * package.nls.json with what the palette calls each experiment.
 *
 * @param {string} text
 * @param {readonly Facts[]} experiments
 */
export function withTitles(text, experiments) {
  const derived = experiments.map((one) => [keyOf(one), one.command]);
  return json(Object.fromEntries(replaced(Object.entries(JSON.parse(text)), derived, ([key]) => isDerived(key))));
}

/** @typedef {import('../src/tools/tool.js').ToolFacts} ToolFacts */

/** Titles and descriptions of tools, by key. */
const toolKey = ({ name }) => `tool.${name}`;

/**
 * package.json with each tool for VS Code's chat.
 *
 * @param {string} text
 * @param {readonly ToolFacts[]} tools
 * @param {(inputs: ToolFacts['inputs']) => object} schemaOf
 */
export function withTools(text, tools, schemaOf) {
  const manifest = JSON.parse(text);
  const languageModelTools = tools.map((tool) => ({
    name: tool.name,
    toolReferenceName: tool.name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase()),
    displayName: `%${toolKey(tool)}%`,
    modelDescription: tool.description,
    userDescription: `%${toolKey(tool)}.description%`,
    canBeReferencedInPrompt: true,
    icon: '$(pulse)',
    tags: ['sinkscope', 'onnx', 'interpretability'],
    inputSchema: schemaOf(tool.inputs),
  }));
  return json({ ...manifest, contributes: { ...manifest.contributes, languageModelTools } });
}

/**
 * package.nls.json with what people are told of each tool.
 *
 * @param {string} text
 * @param {readonly ToolFacts[]} tools
 */
export function withToolTitles(text, tools) {
  const derived = tools.flatMap((one) => [
    [toolKey(one), one.title],
    [`${toolKey(one)}.description`, one.description],
  ]);
  const isTool = ([key]) => key.startsWith('tool.');
  return json(Object.fromEntries(replaced(Object.entries(JSON.parse(text)), derived, isTool)));
}

/**
 * A page with its tables between `<!-- experiments -->` or `<!-- inputs of ID -->` and `<!-- end -->`: all experiments,
 * and what one is given.
 *
 * @param {string} text
 * @param {readonly Facts[]} experiments
 * @param {{ subjects: Readonly<Record<string, string>>, sectionOf(page: string, id: string): string | undefined }} index
 *   the questions that experiments are about, and the address of the section about one
 * @throws Error where an experiment has no table, or a table no experiment
 */
export function withTables(text, experiments, { subjects, sectionOf }) {
  const index = experimentTable(experiments, subjects, (id) => sectionOf(text, id));
  const seen = new Set();
  const page = text.replace(/<!-- (experiments|inputs of ([\w-]+)) -->[\s\S]*?<!-- end -->/g, (_, what, id) => {
    const experiment = experiments.find((one) => one.id === id);
    if (id !== undefined && !experiment) throw new Error(`there is no experiment ${id}; take its table out`);
    seen.add(id);
    return `<!-- ${what} -->\n\n${experiment ? inputTable(experiment) : index}\n\n<!-- end -->`;
  });
  const missing = [undefined, ...experiments.map(({ id }) => id)].filter((id) => !seen.has(id));
  if (missing.length === 0) return page;
  const markers = missing.map((id) => `<!-- ${id === undefined ? 'experiments' : `inputs of ${id}`} --><!-- end -->`);
  throw new Error(`a table is missing; where it is to be, write ${markers.join(' and ')}`);
}

/**
 * A page with the table of terms between `<!-- terms -->` and `<!-- end -->`.
 *
 * @param {string} text
 * @param {readonly (readonly [names: string, meaning: string])[]} terms
 */
export function withTermTable(text, terms) {
  const made = `<!-- terms -->\n\n${table(['term', 'meaning'], terms)}\n\n<!-- end -->`;
  return text.replace(/<!-- terms -->[\s\S]*?<!-- end -->/, () => made);
}

/** By question, as the panel lists them. */
function experimentTable(experiments, subjects, sectionOf) {
  const rows = Object.entries(subjects).flatMap(([subject, question]) => {
    const about = experiments.filter((one) => one.about === subject);
    const named = about.map(({ id, title, description }) => [`[${title}](#${sectionOf(id)})`, code(id), description]);
    return about.length === 0 ? [] : [[`**${question}**`, '', ''], ...named];
  });
  return table(['experiment', 'id', 'what it answers'], rows);
}

/** The model that is chosen for all is left out: every experiment that runs one model has it. */
function inputTable({ inputs }) {
  const asked = Object.values(inputs).filter(({ kind, chosen }) => !(kind === 'model' && chosen));
  const rows = asked.map((input) => [input.label, codes(optionsOf(input)), defaultOf(input), boundsOf(input)]);
  return table(['input', 'option', 'unless given', 'what it may be'], rows);
}

const documents = {
  open: 'the open document',
  analysed: 'what was analysed last',
  bundled: '*The Pit and the Pendulum*',
};

function defaultOf({ kind, default: value, open, document, choices }) {
  if (kind === 'choice') return choices[0];
  if (kind === 'switch') return 'off';
  if (value !== undefined) return kind === 'models' ? `the ${value} ones` : `${value}`;
  // The command line has no document that could be meant.
  if (document === 'bundled') return `${documents.bundled}; on the command line ${open ?? 'asked for'}`;
  return document ? documents[document] : (open ?? 'asked for');
}

function boundsOf(input) {
  const { neededFor } = input;
  const only = neededFor ? `, for ${codes(neededFor.is)} only` : '';
  return `${wordsOf(input)}${only}`;
}

function wordsOf({ kind, flag, least, most, extensions, choices, words, pattern }) {
  const bounds = least === undefined ? '' : most === undefined ? ` from ${least} on` : ` from ${least} to ${most}`;
  switch (kind) {
    case 'text':
      return 'a UTF-8 text, or a `.jsonl` or `.parquet` file';
    case 'texts':
      return 'UTF-8 texts, `.jsonl` and `.parquet` files, or a folder of them';
    case 'files':
      return `files: ${codes(extensions.map((one) => `.${one}`))}`;
    case 'model':
      return 'a model';
    case 'models':
      return 'models';
    case 'whole':
      return `a whole number${bounds}`;
    case 'number':
      return `a number${bounds}`;
    case 'choice':
      return codes(choices);
    case 'indices': {
      const index = most === 1 ? 'an index from 0 on' : 'indices from 0 on, as in `0,3`';
      return words.length > 0 ? `${codes(words)}, or ${index}` : index;
    }
    case 'pair':
      return 'two tokens';
    case 'words':
      if (pattern) return pattern.wanted.replace(/^It is |\.$/g, '');
      return (
        { path: 'the path of a file', file: 'the path of a file', folder: 'the path of a folder' }[
          /<(\w+)>/.exec(flag)?.[1]
        ] ?? 'words'
      );
    case 'switch':
      return 'on or off';
    default:
      throw new Error(`nothing is known of inputs that are ${kind}`);
  }
}

/**
 * The catalogue as it stands in the sources.
 *
 * @param {string} root the project's folder
 * @returns {Promise<{
 *   experiments: readonly Facts[],
 *   commandOf(experiment: Facts): string,
 *   tools: readonly ToolFacts[],
 *   schemaOf(inputs: ToolFacts['inputs']): object,
 *   commandsOf(engine: unknown, signal: AbortSignal): readonly import('commander').Command[],
 *   subjects: Readonly<Record<string, string>>,
 *   sectionOf(page: string, id: string): string | undefined,
 *   terms: readonly (readonly [names: string, meaning: string])[],
 * }>}
 */
export async function readCatalogue(root) {
  const { outputFiles } = await build({
    absWorkingDir: root,
    stdin: {
      contents: `export { terms } from './src/analysis/terms.js';
        export { commandsOf } from './src/cli/commands.js';
        export { experiments } from './src/experiments/catalogue.js';
        export { commandOf, subjects } from './src/experiments/facts.js';
        export { sectionOf } from './src/extension/sections.js';
        export { schemaOf } from './src/tools/schema.js';
        export { tools } from './src/tools/table.js';`,
      resolveDir: root,
    },
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    loader: { '.wasm': 'empty' },
    external: ['onnxruntime-node', 'tokenizers', '@imagemagick/magick-wasm'],
    logLevel: 'warning',
  });
  const module = { exports: {} };
  new Function('module', 'exports', 'require', '__dirname', outputFiles[0].text)(
    module,
    module.exports,
    createRequire(import.meta.url),
    `${root}/dist`,
  );
  return module.exports;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const { experiments, subjects, sectionOf, commandOf, commandsOf, tools, schemaOf, terms } = await readCatalogue(root);
  const readJson = async (file) => JSON.parse(await readFile(`${root}/${file}`, 'utf8'));
  const files = {
    'package.json': (text) => withTools(withCommands(text, experiments, commandOf), tools, schemaOf),
    'package.nls.json': (text) => withToolTitles(withTitles(text, experiments), tools),
    'docs/experiments.md': (text) => withTables(text, experiments, { subjects, sectionOf }),
    'docs/terms.md': (text) => withTermTable(text, terms),
    'docs/reference.md': async (text) => {
      const [manifest, titles] = await Promise.all(['package.json', 'package.nls.json'].map(readJson));
      // What a subcommand says of itself needs nothing to run it with.
      return withReference(
        text,
        manifest,
        titles,
        commandsOf(undefined, new AbortController().signal),
        experiments,
        tools,
      );
    },
  };
  for (const [file, made] of Object.entries(files)) {
    try {
      const text = await readFile(`${root}/${file}`, 'utf8');
      const wanted = await made(text);
      if (wanted === text) continue;
      if (!process.argv.includes('--check')) {
        await writeFile(`${root}/${file}`, wanted);
        console.log(`${file}: written`);
        continue;
      }
      console.error(`${file} is not what the catalogue of experiments says; run node scripts/contributions.mjs`);
    } catch (error) {
      console.error(`${file}: ${error.message}`);
    }
    process.exitCode = 1;
  }
}
