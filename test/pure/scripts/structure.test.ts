/** What holds for the sources as a whole, beside the law of imports. */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { exportsOf, importsOf, sources, targetOf } from '../../../scripts/law.mjs';

const files = sources(fileURLToPath(new URL('../../..', import.meta.url)));

it('a file can be read at a sitting', () => {
  const most = 400;
  const lines = Array.from(files, ([file, text]) => ({ file, lines: text.split('\n').length - 1 }));
  expect(lines.length).toBeGreaterThan(300);
  expect(lines.filter((one) => one.lines > most)).toEqual([]);
});

it('pure tests load neither ONNX Runtime nor what starts a process, by whatever way', () => {
  const seen = new Map<string, string>();
  const found: string[] = [];
  const visit = (file: string, way: string) => {
    const text = files.get(file);
    if (seen.has(file) || text === undefined) return;
    seen.set(file, way);
    for (const specifier of importsOf(file, text, { types: false })) {
      if (!specifier.startsWith('.')) {
        if (/^(onnxruntime-node|esbuild|playwright-core|vscode|node:child_process)$/.test(specifier))
          found.push(`${way} → ${specifier}`);
        continue;
      }
      const target = targetOf(file, specifier, (path: string) => files.has(path));
      if (target) visit(target, `${way} → ${target}`);
    }
  };
  for (const file of files.keys()) if (/^test\/pure\/.*\.test\.ts$/.test(file)) visit(file, file);
  expect(seen.size).toBeGreaterThan(100);
  expect(found.filter((way) => !way.includes('→ scripts/law.mjs →'))).toEqual([]);
});

it('exports are found in every form', () => {
  const source = `
    export const a = 1, b = 2;
    export function c(): void;
    export function c(of?: number): void {}
    export class D {}
    export type E = number;
    export interface F {}
    export { g } from './g.js';
    const h = 3;
    export { h };`;
  expect(exportsOf('a.ts', source)).toEqual(['a', 'b', 'c', 'D', 'E', 'F']);
});

/** Names that mean one thing here and another there: to be told apart one by one, and no new one. */
const ambiguous = new Set('Place Setting Store'.split(' '));

it('a name that is exported means one thing', () => {
  const homes = new Map<string, string[]>();
  for (const [file, text] of files) {
    if (!/^(src|webview)\//.test(file) || file.startsWith('webview/dev/')) continue;
    for (const name of exportsOf(file, text)) homes.set(name, [...(homes.get(name) ?? []), file]);
  }
  expect(homes.size).toBeGreaterThan(700);
  const several = [...homes].filter(([, in_]) => in_.length > 1);
  expect(
    several.filter(([name]) => !ambiguous.has(name)).map(([name, in_]) => `${name}: ${in_.join(', ')}`),
    'another name for one of the two tells them apart',
  ).toEqual([]);
  const still = new Set(several.map(([name]) => name));
  expect(
    [...ambiguous].filter((name) => !still.has(name)),
    'these mean one thing now: take them off the list',
  ).toEqual([]);
});

/** What hands texts to where they could be more than texts, and the only files that do: each makes them visible. */
const borders: readonly { readonly in: string; readonly says: RegExp; readonly only: readonly string[] }[] = [
  {
    in: 'src/cli/',
    says: /process\.(stdout|stderr)\b|\bconsole\./,
    only: ['src/cli/progress.ts', 'src/cli/terminal.ts'],
  },
  {
    in: 'src/extension/',
    says: /\bshow(QuickPick|(Error|Warning|Information)Message)\b|createStatusBarItem|new vscode\.(TreeItem|MarkdownString|Hover)\b|\.isTrusted = |panel\.title/,
    only: ['src/extension/surfaces.ts'],
  },
  { in: 'webview/', says: /import \{[^}]*\bhtml\b[^}]*\} from 'lit'/, only: ['webview/html.ts'] },
  { in: 'webview/', says: /innerHTML|outerHTML|insertAdjacentHTML|unsafe(HTML|SVG|Static)|document\.write/, only: [] },
  { in: 'webview/', says: /\.(textContent|innerText) =/, only: ['webview/tooltip.ts'] },
  { in: '', says: /isTrusted = true|supportHtml = true/, only: [] },
  // A call takes only so many arguments, and lists from files may have any number of entries.
  { in: '', says: /Math\.(max|min)\([^()]*\.\.\.|\.push\(\.\.\./, only: [] },
];

it.each(borders)('$says stands in no file of $in but $only', ({ in: folder, says, only }) => {
  const found = [...files].filter(([file, text]) => {
    const own = /^(src|webview)\//.test(file) && !file.startsWith('webview/dev/');
    return own && file.startsWith(folder) && says.test(text.replace(/`Math\.max\(\.\.\.values\)`/, ''));
  });
  expect(found.map(([file]) => file).sort()).toEqual(only);
});
