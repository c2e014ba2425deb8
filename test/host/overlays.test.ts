import assert from 'node:assert/strict';
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { Api } from '../../src/extension/extension.js';
import {
  analyze,
  api,
  chooseBundled,
  closeEditors,
  configure,
  inWorkspace,
  open,
  repositoryFile,
  until,
} from './support.js';

describe('tokens by their surprisal', () => {
  let sinkscope: Api;
  before(async () => {
    sinkscope = await api();
    await chooseBundled(sinkscope);
  });
  after(async () => {
    await vscode.commands.executeCommand('sinkscope.chooseTint', 'large');
    await vscode.commands.executeCommand('sinkscope.clear');
    await closeEditors();
  });

  it('are tinted once it is known, and a hover says what was expected in their place', async () => {
    const { document } = await open('Summer is warm. Winter is purple.');
    await analyze(sinkscope);
    await vscode.commands.executeCommand('sinkscope.chooseTint', 'surprisal');
    const levels = () =>
      (sinkscope.decorations.marks(document)?.tints ?? []).flatMap((ranges, level) =>
        ranges.map(({ start, end }) => ({ level, text: document.getText().slice(start, end) })),
      );
    await until(() => levels().length > 0);
    const levelOf = (text: string) => levels().find((one) => one.text.includes(text))?.level ?? -1;
    assert.ok(levelOf('purple') > levelOf('is'), JSON.stringify(levels()));
    const hovers = await vscode.commands.executeCommand<vscode.Hover[]>(
      'vscode.executeHoverProvider',
      document.uri,
      document.positionAt(document.getText().indexOf('Winter') + 1),
    );
    const told = hovers
      .flatMap(({ contents }) => contents.map((content) => (typeof content === 'string' ? content : content.value)))
      .join('\n');
    assert.match(told, /surprisal \*\*[\d.]+\*\* nats \(p = [\d.]+ %\), expected: /);
    // Three of them, each with its probability.
    assert.match(told, /expected: (.+ [\d.]+ %,? ?){3}/);
  });
});

describe('a model that takes chats', () => {
  let sinkscope: Api;
  let settings: Awaited<ReturnType<typeof configure>>;
  const model = () => inWorkspace('chatty').fsPath;

  before(async () => {
    sinkscope = await api();
    await cp(repositoryFile('media', 'models', 'llama'), model(), { recursive: true });
    await writeFile(
      join(model(), 'chat_template.jinja'),
      '{% for message in messages %}<{{ message.role }}>{{ message.content }}</>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}',
    );
    const file = join(model(), 'model.onnx');
    settings = await configure({ models: [file], chat: 'on' });
    await vscode.commands.executeCommand('sinkscope.chooseModel', file);
  });
  after(async () => {
    await settings.restore();
    await vscode.commands.executeCommand('sinkscope.clear');
    await chooseBundled(sinkscope);
    await closeEditors();
  });

  it('is given the document as the user’s turn, with its offsets, and what the template adds as of no place', async () => {
    const { document } = await open('Summer is warm.');
    const { analysis, ranges } = await analyze(sinkscope);
    const tokens = analysis.tokens?.tokens ?? [];
    const placed = ranges.flatMap((range) => (range ? [document.getText().slice(range.start, range.end)] : []));
    assert.equal(placed.join(''), 'Summer is warm.');
    assert.ok(tokens.length > placed.length);
    const roles = tokens.map(({ role }) => role);
    const last = roles.lastIndexOf('user');
    assert.ok(last >= 0 && roles.slice(last + 1).includes('assistant'), JSON.stringify(roles));
    assert.equal(analysis.started?.settings.chat !== undefined, true);
  });
});
