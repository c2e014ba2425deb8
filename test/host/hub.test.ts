import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { Api } from '../../src/extension/extension.js';
import { commit, type StandIn, startHub } from '../support/hub.js';
import { analyze, api, chooseBundled, closeEditors, configure, open, repositoryFile, until } from './support.js';

const variables = ['HF_ENDPOINT', 'HF_HUB_CACHE'] as const;

describe('models from elsewhere', () => {
  let sinkscope: Api;
  let hub: StandIn;
  let folder: string;
  const kept = variables.map((name) => process.env[name]);
  const demo = (name: string) => repositoryFile('media', 'models', 'llama', name);

  before(async () => {
    sinkscope = await api();
    folder = await mkdtemp(join(tmpdir(), 'sinkscope-'));
    hub = await startHub({
      'onnx/model.onnx': await readFile(demo('model.onnx')),
      'tokenizer.json': await readFile(demo('tokenizer.json')),
      'config.json': await readFile(demo('config.json')),
    });
    process.env.HF_ENDPOINT = hub.endpoint;
    process.env.HF_HUB_CACHE = join(folder, 'hub');
  });
  afterEach(async () => {
    await vscode.commands.executeCommand('sinkscope.clear');
    await closeEditors();
    await chooseBundled(sinkscope);
  });
  after(async () => {
    for (const [i, name] of variables.entries()) {
      const value = kept[i];
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    await hub.close();
    await rm(folder, { recursive: true });
    sinkscope.models.refresh();
  });

  it('downloads a model of the Hub, lists it, and runs it', async () => {
    assert.deepEqual(hub.asked, []);
    const given = { repository: 'owner/name' };
    const file = await vscode.commands.executeCommand<string>('sinkscope.openHub', given);
    assert.equal(file, join(folder, 'hub/models--owner--name/snapshots', commit, 'onnx/model.onnx'));
    const found = (await sinkscope.models.all()).find((model) => model.file === file);
    assert.deepEqual([found?.name, found?.origin], ['owner/name', 'machine']);
    const asked = hub.asked.length;
    await open('Summer is warm.');
    const { request } = await analyze(sinkscope);
    assert.equal(request.model, file);
    assert.equal(hub.asked.length, asked);
  });

  it('adds a file that is dropped on the models view, and takes the tokenizer that is chosen for it', async () => {
    const file = join(folder, 'alone.onnx');
    await copyFile(demo('model.onnx'), file);
    const settings = await configure({ models: [] });
    try {
      await vscode.commands.executeCommand('sinkscope.addModel', [vscode.Uri.file(file)]);
      assert.deepEqual(vscode.workspace.getConfiguration('sinkscope').get('models'), [file]);
      assert.equal((await sinkscope.models.chosen()).file, file);
      await open('Summer is warm.');
      await vscode.commands.executeCommand('sinkscope.analyze');
      assert.equal(sinkscope.analyses.run?.analysis.problem?.code, 'tokenizer');
      await vscode.commands.executeCommand('sinkscope.chooseTokenizer', undefined, demo('tokenizer.json'));
      await until(() => sinkscope.analyses.run?.analysis.status === 'finished');
      const remarks = sinkscope.analyses.run?.analysis.started?.model.remarks ?? [];
      assert.ok(remarks.includes(`tokenizer: ${demo('tokenizer.json')} was chosen for this model`), remarks.join());
      await vscode.commands.executeCommand('sinkscope.chooseTokenizer', file, 'own');
    } finally {
      await settings.restore();
    }
  });
});
