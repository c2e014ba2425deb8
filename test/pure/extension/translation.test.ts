/** The editor's languages: what VS Code alone shows is there in each, whole and with the same places in it. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Node, parseSync, Visitor } from 'oxc-parser';
import { describe, expect, it } from 'vitest';
import manifest from '../../../package.json';
import titles from '../../../package.nls.json';
import { sources } from '../../../scripts/law.mjs';

const root = new URL('../../../', import.meta.url);
const textsOf = (path: string): Record<string, string> => JSON.parse(readFileSync(new URL(path, root), 'utf8'));
const languagesIn = (folder: string, name: RegExp) =>
  readdirSync(new URL(folder, root)).flatMap((file) => name.exec(file)?.[1] ?? []);

/**
 * Every string that a source gives to `vscode.l10n.t`: directly, by a shorter name, or through a function of the file
 * that hands its first parameter on.
 *
 * @throws Error where one cannot be read there, so that no translation would be asked for it
 */
function saidIn(file: string, text: string): string[] {
  const written = ({ start, end }: Node) => text.slice(start, end);
  const { program } = parseSync(file, text);
  const names = new Set(['vscode.l10n.t']);
  const handed: { readonly name: string; readonly within: Node }[] = [];
  const said: string[] = [];
  let followed = 0;
  new Visitor({
    VariableDeclarator({ id, init }) {
      if (id.type !== 'Identifier' || !init) return;
      if (written(init) === 'vscode.l10n.t') {
        names.add(id.name);
        followed++;
      }
      const first = init.type === 'ArrowFunctionExpression' ? init.params[0] : undefined;
      if (first?.type !== 'Identifier' || !written(init).includes(`vscode.l10n.t(${first.name}, `)) return;
      names.add(id.name);
      handed.push({ name: first.name, within: init });
    },
  }).visit(program);
  new Visitor({
    CallExpression(call) {
      if (!names.has(written(call.callee))) return;
      if (written(call.callee) === 'vscode.l10n.t') followed++;
      const [first] = call.arguments;
      if (first?.type === 'Literal' && typeof first.value === 'string') said.push(first.value);
      else if (!handed.some(({ name, within }) => first && written(first) === name && isIn(call, within)))
        throw new Error(`${file}: ${written(call)} says what stands elsewhere; give it the string itself`);
    },
    ExportNamedDeclaration({ declaration }) {
      if (declaration?.type !== 'VariableDeclaration') return;
      if (declaration.declarations.some(({ id }) => names.has(written(id))))
        throw new Error(`${file}: what other files say through it is not looked for; let them call vscode.l10n.t`);
    },
  }).visit(program);
  if (text.match(/\bl10n\b/g)?.length !== (followed || undefined))
    throw new Error(`${file}: l10n is used in a way that is not followed here; call vscode.l10n.t`);
  return said;
}

const isIn = (inner: Node, outer: Node) => outer.start <= inner.start && inner.end <= outer.end;

/** What is put in its place, styled or done: the same in every language. */
const fixed = (text: string) =>
  (text.match(/\{\d+\}|\]\(command:[^)]*\)|`[^`]*`|https?:\S+\w|\*+|[▲△⚓]/gu) ?? []).toSorted();

describe('strings given to vscode.l10n.t', () => {
  it.each([
    ["vscode.l10n.t('a'); vscode.l10n.t(\n  'b {0}',\n  c,\n)", ['a', 'b {0}']],
    ["const t = vscode.l10n.t; f(t('a'), t('b'))", ['a', 'b']],
    ["const words = (text: string, ...of: X[]): Y => g(vscode.l10n.t(text, ...of)); words('a', 1)", ['a']],
    ["t('a'); words('b')", []],
  ])('are found in %j', (text, found) => expect(saidIn('a.ts', text)).toEqual(found));

  it.each([
    'vscode.l10n.t(a)',
    'vscode.l10n.t(`a`)',
    "vscode.l10n.t({ message: 'a', comment: 'b' })",
    "vscode.l10n.t(b ? 'a' : 'c')",
    'const words = (text) => vscode.l10n.t(text, 1); words(a)',
    'const words = (text) => vscode.l10n.t(text, 1); export const other = (text) => vscode.l10n.t(text)',
    "export const words = (text) => vscode.l10n.t(text, 1); words('a')",
    "const { l10n } = vscode; l10n.t('a')",
    'const titles = [vscode.l10n.t].map(f)',
  ])('are asked for in %j', (text) => expect(() => saidIn('a.ts', text)).toThrow(/^a\.ts: /));
});

const said = Array.from(sources(fileURLToPath(root)))
  .filter(([file]) => file.startsWith('src/'))
  .flatMap(([file, text]) => saidIn(file, text));
const bundle = Object.fromEntries(said.map((text) => [text, text]));
const languages = languagesIn('.', /^package\.nls\.(.+)\.json$/);

it('a language has both its files, where VS Code looks for them', () => {
  expect(languages).toContain('de');
  expect(manifest.l10n).toBe('./l10n');
  expect(languagesIn('l10n/', /^bundle\.l10n\.(.+)\.json$/)).toEqual(languages);
});

describe.each(languages)('%s', (language) => {
  it.each([
    ['package.nls', titles],
    ['l10n/bundle.l10n', bundle],
  ])('%s has every text and no other, with what is fixed in it', (name, english: Record<string, string>) => {
    const translated = textsOf(`${name}.${language}.json`);
    expect(Object.keys(english).length).toBeGreaterThan(100);
    expect(Object.keys(translated).toSorted()).toEqual(Object.keys(english).toSorted());
    const changed = Object.entries(english).filter(
      ([key, text]) => !translated[key]?.trim() || `${fixed(translated[key])}` !== `${fixed(text)}`,
    );
    expect(changed.map(([key]) => key)).toEqual([]);
  });
});
