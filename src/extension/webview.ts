/** What the webviews have in common: their page, and the way in which they and the host speak about a run. */
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import * as vscode from 'vscode';
import { SinkscopeError, toProblem } from '../errors.js';
import { experiments as catalogue } from '../experiments/catalogue.js';
import {
  type Against,
  type Asked,
  type ExperimentsMessage,
  type FromWebview,
  type Reply,
  readFromWebview,
  type ToWebview,
  type ViewState,
} from '../protocol.js';
import { pictureToShow } from '../tokens/shown.js';
import type { Analyses, AnalysesChange, ShownRun } from './analyses.js';
import { compact } from './compact.js';
import { type Experiments, type ExperimentsChange, sentRun } from './experiments.js';
import { showLatest } from './latest.js';
import { contributedId } from './names.js';
import type { Texts } from './texts.js';

/** What a webview shows and asks of the host. */
export interface Host {
  readonly extension: vscode.Uri;
  readonly analyses: Analyses;
  readonly experiments: Experiments;
  readonly texts: Texts;
  readonly log: vscode.LogOutputChannel;
  viewState(): Promise<ViewState>;
  /** What the run that is shown is held against. */
  against(): Against | undefined;
  /** The view state is another one. */
  readonly onDidChangeView: vscode.Event<void>;
}

/** Options of every webview of the extension. */
export function webviewOptions(extension: vscode.Uri): vscode.WebviewOptions {
  return { enableScripts: true, localResourceRoots: [vscode.Uri.joinPath(extension, 'dist', 'webview')] };
}

/** Loads the panel's page into `webview` and keeps it up to date until the result is disposed. */
export function connect(webview: vscode.Webview, host: Host): vscode.Disposable {
  const { analyses } = host;
  const post = (message: ToWebview) => void webview.postMessage(message);
  /** What the page was told last, by what it is about: taking the same again would be drawing all of it again. */
  const told = new Map<string, ToWebview>();
  const tell = (about: string, message: ToWebview) => {
    if (isDeepStrictEqual(told.get(about), message)) return;
    told.set(about, message);
    post(message);
  };
  const postView = showLatest(
    () => host.viewState(),
    (state) => tell('view', { type: 'view', state }),
  );
  /** All of a run, so no more often than it is another one. */
  let posted: Against | undefined;
  const postAgainst = (again = false) => {
    const before = host.against();
    if (!again && before?.events === posted?.events && before?.name === posted?.name) return;
    posted = before;
    post({ type: 'against', before });
  };
  const postSelection = () => post({ type: 'selection', selection: analyses.selection });
  const replay = () => {
    post({ type: 'replay', run: analyses.run?.number ?? 0, events: analyses.run?.events ?? [] });
    postSelection();
  };

  const postExperiments = (message: ExperimentsMessage) => post({ type: 'experiments', message });
  const postChoices = () => {
    const facts = catalogue.map(({ run, ...facts }) => facts);
    const message: ExperimentsMessage = { kind: 'choices', experiments: facts, texts: host.texts.names };
    tell('choices', { type: 'experiments', message });
  };
  const postRuns = () => postExperiments({ kind: 'runs', runs: host.experiments.runs.map(sentRun) });
  const experimentsChanged = (change: ExperimentsChange) => {
    if (change.type === 'run') postExperiments({ kind: 'run', run: sentRun(change.run) });
    else postRuns();
  };

  const changed = (change: AnalysesChange) => {
    if (change.type === 'event') post(change);
    else if (change.type === 'selection') postSelection();
    else if (change.type === 'run') replay();
    if (change.type === 'run') postAgainst();
  };

  /** What was chosen last, until it is: what is run then is run with it. */
  let choosing: Promise<unknown> = Promise.resolve();
  const choose = (command: string, value: string) => {
    choosing = Promise.all([choosing, vscode.commands.executeCommand(command, value)]);
    return choosing;
  };

  const received = async (message: FromWebview): Promise<unknown> => {
    switch (message.type) {
      case 'ready':
        told.clear();
        await postView();
        postChoices();
        postRuns();
        postAgainst(true);
        return replay();
      case 'select':
        return analyses.select(message.selection, 'view');
      case 'query':
        return post({ type: 'answer', id: message.id, answer: await answerTo(message.query, analyses) });
      case 'stop':
        return analyses.stop();
      case 'analyze-again':
        await choosing;
        return vscode.commands.executeCommand(contributedId('analyzeAgain'), message.stream);
      case 'unwatch':
        return vscode.commands.executeCommand(contributedId('unwatchModel'));
      case 'pin':
        return vscode.commands.executeCommand(contributedId(message.on ? 'pinRun' : 'unpinRun'));
      case 'choose-model':
        return choose(contributedId('chooseModel'), message.file);
      case 'choose-bos':
        return choose(contributedId('chooseBos'), message.bos);
      case 'choose-tint':
        return choose(contributedId('chooseTint'), message.tint);
      case 'try-sample':
        return vscode.commands.executeCommand(contributedId('analyzeSample'));
      case 'help':
        return vscode.commands.executeCommand(contributedId(message.name));
      case 'open-settings':
        return vscode.commands.executeCommand(contributedId('openSettings'));
      case 'save':
        return vscode.commands.executeCommand(contributedId(message.what === 'json' ? 'exportJson' : 'exportTensors'));
      case 'save-file':
        return vscode.commands.executeCommand(contributedId('saveFile'), message.name, message.kind, message.bytes);
      case 'save-report':
        return vscode.commands.executeCommand(contributedId('exportReport'));
      case 'copy':
        return vscode.env.clipboard.writeText(message.text);
      case 'experiment':
        await choosing;
        return vscode.commands.executeCommand(contributedId('experimentAction'), message.action);
      case 'model':
        return host.log.warn('What is done in the editor of a model is not done in the panel.');
    }
  };

  const subscriptions = [
    analyses.onDidChange(changed),
    host.experiments.onDidChange(experimentsChanged),
    host.texts.onDidChange(postChoices),
    host.onDidChangeView(() => {
      postAgainst();
      void postView();
    }),
    webview.onDidReceiveMessage((data: unknown) => {
      const message = readFromWebview(data);
      if (message) received(message).catch((error) => host.log.error(error));
      else host.log.warn(`A message from the panel was not understood: ${JSON.stringify(data)?.slice(0, 200)}`);
    }),
  ];
  webview.options = webviewOptions(host.extension);
  webview.html = pageOf(webview, host.extension, {
    script: 'panel',
    data: { view: 'panel', page: host.experiments.running ? 'experiments' : 'analysis' },
    words: analyses.running ? 'Reading the model …' : 'Waiting for the extension …',
  });
  return vscode.Disposable.from(...subscriptions);
}

