import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as vscode from 'vscode';
import type { ShownRun } from '../../src/extension/analyses.js';
import type { Api } from '../../src/extension/extension.js';
import { connect } from '../../src/extension/webview.js';
import { readReply, type ToWebview } from '../../src/protocol.js';
import { at, pairs } from '../support/lists.js';
import { api, change, closeEditors, configure, extension, inWorkspace, repositoryFile, until } from './support.js';

const fixture = (name: string, file = 'model.onnx') => repositoryFile('test', 'zoo', 'fixtures', name, file);
const [reference] = JSON.parse(readFileSync(repositoryFile('test', 'references', 'pictures.json'), 'utf8'));

function finished({ analyses }: Api): ShownRun {
  const { run } = analyses;
  assert.ok(run, 'no run was made');
  assert.equal(run.analysis.status, 'finished', run.analysis.problem?.message);
  return run;
}

const names = ({ analysis }: ShownRun) => analysis.tokens?.tokens.map(({ text }) => text);

describe('Analyze Image', () => {
  let sinkscope: Api;
  let folder: vscode.Uri;
  let picture: vscode.Uri;
  let settings: Awaited<ReturnType<typeof configure>>;

  before(async () => {
    sinkscope = await api();
    folder = inWorkspace();
    picture = vscode.Uri.joinPath(folder, 'coast.png');
    const model = vscode.Uri.joinPath(folder, 'dinov2', 'model.onnx');
    const { fs } = vscode.workspace;
    const copy = (from: string, to: vscode.Uri) => fs.copy(vscode.Uri.file(from), to, { overwrite: true });
    await copy(fixture(reference.fixture), model);
    await copy(repositoryFile('test', 'references', 'images', reference.file), picture);
    // The workspace may have been searched before the model was in it.
    await vscode.commands.executeCommand('sinkscope.refreshModels');
    const config = vscode.Uri.joinPath(folder, 'dinov2', 'preprocessor_config.json');
    await fs.writeFile(config, Buffer.from(JSON.stringify(reference.config)));
    settings = await configure({ model: model.fsPath });
  });
  after(() => settings.restore());
  afterEach(async () => {
    await vscode.commands.executeCommand('sinkscope.clear');
    await closeEditors();
  });

  it('names CLS, registers and patches, and gives the numbers of transformers and ONNX Runtime', async () => {
    await vscode.commands.executeCommand('sinkscope.analyzeImage', picture);
    const run = finished(sinkscope);
    assert.deepEqual(names(run)?.slice(0, 6), [
      'CLS',
      'register 1',
      'register 2',
      'register 3',
      'patch 0,0',
      'patch 0,1',
    ]);
    assert.deepEqual(run.analysis.tokens?.picture, {
      file: picture.fsPath,
      ...reference.picture,
      // As the configuration asks: the numbers below are those of transformers.
      prepared: [
        'shorter edge resized to 36 (bicubic)',
        'middle 32 × 32 cut out',
        'bytes × 0.00392157',
        'minus 0.485, 0.456, 0.406, divided by 0.229, 0.224, 0.225',
      ],
    });
    assert.equal(run.analysis.layers.length, reference.layers.length);
    const near = (actual: number, expected: number) => assert.ok(Math.abs(actual / expected - 1) < 1e-4);
    for (const [k, expected] of reference.layers.entries()) {
      const { median, top, tokenMax, tokenMaxDim } = at(run.analysis.layers, k);
      near(median, expected.median);
      near(at(top, 0).value, expected.top[0].value);
      assert.deepEqual([...tokenMaxDim], expected.tokenMaxDim);
      for (const [max, wanted] of pairs(tokenMax, expected.tokenMax as number[])) near(max, wanted);
    }
    const { document, scope } = await sinkscope.viewState();
    assert.deepEqual([document, scope], ['coast.png', 'picture']);
  });

  it('leaves every editor unmarked, and shares the selection', async () => {
    const editor = await vscode.window.showTextDocument(await vscode.workspace.openTextDocument({ content: 'CLS' }));
    await vscode.commands.executeCommand('sinkscope.analyzeImage', picture);
    finished(sinkscope);
    assert.equal(sinkscope.decorations.marks(editor.document), undefined);
    await vscode.commands.executeCommand('sinkscope.showToken', 2);
    assert.deepEqual(sinkscope.analyses.selection, { token: 2 });
  });

  it('runs again, and writes its result', async () => {
    await vscode.commands.executeCommand('sinkscope.analyzeImage', picture);
    const { number } = finished(sinkscope);
    await vscode.commands.executeCommand('sinkscope.analyzeAgain');
    assert.equal(finished(sinkscope).number, number + 1);
    const json = vscode.Uri.joinPath(folder, 'picture.json');
    await vscode.commands.executeCommand('sinkscope.exportJson', json);
    const written = JSON.parse(Buffer.from(await vscode.workspace.fs.readFile(json)).toString());
    assert.deepEqual(written.tokens[4].text, 'patch 0,0');
    const tensors = vscode.Uri.joinPath(folder, 'picture.safetensors');
    await vscode.commands.executeCommand('sinkscope.exportTensors', tensors);
    const bytes = Buffer.from(await vscode.workspace.fs.readFile(tensors));
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + Number(bytes.readBigUInt64LE())));
    assert.deepEqual(header['hidden.3']?.shape, [reference.tokens, 64]);
  });

  it('is there again after a reload, and the panel is given its bytes', async () => {
    await vscode.commands.executeCommand('sinkscope.analyzeImage', picture);
    const run = finished(sinkscope);
    const [note] = await sinkscope.runs.list();
    assert.ok(note);
    await vscode.commands.executeCommand('sinkscope.clear');
    await vscode.commands.executeCommand('sinkscope.openRun', note.id);
    const { analyses } = sinkscope;
    assert.deepEqual(analyses.run?.analysis, run.analysis);

    const posted: ToWebview[] = [];
    const said = new vscode.EventEmitter<unknown>();
    const webview: vscode.Webview = {
      options: {},
      html: '',
      cspSource: 'https://webview.example',
      onDidReceiveMessage: said.event,
      asWebviewUri: (uri) => uri,
      postMessage: async (message: ToWebview) => posted.push(message) > 0,
    };
    const log = vscode.window.createOutputChannel('Sinkscope Pictures', { log: true });
    const view = new vscode.EventEmitter<void>();
    const { extensionUri } = extension();
    const connection = connect(webview, {
      ...sinkscope,
      extension: extensionUri,
      analyses,
      log,
      onDidChangeView: view.event,
    });
    try {
      said.fire({ type: 'query', id: 1, query: { type: 'picture' } });
      await until(() => posted.some(({ type }) => type === 'answer'));
      const answer = posted.find((message) => message.type === 'answer')?.answer;
      const found = answer?.ok ? readReply('picture', answer.value) : undefined;
      assert.ok(found);
      assert.deepEqual(Buffer.from(found.bytes), readFileSync(picture.fsPath));
    } finally {
      for (const part of [connection, said, view, log]) part.dispose();
    }
  });

  it('asks for a vision model where the chosen one takes no pictures', async () => {
    const other = await configure({ model: 'llama' });
    try {
      const begun = change(sinkscope, ({ type }) => type === 'run');
      const ended = vscode.commands.executeCommand('sinkscope.analyzeImage', picture);
      let open = true;
      void begun.then(() => {
        open = false;
      });
      await until(
        () => !open,
        () => vscode.commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem'),
      );
      await ended;
      assert.equal(names(finished(sinkscope))?.[1], 'register 1');
      const vision = vscode.Uri.joinPath(folder, 'dinov2', 'model.onnx').fsPath;
      assert.equal((await sinkscope.viewState()).model, vision);
      assert.equal((await sinkscope.models.chosen()).name, 'llama', 'texts keep their model');
      await vscode.commands.executeCommand('sinkscope.analyzeAgain');
      assert.equal(finished(sinkscope).request.model, vision);
    } finally {
      sinkscope.models.forPictures = undefined;
      await other.restore();
      settings = await configure({ model: vscode.Uri.joinPath(folder, 'dinov2', 'model.onnx').fsPath });
    }
  });

  it('says what is wrong with a picture that is none', async () => {
    const file = vscode.Uri.joinPath(folder, 'text.png');
    await vscode.workspace.fs.writeFile(file, Buffer.from('a text'));
    await vscode.commands.executeCommand('sinkscope.analyzeImage', file);
    const problem = sinkscope.analyses.trouble ?? sinkscope.analyses.run?.analysis.problem;
    assert.match(problem?.message ?? '', /text\.png is no picture that is read/);
  });
});

