/**
 * The editor of `.onnx` files: what a file is, drawn, and a text tried in place. It reads nothing itself: a process of
 * its own describes the file, so that looking never waits for a run, and none is stopped by it.
 */
import { basename, dirname, join } from 'node:path';
import * as vscode from 'vscode';
import { Engine } from '../engine/host/engine.js';
import { SinkscopeError, toProblem } from '../errors.js';
import {
  type AboutFile,
  type Asked,
  type FromWebview,
  type ModelAction,
  type ModelState,
  type Reply,
  readFromWebview,
  type ToWebview,
} from '../protocol.js';
import type { AnalysesChange } from './analyses.js';
import { chooseOther } from './choices.js';
import { compact } from './compact.js';
import { type CustomEditors, onFileChange, onFolderChange, registerCustomEditors } from './customEditors.js';
import { showLatest } from './latest.js';
import type { Models } from './models.js';
import { contributedId } from './names.js';
import type { Tokenizers } from './tokenizers.js';
import { answerTo, type Host, pageOf, webviewOptions } from './webview.js';

const viewType = 'sinkscope.model';

interface Parts {
  readonly host: Host;
  readonly models: Models;
  readonly tokenizers: Tokenizers;
  /** The bundle of the engine's process. */
  readonly child: string;
}

export type ModelEditors = CustomEditors<ModelState>;

export function registerModelEditors(parts: Parts): ModelEditors {
  let engine: Engine | undefined;
  let editors = 0;
  const reader = (): Engine => {
    if (!engine) {
      engine = new Engine(parts.child);
      engine.useTokenizers(parts.tokenizers.of);
    }
    return engine;
  };
  const release = () => {
    engine?.dispose();
    engine = undefined;
  };
  const registered = registerCustomEditors<ModelState>(viewType, (uri, webview, changed) => {
    editors++;
    const connection = connectModel(uri, webview, { ...parts, reader, changed });
    return vscode.Disposable.from(
      connection,
      new vscode.Disposable(() => {
        if (--editors === 0) release();
      }),
    );
  });
  return {
    open: registered.open,
    onDidChange: registered.onDidChange,
    dispose() {
      registered.dispose();
      release();
    },
  };
}

interface Shown extends Parts {
  readonly reader: () => Engine;
  readonly changed: (state: ModelState) => void;
}