/** The answer to what a webview asks about the run. */
export async function answerTo(query: Asked, analyses: Analyses): Promise<Reply> {
  try {
    if (query.type === 'weight') throw new SinkscopeError({ code: 'input', message: 'No file is shown.' });
    const value = query.type === 'picture' ? { bytes: await pictureOf(analyses.run) } : await analyses.query(query);
    return { ok: true, value: compact(value) };
  } catch (error) {
    return { ok: false, problem: toProblem(error) };
  }
}

/** The bytes of the picture that `run` is about. */
async function pictureOf(run: ShownRun | undefined): Promise<Uint8Array> {
  const file = run?.analysis.tokens?.picture?.file;
  if (file === undefined) {
    throw new SinkscopeError({ code: 'input', message: 'The run shown is about no picture.' });
  }
  // What a file from elsewhere calls it is no file of this machine's.
  if (run?.file !== undefined) {
    const message = 'A saved result has no picture in it; only its numbers are shown.';
    throw new SinkscopeError({ code: 'input', message });
  }
  try {
    return await pictureToShow(Buffer.from(await vscode.workspace.fs.readFile(vscode.Uri.file(file))));
  } catch (error) {
    const message = `${file} can no longer be read; only its numbers are shown.`;
    throw new SinkscopeError({ code: 'file', file, message }, { cause: error });
  }
}

interface Page {
  readonly script: 'panel' | 'model';
  readonly data: Readonly<Record<'view' | 'page', string>>;
  /** What is read until the script has come, which is far away over SSH. Not escaped. */
  readonly words: string;
}

/** A page of the extension: its own script and no other, and what it is told from the first moment. */
export function pageOf(webview: vscode.Webview, extension: vscode.Uri, { script, data, words }: Page): string {
  const nonce = randomBytes(16).toString('base64');
  const file = (name: string) => webview.asWebviewUri(vscode.Uri.joinPath(extension, 'dist', 'webview', name));
  const policy = [
    `default-src 'none'`,
    `img-src ${webview.cspSource} blob: data:`,
    `style-src ${webview.cspSource} 'nonce-${nonce}'`,
    `font-src ${webview.cspSource}`,
    `script-src 'nonce-${nonce}'`,
  ].join('; ');
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta property="csp-nonce" nonce="${nonce}">
<title>Sinkscope</title>
</head>
<body data-view="${data.view}" data-page="${data.page}">
<p class="state" role="status">${words}</p>
<link rel="stylesheet" href="${file('codicon.css')}">
<link rel="stylesheet" href="${file(`${script}.css`)}">
<script type="module" nonce="${nonce}" src="${file(`${script}.js`)}"></script>
</body>
</html>`;
}
