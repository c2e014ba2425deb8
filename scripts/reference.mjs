/** docs/reference.md, of what the manifest, the subcommands and the tools say of themselves. */
import { code, codes, optionsOf, table } from './tables.mjs';

/** @typedef {import('../src/experiments/facts.js').ExperimentFacts} Facts */
/** @typedef {import('../src/tools/tool.js').ToolFacts} ToolFacts */

/**
 * The reference with what stands in the manifest and in the definitions of subcommands, between marks of these names.
 *
 * @param {string} text
 * @param {object} manifest package.json
 * @param {Record<string, string>} titles package.nls.json
 * @param {readonly import('commander').Command[]} subcommands
 * @param {readonly Facts[]} experiments
 * @param {readonly ToolFacts[]} tools
 */
export function withReference(text, manifest, titles, subcommands, experiments, tools) {
  const { commands, configuration, keybindings, colors } = manifest.contributes;
  const inWords = (value) => value.replace(/^%(.*)%$/, (_, key) => titles[key] ?? key).replaceAll('\n', ' ');
  const isExperiment = (name) => experiments.some(({ id }) => id === name);
  const keys = (command) => keybindings.filter((one) => one.command === command).map(keysOf);
  const settings = [configuration].flat().flatMap(({ properties }) => Object.entries(properties));
  const parts = {
    commands: table(
      ['command', 'id', 'keys'],
      commands.map(({ command, title }) => [inWords(title), code(command), keys(command).join(', ')]),
    ),
    settings: table(
      ['setting', 'unless set', 'what it is', 'choices'],
      settings.map(([name, { default: value, markdownDescription, description, ...may }]) => {
        const choices = may.enum?.map((choice, i) => {
          const meaning = may.enumDescriptions?.[i];
          return meaning ? `${code(choice)}: ${inWords(meaning).replace(/\.$/, '')}` : code(choice);
        });
        const said = inWords(markdownDescription ?? description ?? '').replaceAll(/`#([\w.]+)#`/g, '`$1`');
        return [code(name), code(JSON.stringify(value)), said, choices?.join('<br>') ?? ''];
      }),
    ),
    colors: table(
      ['colour', 'what it is of'],
      [...new Set(colors.map(({ description }) => description))].map((description) => {
        const ids = colors.filter((one) => one.description === description).map(({ id }) => code(id));
        return [[...new Set([ids[0], ids.at(-1)])].join(' … '), inWords(description)];
      }),
    ),
    options: subcommands
      .filter((one) => !isExperiment(one.name()))
      .map((one) => {
        const usage = [`sinkscope ${one.name()}`, ...one.registeredArguments.map((arg) => usageOf(arg))].join(' ');
        const rows = one.options.map((option) => [code(option.flags), helpOf(option)]);
        return `### \`${usage}\`\n\n${one.description()}\n\n${table(['option', 'what it does'], rows)}`;
      })
      .join('\n\n'),
    shared: sharedTable(subcommands, experiments),
    tools: toolTable(tools, experiments),
  };
  return Object.entries(parts).reduce((page, [name, made]) => {
    const place = new RegExp(`<!-- ${name} -->[\\s\\S]*?<!-- end -->`);
    return page.replace(place, () => `<!-- ${name} -->\n\n${made}\n\n<!-- end -->`);
  }, text);
}

/** What experiments are called as tools is a rule; the others are listed. */
function toolTable(tools, experiments) {
  const toolOf = ({ id }) => `sinkscope_${id.replaceAll('-', '_')}`;
  const names = new Set(tools.map(({ name }) => name));
  const left = experiments.filter((one) => !names.has(toolOf(one))).map(({ id }) => id);
  const ofExperiments = new Set(experiments.map(toolOf));
  const rows = tools
    .filter(({ name }) => !ofExperiments.has(name))
    .map(({ name, description, inputs }) => [code(name), description, codes(Object.keys(inputs))]);
  rows.push([
    `${code('sinkscope_ID')}`,
    `the experiment of this id, with \`_\` for \`-\`; not ${codes(left)}`,
    'its inputs',
  ]);
  return table(['tool', 'what it does', 'given'], rows);
}

const helpOf = ({ description, argChoices }) => [description, ...(argChoices ? [codes(argChoices)] : [])].join(': ');

/** Options of experiments that are none of their inputs: each once for all that describe it in the same words. */
function sharedTable(subcommands, experiments) {
  const rows = new Map();
  for (const experiment of experiments) {
    const own = new Set(Object.values(experiment.inputs).flatMap((input) => optionsOf(input)));
    const { options } = subcommands.find((one) => one.name() === experiment.id);
    for (const option of options.filter(({ flags }) => !own.has(flags))) {
      const cells = [code(option.flags), helpOf(option)];
      const row = rows.get(cells.join()) ?? { cells, ids: [] };
      rows.set(cells.join(), { cells, ids: [...row.ids, experiment.id] });
    }
  }
  const others = (ids) => experiments.map(({ id }) => id).filter((id) => !ids.includes(id));
  const of = (ids) => {
    if (2 * ids.length < experiments.length) return codes(ids);
    return ids.length === experiments.length ? 'all' : `all but ${codes(others(ids))}`;
  };
  return table(
    ['option', 'what it does', 'of'],
    [...rows.values()].map(({ cells, ids }) => [...cells, of(ids)]),
  );
}

const keysOf = ({ key, mac }) => [code(key), ...(mac ? [`macOS ${code(mac)}`] : [])].join('; ');

const usageOf = (argument) => (argument.required ? `<${argument.name()}>` : `[${argument.name()}]`);
