import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as vscode from 'vscode';
import { massiveActivations } from '../../src/analysis/massive.js';
import { sinks } from '../../src/analysis/sinks.js';
import { defaultThresholds } from '../../src/analysis/thresholds.js';
import type { ShownRun } from '../../src/extension/analyses.js';
import type { Api } from '../../src/extension/extension.js';
import type { TextRange } from '../../src/extension/ranges.js';
import {
  analyze,
  api,
  change,
  closeEditors,
  configure,
  event,
  halt,
  open,
  openFile,
  repositoryFile,
  until,
} from './support.js';

const isRange = (range: TextRange | undefined): range is TextRange => range !== undefined;

function textAt(document: vscode.TextDocument, { start, end }: TextRange): string {
  return document.getText(new vscode.Range(document.positionAt(start), document.positionAt(end)));
}

describe('Analyze Prompt', () => {
  let sinkscope: Api;
  before(async () => {
    sinkscope = await api();
  });
  afterEach(async () => {
    await vscode.commands.executeCommand('sinkscope.clear');
    await closeEditors();
  });

  it('finds in the sample what PyTorch finds', async () => {
    const file = vscode.Uri.file(repositoryFile('media', 'sample.md'));
    const editor = await vscode.window.showTextDocument(file);
    const { analysis, number } = await analyze(sinkscope);
    const { llama } = JSON.parse(readFileSync(repositoryFile('test', 'references', 'analysis.json'), 'utf8')).models;

    assert.deepEqual(
      analysis.tokens?.tokens.map(({ id }) => id),
      [...llama.prefix, ...llama.ids.filter((_: number, i: number) => i >= llama.prefix.length)],
    );
    assert.deepEqual(
      massiveActivations(analysis, defaultThresholds)
        .filter(({ kind }) => kind === 'massive')
        .map(({ token, dim, onset, last }) => ({ token, dim, onset, last })),
      llama.massive,
    );
    assert.deepEqual(
      sinks(analysis, defaultThresholds).sinks.map(({ token, heads }) => ({ token, heads })),
      llama.sinks,
    );
    const { prefix } = sinkscope.decorations.marks(editor.document) ?? {};
    assert.deepEqual(prefix && { at: prefix.at, label: prefix.label }, { at: 0, label: '⟨bos⟩ ▲⚓\uFE0E' });

    // The engine's child stays, so that the next run is warm, and the run after it has its own number.
    assert.equal((await analyze(sinkscope)).number, number + 1);
  });

  const texts = {
    'plain words': 'Summer is warm. Winter is cold.',
    'multi-byte letters': 'Ωμέγα naïve café — 你好，世界。 Größe',
    'emoji and joined emoji': 'before 🙂 after 👩‍👩‍👧‍👦 end 🇩🇪',
    'tabs and spaces': '\tone\t\ttwo   three\n\n\n\tfour',
    'carriage returns': 'first line\r\nsecond 🙂 line\r\n\r\nlast\r\n',
  };
  for (const [what, text] of Object.entries(texts)) {
    it(`puts tokens on the right characters: ${what}`, async () => {
      const { document } = await openFile(`${what.replaceAll(' ', '-')}.txt`, text);
      assert.equal(document.getText(), text);
      const run = await analyze(sinkscope);
      const tokens = run.analysis.tokens?.tokens ?? [];
      const ranges = run.ranges.filter(isRange);
      const clean = tokens.filter((token, i) => run.ranges[i] && /^[\x20-\x7e]+$/.test(token.text));
      assert.ok(clean.length > 0);
      for (const token of clean) {
        assert.equal(textAt(document, { start: token.start, end: token.end }).trim(), token.text.trim());
      }
      // Every character belongs to a token: nothing is lost, nothing is off by one.
      const covered = new Uint8Array(text.length);
      for (const { start, end } of ranges) covered.fill(1, start, end);
      const left = Array.from(text).filter((_, i) => covered[i] === 0);
      assert.equal(left.join('').trim(), '');
      // No range cuts a surrogate pair.
      for (const { start, end } of ranges)
        assert.doesNotMatch(text.slice(start, end), /^[\udc00-\udfff]|[\ud800-\udbff]$/);
    });
  }

  it('analyzes the selection only, and puts its marks there', async () => {
    const editor = await open('not this. Summer is warm. not this either');
    editor.selection = new vscode.Selection(0, 10, 0, 25);
    const run = await analyze(sinkscope);
    assert.equal(run.source?.text, 'Summer is warm.');
    assert.equal(run.source.scope, 'selection');
    const ranges = run.ranges.filter(isRange);
    assert.equal(ranges[0]?.start, 10);
    assert.equal(ranges.at(-1)?.end, 25);
    assert.equal(sinkscope.decorations.marks(editor.document)?.prefix?.at, 10);
  });

  it('lets marks follow edits elsewhere', async () => {
    const editor = await open('one line\nSummer is warm. Winter is cold.\n');
    editor.selection = new vscode.Selection(1, 0, 1, 31);
    const before = await analyze(sinkscope);
    const held = (run: ShownRun) => run.ranges.map((range) => range && textAt(editor.document, range));
    const texts = held(before);
    await editor.edit((edit) => {
      edit.insert(new vscode.Position(0, 0), '🙂 two\nlines ');
      edit.insert(new vscode.Position(2, 0), 'behind');
    });
    const { run } = sinkscope.analyses;
    assert.ok(run);
    assert.notDeepEqual(run.ranges, before.ranges);
    assert.deepEqual(held(run), texts);
    assert.equal(run.stale, false);
  });

  it('takes away the marks of what is edited, and says that the run is stale', async () => {
    const editor = await open('Summer is warm. Winter is cold.');
    const before = await analyze(sinkscope);
    const count = before.ranges.filter(isRange).length;
    await editor.edit((edit) => edit.insert(new vscode.Position(0, 18), 'XX'));
    const { run } = sinkscope.analyses;
    assert.equal(run?.stale, true);
    assert.equal(run.ranges.filter(isRange).length, count - 1);
    assert.equal(sinkscope.analyses.tokenAt(editor.document.uri, 19), undefined);
    assert.notEqual(sinkscope.analyses.tokenAt(editor.document.uri, 2), undefined);
    await vscode.commands.executeCommand('undo');
    assert.equal(sinkscope.analyses.run?.stale, false);
    assert.deepEqual(sinkscope.analyses.run?.ranges, before.ranges);
    const all = new vscode.Range(0, 0, 0, 31);
    await editor.edit((edit) => edit.delete(all));
    assert.deepEqual(sinkscope.analyses.run?.ranges.filter(isRange), []);
    await vscode.commands.executeCommand('undo');
    assert.deepEqual(sinkscope.analyses.run?.ranges, before.ranges);
    await editor.edit((edit) => edit.insert(editor.document.lineAt(0).range.end, ' More.'));
    assert.equal(sinkscope.analyses.run?.stale, true, 'the whole document is more than what was analyzed');
    assert.deepEqual(sinkscope.analyses.run?.ranges, before.ranges);
  });

  it('analyzes the text as it is now when asked again', async () => {
    const editor = await open('one. Summer is warm.');
    editor.selection = new vscode.Selection(0, 5, 0, 20);
    await analyze(sinkscope);
    await editor.edit((edit) => edit.replace(new vscode.Range(0, 12, 0, 14), 'was'));
    await vscode.commands.executeCommand('sinkscope.analyzeAgain');
    assert.equal(sinkscope.analyses.run?.source?.text, 'Summer was warm.');
    assert.equal(sinkscope.analyses.run.stale, false);
    assert.equal(sinkscope.analyses.run.ranges.findLast(isRange)?.end, 21);
  });

  it('forgets everything on Clear', async () => {
    const editor = await open('Summer is warm.');
    await analyze(sinkscope);
    assert.ok(sinkscope.decorations.marks(editor.document));
    await vscode.commands.executeCommand('sinkscope.clear');
    assert.equal(sinkscope.decorations.marks(editor.document), undefined);
    assert.equal(sinkscope.analyses.run, undefined);
  });

  it('runs nothing after Clear that was asked for before', async () => {
    await open('Summer is warm.');
    // Each waits for something before it runs: which model, and the text as it is now.
    const analyzing = vscode.commands.executeCommand('sinkscope.analyze');
    await vscode.commands.executeCommand('sinkscope.clear');
    await analyzing;
    assert.equal(sinkscope.analyses.run?.number, undefined);

    await analyze(sinkscope);
    const choosing = vscode.commands.executeCommand('sinkscope.chooseBos', 'off');
    await vscode.commands.executeCommand('sinkscope.clear');
    await choosing;
    assert.equal(sinkscope.analyses.run?.number, undefined);
    await vscode.commands.executeCommand('sinkscope.chooseBos', 'auto');
  });

  it('starts no run on an empty document', async () => {
    await open('');
    await vscode.commands.executeCommand('sinkscope.analyze');
    assert.equal(sinkscope.analyses.run, undefined);
  });

  it('stops in the middle, and runs again', async () => {
    await open('Summer is warm.');
    const { events } = await analyze(sinkscope);
    halt(sinkscope);
    const begun = change(sinkscope, ({ type }) => type === 'run');
    const ended = vscode.commands.executeCommand('sinkscope.analyze');
    await begun;
    await vscode.commands.executeCommand('sinkscope.stop');
    await ended;
    assert.equal(sinkscope.analyses.running, false);
    assert.deepEqual(sinkscope.analyses.run?.events, events, 'what was there before is there again');
    assert.equal(sinkscope.analyses.trouble, undefined);
    await analyze(sinkscope);
  });

  it('lets a newer request end the older one', async () => {
    await open('Summer is warm.');
    const older = vscode.commands.executeCommand('sinkscope.analyze');
    const newer = vscode.commands.executeCommand('sinkscope.analyze');
    await Promise.all([older, newer]);
    assert.equal(sinkscope.analyses.run?.analysis.status, 'finished');
  });

  it('says so when the engine dies, shows what it had, and runs again', async () => {
    const editor = await open('Summer is warm.');
    const { events } = await analyze(sinkscope);
    sinkscope.analyses.select({ token: 3, layer: 2 }, 'view');
    const pid = halt(sinkscope);
    const begun = change(sinkscope, ({ type }) => type === 'run');
    const ended = vscode.commands.executeCommand('sinkscope.analyze');
    await begun;
    process.kill(pid, 'SIGKILL');
    await ended;
    assert.equal(sinkscope.analyses.trouble?.code, 'crashed');
    assert.equal((await sinkscope.viewState()).trouble?.code, 'crashed');
    assert.deepEqual(sinkscope.analyses.run?.events, events);
    assert.deepEqual(sinkscope.analyses.selection, { token: 3, layer: 2 });
    assert.ok(sinkscope.decorations.marks(editor.document)?.prefix, 'its marks as well');
    await analyze(sinkscope);
    assert.equal(sinkscope.analyses.trouble, undefined);
  });

  it('asks for a part of a text that is too long, and says which it was', async () => {
    await open('Summer is warm. '.repeat(2000));
    const ended = vscode.commands.executeCommand('sinkscope.analyze');
    await event(sinkscope, 'failed');
    const { limit, code } = sinkscope.analyses.run?.analysis.problem ?? {};
    assert.equal(code, 'too-long');
    assert.ok(limit && limit.tokens > limit.context);
    await until(
      () => sinkscope.analyses.run?.request.window !== undefined,
      () => vscode.commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem'),
    );
    await ended;
    const { analysis, request } = sinkscope.analyses.run ?? {};
    assert.equal(request?.window, 'first');
    assert.equal(analysis?.status, 'finished', analysis?.problem?.message);
    assert.equal(analysis.tokens?.window.start, 0);
    assert.ok((analysis.tokens.total ?? 0) > analysis.tokens.window.end);
    const last = analysis.tokens.window.end - 1;
    const total = (limit.tokens - 1).toLocaleString('en');
    assert.equal((await sinkscope.viewState()).scope, `whole document, tokens 0–${last} of ${total}`);
  });

  it('calls a cell of a notebook what it is', async () => {
    const code = new vscode.NotebookCellData(vscode.NotebookCellKind.Code, 'Summer is warm.', 'plaintext');
    const notebook = await vscode.workspace.openNotebookDocument('jupyter-notebook', new vscode.NotebookData([code]));
    await vscode.window.showNotebookDocument(notebook);
    await until(
      () => vscode.window.activeTextEditor?.document.uri.scheme === 'vscode-notebook-cell',
      () => vscode.commands.executeCommand('notebook.cell.edit'),
    );
    await analyze(sinkscope);
    const { document, scope } = await sinkscope.viewState();
    assert.match(document ?? '', / · cell 1$/);
    assert.equal(scope, 'whole cell');
  });

  it('takes a document of 10 MB', async () => {
    await openFile('long.txt', `${'Summer is warm. Winter is cold.\n'.repeat(330_000)}`);
    const ended = vscode.commands.executeCommand('sinkscope.analyze');
    await event(sinkscope, 'failed');
    assert.equal(sinkscope.analyses.run?.analysis.problem?.code, 'too-long');
    await until(
      () => sinkscope.analyses.run?.request.window !== undefined,
      () => vscode.commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem'),
    );
    await ended;
    const { analysis } = sinkscope.analyses.run ?? {};
    assert.equal(analysis?.status, 'finished', analysis?.problem?.message);
  });

  it('runs a model without a tokenizer on token ids', async () => {
    const settings = await configure({
      model: repositoryFile('test', 'zoo', 'fixtures', 'gpt2-ts-op14', 'model.onnx'),
    });
    try {
      await open('Summer is warm.');
      await vscode.commands.executeCommand('sinkscope.analyze');
      assert.equal(sinkscope.analyses.run?.analysis.problem?.code, 'tokenizer');
      await vscode.commands.executeCommand('sinkscope.analyzeIds', [1, 5, 9]);
      const { analysis } = sinkscope.analyses.run;
      assert.equal(analysis.status, 'finished', analysis.problem?.message);
      assert.deepEqual(
        analysis.tokens?.tokens.map(({ id }) => id),
        [1, 5, 9],
      );
      await vscode.commands.executeCommand('sinkscope.analyzeIds', [1, 1_000_000]);
      assert.equal(sinkscope.analyses.trouble?.code, 'input');
    } finally {
      await settings.restore();
    }
  });

  it('derives marks anew when thresholds change, without another run', async () => {
    const { document } = await open('Summer is warm. Winter is cold. There were four of us.');
    const { number } = await analyze(sinkscope);
    assert.equal(sinkscope.decorations.marks(document)?.prefix?.kind, 'massive');
    const settings = await configure({ 'thresholds.absolute': 1e6 });
    try {
      assert.equal(sinkscope.decorations.marks(document)?.prefix?.kind, 'large');
      assert.equal(sinkscope.analyses.run?.number, number);
    } finally {
      await settings.restore();
    }
    const wrong = await configure({ 'thresholds.absolute': 'many' });
    try {
      assert.equal(sinkscope.decorations.marks(document)?.prefix?.kind, 'massive');
    } finally {
      await wrong.restore();
    }
  });

  it('records whether BOS was put before the text', async () => {
    await open('Summer is warm.');
    const settings = await configure({ bos: 'off' });
    try {
      const { analysis } = await analyze(sinkscope);
      assert.equal(analysis.started?.settings.bos, false);
      assert.equal(analysis.tokens?.tokens[0]?.special, false);
    } finally {
      await settings.restore();
    }
  });

  it('reads CR LF as LF, unless it is to be read as it is, with the document’s offsets', async () => {
    const text = 'one\r\ntwo\r\n';
    await openFile('line-ends.txt', text);
    const read = ({ analysis, ranges }: ShownRun) => ({
      how: analysis.started?.settings.lineEnds,
      tokens: analysis.tokens?.tokens.length ?? 0,
      told: analysis.started?.model.remarks.some((one) => one.startsWith('line ends: 2 that are CR LF')),
      covered: ranges.filter(isRange).map(({ start, end }) => text.slice(start, end)),
    });
    const lf = read(await analyze(sinkscope));
    const settings = await configure({ lineEnds: 'as-is' });
    try {
      const asIs = read(await analyze(sinkscope));
      assert.deepEqual([lf.how, asIs.how, lf.told, asIs.told], ['lf', 'as-is', true, false]);
      assert.ok(lf.tokens < asIs.tokens, `${lf.tokens} and ${asIs.tokens} tokens`);
      for (const { covered } of [lf, asIs]) assert.equal(covered.join(''), text);
    } finally {
      await settings.restore();
    }
  });

  it('says what is wrong with a model that is not there', async () => {
    await open('Summer is warm.');
    const settings = await configure({ model: 'nowhere/model.onnx' });
    try {
      await vscode.commands.executeCommand('sinkscope.analyze');
      assert.equal(sinkscope.analyses.run, undefined);
      await assert.rejects(sinkscope.models.chosen(), /nowhere\/model\.onnx is neither a bundled model nor/);
    } finally {
      await settings.restore();
    }
  });
});
