/**
 * What the documentation points at, held against what is there: links with their anchors, pictures (and that each is
 * shown), files of the project, ids of settings, commands and colours, options of the command line, and the keys of
 * `--json`, each of which has to stand in docs/json.md. `npm run check` runs it.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readCatalogue } from './contributions.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (file) => readFileSync(`${root}/${file}`, 'utf8');

/** As GitHub and VS Code make them of headings, the second of one name with `-1`. */
export function anchorsOf(text) {
  const seen = new Map();
  return new Set(
    proseOf(text)
      .filter((line) => /^#+ /.test(line))
      .map((line) => {
        const words = line.replace(/^#+ /, '').replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');
        const slug = words
          .toLowerCase()
          .replace(/[^\p{L}\p{N}_ -]/gu, '')
          .trim()
          .replaceAll(' ', '-');
        const times = seen.get(slug) ?? 0;
        seen.set(slug, times + 1);
        return times === 0 ? slug : `${slug}-${times}`;
      }),
  );
}

/** The lines of a page that are no code. */
function proseOf(text) {
  let code = false;
  return text.split('\n').filter((line) => {
    if (/^\s*```/.test(line)) code = !code;
    return !code;
  });
}

/**
 * What is wrong with a page, in sentences without the page's name.
 *
 * @param {string} page its path in the project
 * @param {string} text
 * @param {{
 *   files: ReadonlySet<string>, anchors(page: string): ReadonlySet<string>,
 *   ids: ReadonlySet<string>, options: ReadonlyMap<string, ReadonlySet<string>>, programs: string,
 * }} known files and folders of the project, headings, settings and commands, options by subcommand, and the sources
 *   of all other programs that a page may name an option of
 */
export function wrongIn(page, text, { files, anchors, ids, options, programs }) {
  const wrong = [];
  const prose = proseOf(text).join('\n');

  for (const [, link] of prose.replace(/`[^`\n]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^\w+:/.test(link)) continue;
    const [, anchor] = link.split('#');
    const target = targetOf(page, link);
    if (!files.has(target)) wrong.push(`links to ${link}, which is not there`);
    else if (anchor && !anchors(target).has(anchor)) wrong.push(`links to ${link}, which has no such heading`);
  }

  // docs/adding.md shows whole files that are still to be made; a test holds them.
  const made = [...text.matchAll(/^\*\*`([\w/]+\.ts)`\*\*/gm)].map(([, path]) => path);
  for (const [, path] of prose.matchAll(/`((?:[\w-]+\/)*[\w-]+(?:\.\w+)*\.(?:m?ts|mjs|py|sh))`/g))
    if (!made.includes(path) && ![...files].some((file) => `/${file}`.endsWith(`/${path}`)))
      wrong.push(`names ${path}, which is not there`);
  for (const [, path] of prose.matchAll(/`((?:src|webview|test|tools|scripts|docs|media|l10n)\/[\w./-]*)`/g))
    if (!made.includes(path) && !files.has(path.replace(/\/$/, ''))) wrong.push(`names ${path}, which is not there`);

  for (const [, id] of text.matchAll(/[`#](sinkscope\.[\w.]+)[`#]/g))
    if (!ids.has(id) && !/\.(json|safetensors)$/.test(id) && !made.some((path) => path.includes(`/${id.slice(10)}/`)))
      wrong.push(`names ${id}, which is no setting, command or colour`);

  const all = new Set([...options.values()].flatMap((flags) => [...flags]));
  for (const [, line] of text.matchAll(/^(.*(?:sinkscope|node dist\/cli\.js) \w.*)$/gm))
    for (const [, name, rest] of line.matchAll(/(?:sinkscope|node dist\/cli\.js) ([a-z][\w-]*)([^`|#\n]*)/g)) {
      const flags = options.get(name);
      for (const [flag] of flags ? rest.matchAll(/(?<![\w-])--[a-z][\w-]*/g) : [])
        if (!flags.has(flag)) wrong.push(`gives ${name} the option ${flag}, which it does not take`);
    }
  // In words an option of ours stands alone; what begins with another program's name is that one's.
  for (const [, flag] of prose.matchAll(/`(--[a-z][\w-]*)/g))
    if (!all.has(flag) && !programs.includes(flag) && !programs.includes(` ${flag.slice(2)}: { type: `))
      wrong.push(`names the option ${flag}, which nothing takes`);
  return [...new Set(wrong)];
}

/**
 * A page as it is where only `files` are, as in the extension's package: what it links to and is not among them is said
 * without a link.
 *
 * @param {string} page its path
 * @param {string} text
 * @param {ReadonlySet<string>} files by their paths, as the page's own
 */
export function withoutDeadLinks(page, text, files) {
  const isThere = (link) => /^(\w+:|#)/.test(link) || files.has(targetOf(page, link));
  return text.replace(/(?<!!)\[([^\]\n]+)\]\(([^)\s]+)\)/g, (whole, words, link) => (isThere(link) ? whole : words));
}

/** The path that a link of a page leads to, without its anchor. */
function targetOf(page, link) {
  const [path] = link.split('#');
  return path === '' ? page : posix.join(posix.dirname(page), path).replace(/\/$/, '');
}

/**
 * Which keys of `--json` the page about it lacks: each has to stand in its subcommand's row, in one that this row names,
 * or in what is said of all.
 *
 * @param {string} page
 * @param {ReadonlyMap<string, string>} keys as the test of them keeps them, by subcommand and options
 */
export function missingKeys(page, keys) {
  const lines = page.split('\n').map((line) => {
    const names = /^\| ((?:`[\w -]+`(?:, )?)+) \|/.exec(line)?.[1] ?? '';
    return { line, names: [...names.matchAll(/`([^`]+)`/g)].map(([, name]) => name.replace(' --', '-')) };
  });
  const rowOf = (name) => lines.find(({ names }) => names.includes(name))?.line ?? '';
  const ofAll = lines.filter(({ names }) => !names.some((name) => keys.has(name))).map(({ line }) => line);
  return [...keys].flatMap(([command, list]) => {
    const row = rowOf(command);
    const named = [...row.matchAll(/`([\w-]+)`/g)].map(([, name]) => rowOf(name));
    const known = new Set([...ofAll, row, ...named].join('\n').match(/[\w-]+/g));
    return [...list.matchAll(/^((?:\S*\.)?([\w-]+)(?:\[\])*) /gm)]
      .filter(([, , key]) => !known.has(key))
      .map(([, path]) => `docs/json.md lacks ${path} of ${command}`);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' });
  const tracked = listed.split('\n').filter((file) => file !== '' && existsSync(`${root}/${file}`));
  const files = new Set(tracked.flatMap((file) => file.split('/').map((_, i, all) => all.slice(0, i + 1).join('/'))));
  const pages = tracked.filter((file) => file.endsWith('.md') && !/^(test\/text|media)\//.test(file));
  const { commandsOf } = await readCatalogue(root);
  const { configuration, commands, colors } = JSON.parse(read('package.json')).contributes;
  const settings = [configuration].flat().flatMap(({ properties }) => Object.keys(properties));
  const known = {
    files,
    anchors: (page) => anchorsOf(read(page)),
    ids: new Set([...settings, ...commands.map(({ command }) => command), ...colors.map(({ id }) => id)]),
    options: new Map(
      commandsOf(undefined, new AbortController().signal).map((one) => [
        one.name(),
        new Set(['--help', ...one.options.map(({ long }) => long)]),
      ]),
    ),
    programs: tracked
      .filter((file) =>
        /^(scripts|tools|test|webview\/dev|docs\/cluster|\.github)\/.*\.(mjs|ts|py|sh|yaml|yml)$/.test(file),
      )
      .map(read)
      .join('\n'),
  };
  const wrong = pages.flatMap((page) => wrongIn(page, read(page), known).map((what) => `${page} ${what}`));

  const shown = pages.map(read).join('\n');
  for (const picture of tracked.filter((file) => file.startsWith('docs/pictures/')))
    if (!shown.includes(posix.basename(picture))) wrong.push(`${picture} is on no page`);

  const keys = tracked.filter((file) => file.startsWith('test/process/cli/json-keys/'));
  wrong.push(
    ...missingKeys(read('docs/json.md'), new Map(keys.map((file) => [posix.basename(file, '.txt'), read(file)]))),
  );

  for (const what of wrong) console.error(what);
  if (wrong.length > 0) process.exitCode = 1;
}