describe('Analyze with Feeds…', () => {
  let sinkscope: Api;
  before(async () => {
    sinkscope = await api();
  });
  afterEach(() => vscode.commands.executeCommand('sinkscope.clear'));

  it('numbers the rows of a graph transformer under the name that was given', async () => {
    const settings = await configure({ model: fixture('gnn-ts-op17') });
    try {
      const feeds = vscode.Uri.file(fixture('gnn-ts-op17', 'golden.safetensors'));
      await vscode.commands.executeCommand('sinkscope.analyzeFeeds', feeds, 'node');
      assert.equal(names(finished(sinkscope))?.[3], 'node 3');
      assert.equal((await sinkscope.viewState()).scope, 'tensors');
    } finally {
      await settings.restore();
    }
  });

  it('asks for no name where the model takes token ids', async () => {
    const settings = await configure({ model: fixture('gpt2-ts-op14') });
    try {
      const feeds = vscode.Uri.file(fixture('gpt2-ts-op14', 'golden.safetensors'));
      // As the Explorer calls it: the file, and all that are selected.
      await vscode.commands.executeCommand('sinkscope.analyzeFeeds', feeds, [feeds]);
      assert.equal(finished(sinkscope).analysis.tokens?.source, 'feeds');
    } finally {
      await settings.restore();
    }
  });

  it('asks which axis counts tokens where there are several examples', async () => {
    const settings = await configure({ model: fixture('vit-ort-fused') });
    try {
      const feeds = inWorkspace('two.safetensors');
      const bytes = 2 * 3 * 32 * 32 * 4;
      const header = JSON.stringify({
        pixel_values: { dtype: 'F32', shape: [2, 3, 32, 32], data_offsets: [0, bytes] },
      });
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(header.length));
      const content = Buffer.concat([length, Buffer.from(header), Buffer.alloc(bytes)]);
      await vscode.workspace.fs.writeFile(feeds, content);
      const ended = vscode.commands.executeCommand('sinkscope.analyzeFeeds', feeds, 'example');
      const axis = () => {
        const { prompt } = sinkscope.analyses.run?.request ?? {};
        return prompt && 'feeds' in prompt ? prompt.tokenAxis : undefined;
      };
      await until(
        () => axis() !== undefined,
        () => vscode.commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem'),
      );
      await ended;
      assert.equal(axis(), 0);
      assert.deepEqual(names(finished(sinkscope)), ['example 0', 'example 1']);
    } finally {
      await settings.restore();
    }
  });
});
