import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { emptyAnalysis, fold } from '../../src/analysis/analysis.js';
import { toJson } from '../../src/analysis/result.js';
import { defaultThresholds } from '../../src/analysis/thresholds.js';
import type { RunEvent } from '../../src/engine/contract/events.js';
import { exportJson, exportTensors } from '../../src/extension/export.js';
import type { Api } from '../../src/extension/extension.js';
import { unpack } from '../../src/report/pack.js';
import {
  analyze,
  api,
  change,
  chooseBundled,
  closeEditors,
  configure,
  halt,
  inWorkspace,
  open,
  until,
} from './support.js';

const panelTabs = () =>
  vscode.window.tabGroups.all
    .flatMap(({ tabs }) => tabs)
    .filter(({ input }) => input instanceof vscode.TabInputWebview && input.viewType.endsWith('sinkscope.panel'));
const columns = () => panelTabs().map(({ group }) => group.viewColumn);

describe('views of a run', () => {
  let sinkscope: Api;
  before(async () => {
    sinkscope = await api();
  });
  afterEach(async () => {
    await vscode.commands.executeCommand('sinkscope.clear');
    await closeEditors();
  });

  it('opens one panel beside the editor and leaves the focus in the text', async () => {
    const editor = await open('Summer is warm.');
    await analyze(sinkscope);
    await analyze(sinkscope);
    await until(() => panelTabs().some(({ group }) => group.viewColumn !== editor.viewColumn));
    assert.equal(panelTabs().length, 1);
    assert.equal(vscode.window.activeTextEditor?.document, editor.document);
  });

  it('leaves the group of a text that is opened over it', async () => {
    await vscode.commands.executeCommand('sinkscope.showPanel');
    await until(() => panelTabs().length === 1);
    const editor = await open('Summer is warm.');
    assert.deepEqual(columns(), [editor.viewColumn]);
    await analyze(sinkscope);
    await until(() => columns().some((column) => column !== editor.viewColumn));
    assert.equal(vscode.window.activeTextEditor?.document, editor.document);
  });

  it('keeps its group where there is one of texts: a text that is opened over it goes there, as it is looked at', async () => {
    const first = await open('Winter is cold.');
    await analyze(sinkscope);
    await until(() => columns().some((column) => column !== first.viewColumn));
    const [column] = columns();
    assert.ok(column);
    const document = await vscode.workspace.openTextDocument({ content: 'Summer is warm. Rivers run.' });
    const editor = await vscode.window.showTextDocument(document, column);
    editor.selection = new vscode.Selection(0, 0, 0, 15);
    await until(() => vscode.window.activeTextEditor?.document === document);
    const { source } = await analyze(sinkscope);
    assert.equal(source?.text, 'Summer is warm.');
    await until(() => vscode.window.activeTextEditor?.viewColumn === first.viewColumn);
    assert.equal(vscode.window.activeTextEditor?.document, document);
    assert.equal(vscode.window.activeTextEditor?.selection.end.character, 15);
    assert.deepEqual(columns(), [column]);
    assert.equal(vscode.window.tabGroups.all.length, 2);
  });

  it('stops the run when the panel is closed, keeps what came, and opens again', async () => {
    await open('Summer is warm.');
    await analyze(sinkscope);
    await until(() => panelTabs().length === 1);
    halt(sinkscope);
    const begun = change(sinkscope, ({ type }) => type === 'run');
    const ended = vscode.commands.executeCommand('sinkscope.analyze');
    await begun;
    await vscode.window.tabGroups.close(panelTabs());
    await ended;
    assert.equal(sinkscope.analyses.running, false);
    assert.equal(sinkscope.analyses.run?.analysis.status, 'finished');
    await until(() => panelTabs().length === 0);
    await vscode.commands.executeCommand('sinkscope.showPanel');
    await until(() => panelTabs().length === 1);
  });

  it('selects the token under the cursor, and shows a token selected elsewhere', async () => {
    const editor = await open('Summer is warm. Winter is cold.');
    const { document } = editor;
    // The editor remembers where the cursor was in an earlier text of this name.
    editor.selection = new vscode.Selection(0, 0, 0, 0);
    const { ranges } = await analyze(sinkscope);
    const selected = change(sinkscope, ({ type }) => type === 'selection');
    // One by one, as keys do: of several at once some would be of the hint before the text.
    await until(
      () => document.offsetAt(editor.selection.active) === 9,
      () => vscode.commands.executeCommand('cursorMove', { to: 'right', by: 'character', value: 1 }),
    );
    assert.deepEqual(await selected, { type: 'selection', from: 'editor' });
    const warm = ranges.findIndex((range) => range && range.start <= 9 && range.end > 9);
    await until(() => sinkscope.analyses.selection.token === warm);
    await vscode.commands.executeCommand('sinkscope.showToken', warm + 1);
    assert.deepEqual(sinkscope.decorations.marks(document)?.selected, ranges[warm + 1]);
  });

  it('has the prefix token as a hint, which the editor measures', async () => {
    const { document } = await open('Summer is warm. Winter is cold.');
    await analyze(sinkscope);
    const hints = await vscode.commands.executeCommand<vscode.InlayHint[]>(
      'vscode.executeInlayHintProvider',
      document.uri,
      new vscode.Range(0, 0, 0, 31),
    );
    const parts = hints.flatMap(({ label }) => (typeof label === 'string' ? [] : label));
    assert.match(parts.map(({ value }) => value).join(''), /^⟨bos⟩ ▲⚓/);
    // Who points at the sign is told what stands there, as of any token.
    const [told] = parts.map(({ tooltip }) => (typeof tooltip === 'string' ? tooltip : tooltip?.value));
    assert.match(told ?? '', /⟨bos⟩.*token 0[\s\S]*massive.*dim \*\*239\*\*/);
  });

  it('shows its pages in a tab that stays what it is, and in no column of their own', async () => {
    await open('# A Markdown text');
    const groups = vscode.window.tabGroups.all.length;
    await vscode.commands.executeCommand('sinkscope.showDocumentation');
    const labels = () => vscode.window.tabGroups.all.flatMap(({ tabs }) => tabs.map(({ label }) => label));
    // In brackets is what does not follow the active editor.
    await until(() => labels().includes('[Preview] README.md'));
    assert.equal(vscode.window.tabGroups.all.length, groups);
  });

  it('tells of a token in a hover', async () => {
    const { document } = await open('Summer is warm. Winter is cold.');
    await analyze(sinkscope);
    const hovers = await vscode.commands.executeCommand<vscode.Hover[]>(
      'vscode.executeHoverProvider',
      document.uri,
      new vscode.Position(0, 0),
    );
    const text = hovers
      .flatMap(({ contents }) => contents.map((content) => (typeof content === 'string' ? content : content.value)))
      .join('\n');
    assert.match(text, /⟨bos⟩.*token 0/);
    assert.match(text, /massive.*dim \*\*239\*\*/);
    assert.match(text, /sink.*α > 0\.3 in \d+ of 32 heads/);
    assert.match(text, /sinkscope\.showToken/);
  });

  it('lists the bundled models and remembers the chosen one', async () => {
    const names = (await sinkscope.models.list()).filter(({ origin }) => origin === 'bundled').map(({ name }) => name);
    const demos = ['llama', 'llama-bias', 'llama-plain', 'llama-sink'];
    assert.deepEqual(
      names,
      demos.flatMap((name) => [name, `${name} · cached`]),
    );
    // Views are told so as data: a word would be another one in another language.
    const told = (await sinkscope.viewState()).models.filter(({ origin }) => origin === 'bundled');
    assert.deepEqual(
      told.map(({ name }) => name),
      names,
    );
    const sink = (await sinkscope.models.list()).find(({ name }) => name === 'llama-sink');
    await open('Summer is warm.');
    await analyze(sinkscope);
    try {
      await vscode.commands.executeCommand('sinkscope.chooseModel', sink?.file);
      assert.equal((await sinkscope.models.chosen()).file, sink?.file);
      const { run } = sinkscope.analyses;
      assert.equal(run?.analysis.started?.model.name, 'llama-sink', 'what is shown is made with it at once');
      assert.equal(run.analysis.status, 'finished');
      const { workspaceValue } = vscode.workspace.getConfiguration('sinkscope').inspect('model') ?? {};
      assert.equal(workspaceValue, undefined, 'and nothing is written into the workspace');
    } finally {
      await chooseBundled(sinkscope);
    }
  });

  it('runs what is shown again with or without a prefix token, as that is chosen', async () => {
    await open('Summer is warm.');
    await analyze(sinkscope);
    try {
      await vscode.commands.executeCommand('sinkscope.chooseBos', 'off');
      assert.equal(sinkscope.analyses.run?.analysis.started?.settings.bos, false);
      assert.equal((await sinkscope.viewState()).bos, 'off');
      const settings = await configure({ bos: 'on' });
      assert.equal((await sinkscope.viewState()).bos, 'on', 'a setting that is changed goes before a choice of before');
      assert.equal((await sinkscope.viewState()).stale, 'choice');
      await settings.restore();
    } finally {
      await vscode.commands.executeCommand('sinkscope.chooseBos', 'auto');
    }
  });

  it('goes from mark to mark', async () => {
    const editor = await open('Summer is warm. Winter is cold.');
    await analyze(sinkscope);
    const end = editor.document.positionAt(20);
    editor.selection = new vscode.Selection(end, end);
    await vscode.commands.executeCommand('sinkscope.nextMark');
    // Nothing but the prefix is marked, which has its sign before the first token.
    await until(() => editor.document.offsetAt(editor.selection.active) === 0);
    assert.equal(sinkscope.analyses.selection.token, 0);
  });

  it('opens the sample and analyses it, whatever is in front', async () => {
    await closeEditors();
    await vscode.commands.executeCommand('sinkscope.analyzeSample');
    assert.equal(sinkscope.analyses.run?.analysis.status, 'finished');
    const sample = vscode.window.activeTextEditor?.document;
    assert.equal(sample?.isUntitled, true);
    // Tried again it is the same text, not another one to be thrown away.
    await vscode.commands.executeCommand('sinkscope.analyzeSample');
    assert.equal(vscode.window.activeTextEditor?.document, sample);
  });

  it('writes the result as JSON and its tensors as safetensors', async () => {
    await open('Summer is warm. Winter is cold.');
    const { analysis } = await analyze(sinkscope);
    const json = inWorkspace('result.json');
    await vscode.commands.executeCommand('sinkscope.exportJson', json);
    const written = Buffer.from(await vscode.workspace.fs.readFile(json)).toString();
    assert.equal(written, `${JSON.stringify(toJson(analysis, defaultThresholds), null, 2)}\n`);

    const tensors = inWorkspace('result.safetensors');
    await vscode.commands.executeCommand('sinkscope.exportTensors', tensors);
    const bytes = Buffer.from(await vscode.workspace.fs.readFile(tensors));
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + Number(bytes.readBigUInt64LE())));
    const T = analysis.tokens?.tokens.length;
    assert.deepEqual(header['hidden.8']?.shape, [T, 256]);
    assert.deepEqual(header['attn.7']?.shape, [4, T, T]);
    assert.deepEqual(header['mlp.0']?.shape, [T, 704]);
    assert.deepEqual(header.logits?.shape, [T, 8192]);
    // What is shown stays, and can still be asked about.
    assert.equal(sinkscope.analyses.run?.analysis, analysis);
  });

  it('writes a report with the pattern that is open', async () => {
    await open('Summer is warm. Winter is cold.');
    const { analysis } = await analyze(sinkscope);
    sinkscope.analyses.select({ layer: 3, head: 1, token: 2 }, 'view');
    const file = inWorkspace('report.html');
    await vscode.commands.executeCommand('sinkscope.exportReport', file);
    const html = Buffer.from(await vscode.workspace.fs.readFile(file)).toString();
    const packed = Buffer.from(/id="contents">([^<]+)</.exec(html)?.[1] ?? '', 'base64');
    const { messages, answers } = unpack(packed) as {
      messages: { type: string; events?: RunEvent[] }[];
      answers: { query: unknown; value: { values?: Float32Array } }[];
    };
    const events = messages.find(({ type }) => type === 'replay')?.events ?? [];
    assert.deepEqual(events.reduce(fold, emptyAnalysis).layers, analysis.layers);
    assert.deepEqual(
      answers.map(({ query }) => query),
      [
        { type: 'predictions', token: 2 },
        { type: 'pattern', layer: 3, head: 1 },
      ],
    );
    const T = analysis.tokens?.tokens.length ?? 0;
    assert.equal(answers[1]?.value.values?.length, T * T);
  });

  it('says that a result cannot be written, and keeps it', async () => {
    await open('Summer is warm.');
    const run = await analyze(sinkscope);
    const inTheWay = inWorkspace('file');
    await vscode.workspace.fs.writeFile(inTheWay, Buffer.from('a file, no folder'));
    const impossible = vscode.Uri.joinPath(inTheWay, 'result');
    await assert.rejects(exportJson(run, defaultThresholds, impossible), { code: 'save', file: impossible.fsPath });
    await assert.rejects(exportTensors(sinkscope.analyses, impossible), { code: 'save' });
    assert.equal(sinkscope.analyses.run, run);
  });
});
