import assert from 'node:assert/strict';
import { appendFileSync, copyFileSync, mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as vscode from 'vscode';
import { emptyAnalysis, fold } from '../../src/analysis/analysis.js';
import { presentMoved } from '../../src/analysis/moved.js';
import { defaultThresholds } from '../../src/analysis/thresholds.js';
import type { ShownRun } from '../../src/extension/analyses.js';
import type { Api } from '../../src/extension/extension.js';
import { halved } from '../support/halved.js';
import {
  analyze,
  api,
  change,
  chooseBundled,
  closeEditors,
  event,
  halt,
  inWorkspace,
  open,
  repositoryFile,
  until,
} from './support.js';

describe('a model that is watched', () => {
  let sinkscope: Api;
  let file: string;
  const own = (): ShownRun | undefined => {
    const { run } = sinkscope.analyses;
    return run?.request.model === file ? run : undefined;
  };
  /** What moved, as the panel finds it in what it is sent. */
  const sentence = (): string | undefined => {
    const { run } = sinkscope.analyses;
    const before = sinkscope.against()?.events.reduce(fold, emptyAnalysis);
    return run && before && presentMoved(before, run.analysis, defaultThresholds).sentence;
  };

  before(async () => {
    sinkscope = await api();
    const folder = inWorkspace('watched').fsPath;
    mkdirSync(folder);
    for (const name of ['model.onnx', 'tokenizer.json', 'tokenizer_config.json', 'config.json'])
      copyFileSync(repositoryFile('media/models/llama', name), join(folder, name));
    file = join(folder, 'model.onnx');
    await vscode.commands.executeCommand('sinkscope.refreshModels');
    assert.ok((await sinkscope.models.all()).some((model) => model.file === file));
  });
  after(async () => {
    await vscode.commands.executeCommand('sinkscope.unwatchModel');
    await vscode.commands.executeCommand('sinkscope.clear');
    // Watching a model chooses it; those after this know nothing of it.
    await chooseBundled(sinkscope);
    rmSync(dirname(file), { recursive: true });
    await vscode.commands.executeCommand('sinkscope.refreshModels');
    await closeEditors();
  });

  it('is analysed on the text of the last analysis, as what later runs are held against', async () => {
    await open('Summer is warm. Winter is cold.');
    const { request } = await analyze(sinkscope);
    const finished = event(sinkscope, 'finished');
    await vscode.commands.executeCommand('sinkscope.watchModel', file);
    assert.equal(sinkscope.watch.watched?.model.file, file);
    await finished;
    assert.deepEqual(own()?.request, { ...request, model: file });
    assert.equal(sentence(), undefined);
  });

  it('is not run half written, says so where it stays so, and tells what moved once it is whole', async () => {
    const before = own();
    const whole = halved(file);
    const half = Math.floor(whole.length / 2);
    writeFileSync(file, whole.subarray(0, half));
    await until(() => sinkscope.watch.watched?.problem !== undefined);
    assert.match((await sinkscope.viewState()).watched?.problem ?? '', /model\.onnx/);
    // What could be seen before still can.
    assert.equal(own(), before);

    const finished = event(sinkscope, 'finished');
    appendFileSync(file, whole.subarray(half));
    await finished;
    assert.equal(own()?.number, (before?.number ?? 0) + 1);
    assert.equal(sinkscope.watch.watched?.problem, undefined);
    assert.match(sentence() ?? '', /Sizes moved in \d of 9 layers/);
  });

  it('ends a run of files that are no longer there, and runs what has taken their place', async () => {
    const changed = own();
    const begun = change(sinkscope, ({ type }) => type === 'run');
    const next = `${file}.new`;
    copyFileSync(repositoryFile('media/models/llama/model.onnx'), next);
    renameSync(next, file);
    await begun;
    const ended = own();
    halt(sinkscope);
    const stopped = event(sinkscope, 'failed');
    const finished = event(sinkscope, 'finished');
    utimesSync(file, new Date(), new Date(0));
    const told = await stopped;
    assert.equal(told.type === 'event' && told.event.type === 'failed' && told.event.problem.code, 'cancelled');
    await finished;
    assert.notEqual(own()?.number, ended?.number);
    assert.equal(sinkscope.watch.watched?.problem, undefined);
    // Held against the last one that came to its end.
    assert.deepEqual(sinkscope.watch.watched?.runs?.before.events, changed?.events);
    assert.match(sentence() ?? '', /Sizes moved in \d of 9 layers/);
  });

  it('says that nothing moved where a file was written again as it was', async () => {
    const finished = event(sinkscope, 'finished');
    utimesSync(join(file, '..', 'config.json'), new Date(), new Date(1000));
    await finished;
    assert.match(sentence() ?? '', /^Nothing moved/);
  });

  it('is watched until that is ended', async () => {
    await vscode.commands.executeCommand('sinkscope.unwatchModel');
    assert.equal(sinkscope.watch.watched, undefined);
    assert.equal((await sinkscope.viewState()).watched, undefined);
  });
});
