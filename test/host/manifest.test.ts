import assert from 'node:assert/strict';
import * as vscode from 'vscode';

const extension = vscode.extensions.getExtension('sinkscope.sinkscope');

describe('the manifest', () => {
  it('is that of an extension that activates', async () => {
    assert.ok(extension);
    await extension.activate();
    assert.ok(extension.isActive);
  });

  it('declares no command that nobody registers', async () => {
    const registered = new Set(await vscode.commands.getCommands(true));
    const declared: { command: string }[] = extension?.packageJSON.contributes.commands;
    assert.ok(declared.length > 0);
    assert.deepEqual(
      declared.map(({ command }) => command).filter((command) => !registered.has(command)),
      [],
    );
  });
});
