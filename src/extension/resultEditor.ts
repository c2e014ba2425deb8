/**
 * The editor of saved results, `*.sinkscope.json`: the panel's page with a run of which there is neither text nor model.
 * The file may be anybody's, so a process of its own reads it, and no run waits for that.
 */
import { posix } from 'node:path';
import * as vscode from 'vscode';
import { emptyAnalysis, fold } from '../analysis/analysis.js';
import type { Thresholds } from '../analysis/thresholds.js';
import type { RunEvent } from '../engine/contract/events.js';
import { Engine } from '../engine/host/engine.js';
import { type Problem, SinkscopeError, toProblem } from '../errors.js';
import { type Asked, type FromWebview, type Reply, readFromWebview, type ToWebview } from '../protocol.js';
import { contentsOf } from '../report/contents.js';
import { compact } from './compact.js';
import { type CustomEditors, onFileChange, registerCustomEditors } from './customEditors.js';
import { showLatest } from './latest.js';
import { contributedId } from './names.js';
import { type Runs, runTitle } from './runs.js';
import { type Host, pageOf, webviewOptions } from './webview.js';

const viewType = 'sinkscope.result';

interface Parts {
  readonly host: Host;
  readonly runs: Runs;
  /** The bundle of the engine's process. */
  readonly child: string;
}

export interface SavedResult {
  readonly events: readonly RunEvent[];
  /** As they were where it was saved. */
  readonly thresholds: Thresholds;
  /** Name of the tensors that lie beside it. */
  readonly tensors: string | undefined;
}

/** What was read, or why it cannot be. */
export type ResultEditors = CustomEditors<SavedResult | Problem>;

/**
 * What a result's file holds, read in a process that ends with it.
 *
 * @param child the bundle of the engine's process
 * @throws SinkscopeError with the reason why it cannot be read; nothing of a folder that is not trusted is
 */
export async function readResult(child: string, { scheme, fsPath }: vscode.Uri): Promise<SavedResult> {
  const refuse = (message: string) => new SinkscopeError({ code: 'input', file: fsPath, message });
  if (!vscode.workspace.isTrusted) throw refuse(`${fsPath} is not read: trust the folder it lies in first.`);
  if (scheme !== 'file') throw refuse(`${fsPath} is not on the disk of this machine; save a copy there and open that.`);
  const engine = new Engine(child);
  try {
    const events: RunEvent[] = [];
    for await (const event of engine.run('result', { file: fsPath })) {
      if (event.type === 'failed') throw new SinkscopeError(event.problem);
      if (event.type !== 'result') events.push(compact(event));
      else {
        const { finished, thresholds, tensors } = event;
        return { events: [...events, finished ?? unfinished()], thresholds, tensors };
      }
    }
    throw refuse(`${fsPath} could not be read to its end.`);
  } finally {
    engine.dispose();
  }
}

const unfinished = (): RunEvent => ({
  type: 'failed',
  problem: { code: 'cancelled', message: 'The run had not ended when this result was saved.' },
});

export const registerResultEditor = (parts: Parts): ResultEditors =>
  registerCustomEditors(viewType, (uri, webview, told) => connectResult(uri, webview, parts, told));

/** Loads the page of a result into `webview`; until the result is disposed, it is held against whatever run is pinned. */
function connectResult(
  uri: vscode.Uri,
  webview: vscode.Webview,
  { host, runs, child }: Parts,
  told: (read: SavedResult | Problem) => void,
): vscode.Disposable {
  const post = (message: ToWebview) => void webview.postMessage(message);
  const name = posix.basename(uri.path);
  let isReady = false;
  let read: SavedResult | Problem | undefined;
  let pinned = runs.pinned;

  const show = () => {
    if (!isReady || read === undefined) return;
    const shown = 'events' in read ? read : undefined;
    const contents = contentsOf({
      name,
      scope: 'saved result',
      analysis: shown?.events.reduce(fold, emptyAnalysis),
      run: readings,
      thresholds: shown?.thresholds,
      tensors: shown?.tensors,
      trouble: 'events' in read ? undefined : read,
    });
    contents.messages.forEach(post);
    postAgainst();
  };
  const postAgainst = () => {
    pinned = runs.pinned;
    const before = pinned && { name: runTitle(pinned.note), pinned: true, events: pinned.events };
    post({ type: 'against', before });
  };
  /** Tells what was read from what was read before, as a run's number does. */
  let readings = 0;
  const look = showLatest(
    () => readResult(child, uri).catch(toProblem),
    (found) => {
      readings++;
      read = found;
      told(read);
      show();
    },
  );

  /** What the tensors beside it answer, read in a process that stays as long as the editor does. */
  let engine: Engine | undefined;
  const answer = async (query: Asked): Promise<Reply> => {
    const isKnown = query.type === 'magnitudes' || query.type === 'pattern';
    if (!isKnown || !read || 'code' in read || read.tensors === undefined) {
      const message = isKnown
        ? 'This is a saved result, without its model; tensors that were saved beside it show this.'
        : 'This is a saved result, without the model that made it; only what was saved can be shown.';
      return { ok: false, problem: { code: 'input', message } };
    }
    try {
      engine ??= new Engine(child);
      return { ok: true, value: compact(await engine.saved(uri.fsPath, query)) };
    } catch (error) {
      return { ok: false, problem: toProblem(error) };
    }
  };

  const received = async (message: FromWebview): Promise<unknown> => {
    switch (message.type) {
      case 'ready':
        isReady = true;
        return show();
      case 'select':
        return;
      case 'query':
        return post({ type: 'answer', id: message.id, answer: await answer(message.query) });
      case 'pin':
        return message.on ? undefined : vscode.commands.executeCommand(contributedId('unpinRun'));
      case 'copy':
        return vscode.env.clipboard.writeText(message.text);
      case 'save-file':
        return vscode.commands.executeCommand(contributedId('saveFile'), message.name, message.kind, message.bytes);
      default:
        return host.log.warn(`The editor of a result is not where ${message.type} is done.`);
    }
  };

  webview.options = webviewOptions(host.extension);
  webview.html = pageOf(webview, host.extension, {
    script: 'panel',
    data: { view: 'report', page: 'analysis' },
    words: 'Reading the result …',
  });
  void look();
  return vscode.Disposable.from(
    new vscode.Disposable(() => engine?.dispose()),
    onFileChange(uri.fsPath, () => void look()),
    vscode.workspace.onDidGrantWorkspaceTrust(() => void look()),
    runs.onDidChange(() => {
      if (isReady && pinned !== runs.pinned) postAgainst();
    }),
    webview.onDidReceiveMessage((data: unknown) => {
      const message = readFromWebview(data);
      if (message) received(message).catch((error) => host.log.error(error));
      else host.log.warn(`A message from a result's editor was not understood: ${JSON.stringify(data)?.slice(0, 200)}`);
    }),
  );
}
