/**
 * The law of imports. `npm run check` holds every file to it, type imports and dynamic ones too, refuses cycles
 * between files, and prints what the rooms take from each other.
 *
 * A room is a folder with all below it, or a file; `*` stands for any one name. A file belongs to the longest room
 * that holds it. It may import its own room, the first two, and what the room's line names: rooms, which all stand
 * above it, and packages (`node` for those of Node.js).
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSync, Visitor } from 'oxc-parser';

const law = `
src/visible.ts
src/errors.ts                  src/visible.ts
src/schemas.ts                 valibot
src/saving.ts                  node
src/reading.ts                 node
src/processors.ts              node
src/statistics                 src/saving.ts node fflate npyjs valibot
src/onnx                       src/statistics node @bufbuild/protobuf
src/anatomy                    src/onnx node
src/gradients                  src/anatomy src/onnx
src/models                     node valibot
src/tokens                     src/schemas.ts src/statistics src/models node tokenizers @huggingface/jinja pngjs @jsquash/jpeg @imagemagick/magick-wasm valibot
src/engine/contract            src/schemas.ts src/statistics src/anatomy src/tokens valibot
src/engine/questions/*/question.ts src/engine/contract src/schemas.ts valibot
src/engine/questions/questions.ts src/engine/questions/*/question.ts
src/engine/contract/questions.ts src/engine/questions/questions.ts src/schemas.ts valibot
src/engine/contract/protocol.ts src/engine/contract src/schemas.ts valibot
src/engine/guard               node valibot
src/engine/tensors             src/statistics src/onnx
src/engine/inputs              src/engine/contract src/engine/tensors src/statistics src/onnx src/anatomy src/models src/tokens
src/engine/stages/telemetry.ts node
src/engine/stages/session.ts   src/engine/stages/telemetry.ts src/processors.ts src/engine/contract src/engine/tensors src/onnx node onnxruntime-node
src/engine/stages              src/gradients src/engine/stages/session.ts src/engine/inputs src/engine/contract src/engine/tensors src/statistics src/onnx src/anatomy src/models src/tokens node
src/engine/questions           src/engine/stages src/engine/inputs src/engine/contract src/engine/tensors src/statistics
src/engine/jobs                src/saving.ts src/reading.ts src/models/version.ts src/models/folder.ts src/engine/guard src/engine/questions src/engine/stages src/engine/inputs src/engine/contract src/engine/tensors src/statistics src/onnx src/anatomy src/tokens node valibot hyparquet hyparquet-compressors
src/engine/host                src/saving.ts src/engine/guard/note.ts src/engine/contract src/statistics node valibot
src/hub                        src/saving.ts src/engine/contract src/engine/host src/models node valibot @huggingface/hub
src/analysis                   src/engine/contract src/schemas.ts src/statistics src/tokens valibot diff
src/experiments/facts.ts       src/schemas.ts valibot
src/experiments/values.ts      src/experiments/facts.ts
src/experiments/experiment.ts  src/analysis src/engine/contract src/engine/host src/experiments/facts.ts src/experiments/values.ts
src/experiments/shared         src/reading.ts src/schemas.ts src/experiments/experiment.ts src/experiments/values.ts src/analysis src/engine/contract src/engine/host src/statistics src/tokens node valibot
src/experiments/*              src/saving.ts src/processors.ts src/experiments/shared src/experiments/experiment.ts src/experiments/values.ts src/analysis src/engine/contract src/engine/host src/statistics src/models node valibot
src/experiments/catalogue.ts   src/experiments/*/index.ts src/experiments/experiment.ts
src/history                    src/saving.ts src/schemas.ts src/engine/contract node valibot
src/protocol.ts                src/experiments/facts.ts src/analysis src/engine/contract src/schemas.ts valibot
src/report                     src/protocol.ts src/analysis src/engine/contract node fflate
src/tools                      src/models src/experiments src/analysis src/engine/contract src/engine/host node valibot
src/library.ts                 src/models src/experiments src/analysis src/engine/contract src/engine/host
src/cli                        src/report src/protocol.ts src/tools src/saving.ts src/hub src/models src/experiments src/analysis src/engine/contract src/engine/host src/onnx src/statistics node commander cli-progress @modelcontextprotocol/sdk hyparquet-writer package.json
src/extension                  src/history src/report src/protocol.ts src/tools src/hub src/experiments src/analysis src/engine/contract src/engine/host src/models src/anatomy src/statistics src/tokens/shown.ts node vscode valibot src/schemas.ts
webview/experiments/state.ts   src/protocol.ts
webview                        webview/experiments/state.ts src/protocol.ts src/analysis src/engine/contract src/statistics lit @observablehq/plot valibot @vscode/webview-ui-toolkit @vscode/codicons
webview/experiments            webview src/protocol.ts src/experiments/facts.ts src/experiments/values.ts src/analysis src/statistics lit @observablehq/plot valibot
webview/views                  webview src/protocol.ts src/analysis src/engine/contract src/statistics lit @observablehq/plot
webview/model                  webview src/protocol.ts src/analysis src/engine/contract src/statistics lit
webview/app.ts                 webview src/protocol.ts src/analysis lit
webview/panel.ts               webview
webview/report.ts              webview src/report src/protocol.ts
webview/model.ts               webview webview/model
scripts                        node esbuild @vscode/vsce @vscode/test-electron playwright-core oxc-parser
webview/dev                    webview scripts src/protocol.ts src/analysis src/engine/contract src/statistics node esbuild playwright-core @imagemagick/magick-wasm
test/recorder.ts               scripts/record.mjs vitest node
test/support/lists.ts
test/support/hostile.ts         fast-check
test/support/files.ts          node vitest
test/support/built.ts          node
test/support/halved.ts         src node
test/support/hub.ts            node
test/support/engine.ts         test/support/files.ts src/engine/contract src/engine/host src/statistics node vitest
test/support                   test/support/lists.ts test/support/engine.ts test/support/files.ts src test/references node vitest @bufbuild/protobuf onnxruntime-node
test/zoo                       test/support src node esbuild vitest
test/pure                      fast-check markdown-it oxc-parser parse5 scripts/law.mjs scripts/contributions.mjs test/support test/zoo/known.ts src webview package.json package.nls.json node commander pngjs @bufbuild/protobuf fflate vitest
test/process                   @modelcontextprotocol/sdk scripts test/support test/zoo test/references webview/dev/runs webview/dev/runs.ts src node onnxruntime-node fflate esbuild valibot vitest
test/campaigns                 test/zoo/mutate.ts src node esbuild fast-check fflate @bufbuild/protobuf vitest
test/browser                   src/report src/analysis test/support/hostile.ts test/support/lists.ts webview scripts src/protocol.ts node playwright-core pixelmatch pngjs axe-core vitest
test/host                      test/support/halved.ts test/support/hostile.ts test/support/hub.ts test/support/lists.ts scripts/record.mjs src node mocha vscode
test/e2e                       test/support/halved.ts test/support/hub.ts test/support/lists.ts scripts src node playwright-core pixelmatch pngjs yauzl vitest
test/bench/code                src node vscode
test/bench                     test/zoo src scripts webview/dev node esbuild onnxruntime-node
`;

/** What every room may import. */
const forAll = new Set(['src/visible.ts', 'src/errors.ts']);

/** @typedef {{ readonly name: string, readonly may: readonly string[], readonly pattern: RegExp }} Room */

/** @type {readonly Room[]} */
const rooms = law
  .trim()
  .split('\n')
  .map((line) => line.split(/ +/))
  .map(([name, ...may]) => ({ name, may, pattern: patternOf(name) }));

/** What a room's name holds: the file or folder itself and all below it. */
function patternOf(name) {
  const escaped = name.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace('*', '[^/]+');
  return new RegExp(`^${escaped}(/|$)`);
}

/** The room of a file: the longest that holds it, a named one before a pattern; undefined where none does. */
export function roomOf(file) {
  const holding = rooms.filter(({ pattern }) => pattern.test(file));
  return holding.toSorted((a, b) => weight(b) - weight(a))[0];
}

const weight = ({ name }) => 2 * name.split('/').length - (name.includes('*') ? 1 : 0);

function programOf(file, text) {
  const { program, errors: problems } = parseSync(file, text);
  if (problems.length > 0) throw new Error(`${file} cannot be read: ${problems[0].message}`);
  return program;
}

/**
 * What a file imports, in whatever way.
 *
 * @param {{ types?: boolean }} [options] whether imports count that are of types alone and load nothing
 * @returns {string[]} specifiers as they are written; `undefined` for one that is not
 */
export function importsOf(file, text, { types = true } = {}) {
  const found = [];
  const add = ({ source, importKind, exportKind }) => {
    if (source && (types || (importKind !== 'type' && exportKind !== 'type'))) found.push(source.value);
  };
  new Visitor({
    ImportDeclaration: add,
    ExportNamedDeclaration: add,
    ExportAllDeclaration: add,
    ImportExpression: add,
    TSImportType: ({ source }) => types && found.push(source.value),
    TSExternalModuleReference: ({ expression }) => found.push(expression.value),
  }).visit(programOf(file, text));
  return found;
}

/**
 * What a file exports that it declares itself, types included.
 *
 * @returns {string[]} each name once
 */
export function exportsOf(file, text) {
  const found = new Set();
  for (const { type, declaration } of programOf(file, text).body) {
    if (type !== 'ExportNamedDeclaration' || !declaration) continue;
    for (const { id } of declaration.declarations ?? [declaration]) if (id.name) found.add(id.name);
  }
  return [...found];
}

/** The file that a relative specifier means: sources are imported by the name that they are built to. */
export function targetOf(file, specifier, exists) {
  const path = posix.join(posix.dirname(file), specifier);
  return [path, path.replace(/\.js$/, '.ts'), path.replace(/\.mjs$/, '.d.mts')].find(exists);
}

const packageOf = (specifier) =>
  isBuiltin(specifier) ? 'node' : specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');

/**
 * Holds files to the law.
 *
 * @param files text by path from the project's root
 * @param exists whether there is a file of that path, sources or not
 * @returns what breaks it, a sentence each, and what each room takes from which
 */
export function judge(files, exists) {
  const problems = [];
  /** @type {Map<string, Map<string, number>>} */
  const taken = new Map();
  /** @type {Map<string, string[]>} */
  const edges = new Map();
  for (const [file, text] of files) {
    const own = roomOf(file);
    if (!own) {
      problems.push(`${file} is in no room: give its folder a line in scripts/law.mjs`);
      continue;
    }
    const targets = [];
    for (const specifier of importsOf(file, text)) {
      if (specifier === undefined) {
        problems.push(`${file} imports something that is computed, so nobody can tell what`);
        continue;
      }
      const local = specifier.startsWith('.');
      const target = local ? targetOf(file, specifier, exists) : packageOf(specifier);
      if (target === undefined) {
        problems.push(`${file} imports ${specifier}, which is not there`);
        continue;
      }
      if (local) targets.push(target);
      const room = local ? (roomOf(target)?.name ?? target) : target;
      if (room === own.name && sameFolder(own, file, target)) continue;
      const row = taken.get(own.name) ?? new Map();
      taken.set(own.name, row.set(room, (row.get(room) ?? 0) + 1));
      if (!allows(own, target, local)) problems.push(`${file} imports ${specifier}, but ${own.name} may not`);
    }
    edges.set(file, targets);
  }
  return { problems: [...problems, ...cyclesOf(edges)], taken };
}

/**
 * What the law names and is not there, a sentence each.
 *
 * @param {(path: string) => boolean} exists of a path from the project's root
 */
export function emptyRooms(exists) {
  const named = new Set(
    rooms.flatMap(({ name, may }) => [name, ...may.filter((one) => /^(src|webview|scripts|test)\b/.test(one))]),
  );
  const path = (name) => (name.includes('*') ? posix.dirname(name.slice(0, name.indexOf('*') + 1)) : name);
  return [...named].filter((name) => !exists(path(name))).map((name) => `the law names ${name}, which is not there`);
}

/** In a room that a pattern names, each folder is a room of its own. */
function sameFolder({ pattern }, file, target) {
  return pattern.exec(file)?.[0] === pattern.exec(target)?.[0];
}

function allows(own, target, local) {
  if (!local) return own.may.includes(target);
  if (forAll.has(target)) return own.name !== 'src/visible.ts';
  const room = roomOf(target);
  const above = room === undefined || rooms.indexOf(room) < rooms.indexOf(own);
  return above && own.may.some((name) => patternOf(name).test(target));
}

/** A sentence for every cycle between files: each is named once, at the file that closes it. */
function cyclesOf(edges) {
  const problems = [];
  const done = new Set();
  const path = [];
  const visit = (file) => {
    const start = path.indexOf(file);
    if (start >= 0) problems.push(`a cycle: ${[...path.slice(start), file].join(' → ')}`);
    if (start >= 0 || done.has(file)) return;
    path.push(file);
    for (const target of edges.get(file) ?? []) visit(target);
    path.pop();
    done.add(file);
  };
  for (const file of edges.keys()) visit(file);
  return problems;
}

/**
 * The files of the project that can import: tracked or new, and not ignored.
 *
 * @returns {Map<string, string>} text by path from `root`
 */
export function sources(root) {
  const folders = ['src', 'webview', 'test', 'scripts'];
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', ...folders], {
    cwd: root,
    encoding: 'utf8',
  });
  const files = listed.split('\n').filter((file) => /\.m?[jt]s$/.test(file) && existsSync(join(root, file)));
  return new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const exists = (path) => existsSync(join(root, path));
  const { problems, taken } = judge(sources(root), exists);
  problems.push(...emptyRooms(exists));
  for (const { name } of rooms) {
    const row = taken.get(name);
    if (row) console.log(`${name} ← ${[...row].map(([room, count]) => `${room} ${count}`).join(', ')}`);
  }
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