/** Loads the page of a file into `webview` and keeps it up to date until the result is disposed. */
function connectModel(
  uri: vscode.Uri,
  webview: vscode.Webview,
  { host, models, reader, changed }: Shown,
): vscode.Disposable {
  const { analyses } = host;
  const file = uri.fsPath;
  let state: ModelState = { file, shown: { name: nameOf(file), about: { status: 'reading' } }, other: undefined };
  let stream: string | undefined;
  let otherFile: string | undefined;
  let otherWatch: vscode.Disposable | undefined;

  const post = (message: ToWebview) => void webview.postMessage(message);
  const show = (part: Partial<ModelState>) => {
    state = { ...state, ...part };
    changed(state);
    post({ type: 'model', state });
  };
  const postView = showLatest(
    () => host.viewState(),
    (state) => post({ type: 'view', state }),
  );
  const replay = () => {
    post({ type: 'replay', run: analyses.run?.number ?? 0, events: analyses.run?.events ?? [] });
    post({ type: 'selection', selection: analyses.selection });
  };

  const describe = async (path: string, of?: string): Promise<AboutFile> => {
    if (!vscode.workspace.isTrusted) return { status: 'untrusted' };
    if (uri.scheme !== 'file') {
      const message = `${uri.path} is not on the disk of this machine; save a copy there and open that.`;
      return { status: 'failed', problem: { code: 'input', message } };
    }
    try {
      return { status: 'read', description: await reader().describe(path, of) };
    } catch (error) {
      return { status: 'failed', problem: toProblem(error) };
    }
  };
  const read = showLatest(
    () => describe(file, stream),
    (about) => show({ shown: { name: nameOf(file), about } }),
  );
  const readOther = async (path: string | undefined) => {
    if (path !== otherFile) {
      otherWatch?.dispose();
      otherWatch = path === undefined ? undefined : onFileChange(path, () => void readOther(path));
    }
    otherFile = path;
    if (path === undefined) return show({ other: undefined });
    show({ other: { name: nameOf(path), about: { status: 'reading' } } });
    const about = await describe(path);
    if (otherFile === path) show({ other: { name: nameOf(path), about } });
  };

  const act = async (action: ModelAction): Promise<unknown> => {
    switch (action.do) {
      case 'try':
        return vscode.commands.executeCommand(contributedId('tryModel'), file, action.text, action.stream);
      case 'stream':
        stream = action.stream;
        return read();
      case 'compare': {
        const other = await chooseOther(await models.all(), file);
        return other === undefined ? undefined : readOther(other);
      }
      case 'compare-end':
        return readOther(undefined);
      case 'read-again':
        show({ shown: { ...state.shown, about: { status: 'reading' } } });
        return read();
      case 'choose':
        return vscode.commands.executeCommand(contributedId('chooseModel'), file);
      case 'choose-tokenizer':
        await vscode.commands.executeCommand(contributedId('chooseTokenizer'), file);
        return read();
      case 'trust':
        return vscode.commands.executeCommand('workbench.trust.manage');
      case 'show-panel':
        return vscode.commands.executeCommand(contributedId('showPanel'));
    }
  };

  const answer = async (query: Asked): Promise<Reply> => {
    if (query.type !== 'weight') return answerTo(query, analyses);
    try {
      const path = query.of === 'file' ? file : otherFile;
      const isRead = vscode.workspace.isTrusted && uri.scheme === 'file';
      if (path === undefined || !isRead) {
        throw new SinkscopeError({ code: 'input', message: 'This file is not read; open it again.' });
      }
      return { ok: true, value: compact(await reader().weight(path, query.name)) };
    } catch (error) {
      return { ok: false, problem: toProblem(error) };
    }
  };

  const received = async (message: FromWebview): Promise<unknown> => {
    switch (message.type) {
      case 'ready':
        post({ type: 'model', state });
        await postView();
        return replay();
      case 'select':
        return analyses.select(message.selection, 'view');
      case 'query':
        return post({ type: 'answer', id: message.id, answer: await answer(message.query) });
      case 'stop':
        return analyses.stop();
      case 'model':
        return act(message.action);
      case 'save-file':
        return vscode.commands.executeCommand(contributedId('saveFile'), message.name, message.kind, message.bytes);
      case 'help':
        return vscode.commands.executeCommand(contributedId(message.name));
      default:
        return host.log.warn(`The editor of a model is not where ${message.type} is done.`);
    }
  };

  const runChanged = (change: AnalysesChange) => {
    if (change.type === 'event') post(change);
    else if (change.type === 'selection') post({ type: 'selection', selection: analyses.selection });
    else if (change.type === 'run') replay();
  };
  const subscriptions = [
    onFileChange(file, () => void read()),
    // What it lacks is put beside it: its tokenizer, or whatever it could not be read without.
    onFileChange(join(dirname(file), 'tokenizer.json'), () => void read()),
    onFolderChange(dirname(file), () => void (state.shown.about.status === 'failed' && read())),
    new vscode.Disposable(() => otherWatch?.dispose()),
    analyses.onDidChange(runChanged),
    host.onDidChangeView(() => void postView()),
    vscode.workspace.onDidGrantWorkspaceTrust(() => void read()),
    webview.onDidReceiveMessage((data: unknown) => {
      const message = readFromWebview(data);
      if (message) received(message).catch((error) => host.log.error(error));
      else host.log.warn(`A message from a model's editor was not understood: ${JSON.stringify(data)?.slice(0, 200)}`);
    }),
  ];
  webview.options = webviewOptions(host.extension);
  webview.html = pageOf(webview, host.extension, {
    script: 'model',
    data: { view: 'model', page: 'analysis' },
    words: 'Reading the structure of the file; weights stay where they are …',
  });
  changed(state);
  void read();
  return vscode.Disposable.from(...subscriptions);
}

/** A file, and where its name is every exporter's, its folder. */
const nameOf = (file: string): string => join(basename(dirname(file)), basename(file));
