/** Names from files in a real window: text, whatever VS Code would make of their signs. */
import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { Api } from '../../src/extension/extension.js';
import { treeItem } from '../../src/extension/surfaces.js';
import { hostile, unseen } from '../support/hostile.js';
import { at, found } from '../support/lists.js';
import {
  analyze,
  api,
  closeEditors,
  configure,
  inWorkspace,
  open,
  openFile,
  repositoryFile,
  until,
} from './support.js';

/** A copy of the demo whose prefix token is called so. */
function demoWith(prefix: string, folder: string): string {
  cpSync(repositoryFile('media', 'models', 'llama'), folder, { recursive: true });
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
    const file = join(folder, name);
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('"<|endoftext|>"', JSON.stringify(prefix)));
  }
  return join(folder, 'model.onnx');
}

/** The Markdown of the extension's own hover at the beginning of a document. */
async function hoverAt(document: vscode.TextDocument): Promise<vscode.MarkdownString> {
  const hovers = await vscode.commands.executeCommand<vscode.Hover[]>(
    'vscode.executeHoverProvider',
    document.uri,
    new vscode.Position(0, 0),
  );
  const texts = hovers.flatMap(({ contents }) => contents).filter((one) => one instanceof vscode.MarkdownString);
  return found(texts, ({ value }) => value.includes('sinkscope.showToken'));
}

describe('names from files', () => {
  let sinkscope: Api;
  before(async () => {
    sinkscope = await api();
  });
  afterEach(async () => {
    await vscode.commands.executeCommand('sinkscope.clear');
    await closeEditors();
  });

  it('are code in a hover, which runs two commands and no other', async () => {
    const names = [
      '`\n\n[a](command:sinkscope.intervene?%5B%5D)\n\n![](https://example.org/picture.png)\n\n`',
      '<img src="https://example.org/picture.png"> <https://example.org> **a** \u001b[31m\u202E\u200B',
    ];
    for (const [i, name] of names.entries()) {
      const folder = inWorkspace(`hostile-${i}`).fsPath;
      const settings = await configure({ model: demoWith(name, folder) });
      try {
        const { document } = await open('Summer is warm.');
        await analyze(sinkscope);
        assert.equal(at(sinkscope.analyses.run?.analysis.tokens?.tokens ?? [], 0).text, name);
        const { value, isTrusted } = await hoverAt(document);
        assert.deepEqual(isTrusted, { enabledCommands: ['sinkscope.showToken', 'sinkscope.intervene'] });
        assert.deepEqual(unseen(value.replaceAll('\n', '')), []);
        // CommonMark 6.1: a span goes from a run of backticks to the next of that length.
        const outside = value.replace(/(?<!`)(`+)(?!`)[^\n]*?(?<!`)\1(?!`)/g, '');
        assert.ok(outside.length < value.length);
        assert.doesNotMatch(outside, /https?:|<|!\[|\*\*a\*\*/);
        const targets = Array.from(outside.matchAll(/\]\(([^)]*)\)/g), ([, target = '']) => target.replace(/\?.*/, ''));
        assert.deepEqual([...new Set(targets)].sort(), ['command:sinkscope.intervene', 'command:sinkscope.showToken']);
      } finally {
        await settings.restore();
        rmSync(folder, { recursive: true, force: true });
      }
    }
  });

  it('are neither icons nor turned about in trees and titles', async () => {
    for (const name of hostile) {
      const { label, description, tooltip } = treeItem(name, 'None', { description: name, tooltip: [name, 'more'] });
      assert.ok(typeof tooltip === 'string');
      const lines = tooltip.split('\n');
      assert.equal(lines.length, 2, 'its lines are its own, and no others');
      for (const text of [label, description, ...lines]) {
        assert.ok(typeof text === 'string');
        assert.doesNotMatch(text, /\$\([a-z~-]+\)|\]\(/i);
        assert.deepEqual(unseen(text), []);
      }
    }
    await openFile('a\u202Eb$(trash).txt', 'Summer is warm.');
    await analyze(sinkscope);
    const titles = () => vscode.window.tabGroups.all.flatMap(({ tabs }) => tabs).map(({ label }) => label);
    await until(() => titles().includes('Sinkscope: a\\u{202e}b$ (trash).txt'));
  });

  it('are in the message of an error as they are seen', async () => {
    const settings = await configure({ model: inWorkspace('a\u001b[31m\u202E.onnx').fsPath });
    try {
      await open('Summer is warm.');
      await vscode.commands.executeCommand('sinkscope.analyze');
      const problem = await sinkscope.models.chosen().then(
        () => undefined,
        (error: Error) => error.message,
      );
      assert.ok(problem);
      assert.match(problem, /a\\u\{1b\}\[31m\\u\{202e\}\.onnx is neither a bundled model nor an \.onnx file/);
    } finally {
      await settings.restore();
    }
  });
});
