import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { Engine } from '../../src/engine/host/engine.js';
import { Analyses } from '../../src/extension/analyses.js';
import { documentSource } from '../../src/extension/source.js';
import { connect, type Host } from '../../src/extension/webview.js';
import { type FromWebview, readReply, type ToWebview } from '../../src/protocol.js';
import {
  analyze as analyzeEditor,
  api,
  chooseBundled,
  closeEditors,
  extension,
  open,
  repositoryFile,
  until,
} from './support.js';

/** A webview without a page: keeps what the host posts, and says what it is told to. */
class RecordedWebview implements vscode.Webview {
  options: vscode.WebviewOptions = {};
  html = '';
  readonly cspSource = 'https://webview.example';
  readonly posted: ToWebview[] = [];
  private readonly messages = new vscode.EventEmitter<unknown>();
  readonly onDidReceiveMessage = this.messages.event;

  async postMessage(message: ToWebview): Promise<boolean> {
    this.posted.push(message);
    return true;
  }

  asWebviewUri(local: vscode.Uri): vscode.Uri {
    return local;
  }

  say(message: FromWebview | Record<string, unknown>): void {
    this.messages.fire(message);
  }

  /** The next message of this type that is posted from now on. */
  async next<T extends ToWebview['type']>(type: T): Promise<Extract<ToWebview, { type: T }>> {
    const from = this.posted.length;
    const found = () =>
      this.posted.slice(from).find((message): message is Extract<ToWebview, { type: T }> => message.type === type);
    await until(() => found() !== undefined);
    const message = found();
    assert.ok(message);
    return message;
  }
}

describe('what a webview is told', () => {
  let analyses: Analyses;
  let webview: RecordedWebview;
  let connection: vscode.Disposable;
  let host: Host;
  let viewState: Host['viewState'];
  let experiments: Host['experiments'];
  let texts: Host['texts'];
  const log = vscode.window.createOutputChannel('Sinkscope Test', { log: true });
  const view = new vscode.EventEmitter<void>();

  const analyze = async (content: string) => {
    const source = documentSource(await vscode.workspace.openTextDocument({ content }));
    const model = repositoryFile('media', 'models', 'llama', 'model.onnx');
    const options = { attention: true, memory: 2 ** 30, threads: 1 };
    const analysis = await analyses.analyze({ model, prompt: { text: source.text }, ...options }, source);
    assert.equal(analysis?.status, 'finished', analysis?.problem?.message);
    assert.ok(analyses.run);
    return analyses.run;
  };

  before(async () => {
    ({ viewState, experiments, texts } = await api());
    analyses = new Analyses(new Engine(repositoryFile('dist', 'engine.js')));
    await analyze('Summer is warm. Winter is cold.');
  });
  beforeEach(() => {
    webview = new RecordedWebview();
    const { extensionUri } = extension();
    host = {
      extension: extensionUri,
      analyses,
      experiments,
      texts,
      log,
      viewState,
      against: () => undefined,
      onDidChangeView: view.event,
    };
    connection = connect(webview, host);
  });
  afterEach(() => connection.dispose());
  after(() => {
    analyses.dispose();
    analyses.engine.dispose();
    log.dispose();
  });

  it('lets the page run only its own script', () => {
    assert.match(webview.html, /<body data-view="panel"/);
    const policy = /content="([^"]+)"/.exec(webview.html.replace(/<meta name="viewport"[^>]*>/, ''))?.[1] ?? '';
    assert.match(policy, /default-src 'none'/);
    const nonce = /script-src 'nonce-([^']+)'/.exec(policy)?.[1];
    assert.ok(nonce && nonce.length >= 20);
    assert.doesNotMatch(policy, /unsafe/);
    const scripts = Array.from(webview.html.matchAll(/<script([^>]*)>([^<]*)</g));
    assert.equal(scripts.length, 1);
    const [, attributes, content] = scripts[0] ?? [];
    assert.ok(attributes?.includes(`nonce="${nonce}"`));
    assert.equal(content, '');
  });

  it('says what is waited for until its script has come', async () => {
    const words = ({ html }: RecordedWebview) => /<p class="state" role="status">([^<]+)<\/p>/.exec(html)?.[1];
    assert.equal(words(webview), 'Waiting for the extension …');
    assert.ok(analyses.run);
    const { request, source } = analyses.run;
    const ended = analyses.analyze(request, source);
    const opened = new RecordedWebview();
    connect(opened, host).dispose();
    assert.equal(words(opened), 'Reading the model …');
    await ended;
  });

  it('brings everything again whenever it is ready', async () => {
    const { run } = analyses;
    for (let time = 0; time < 2; time++) {
      const replay = webview.next('replay');
      webview.say({ type: 'ready' });
      assert.deepEqual((await replay).events, run?.events);
      const state = webview.posted.findLast((message) => message.type === 'view')?.state;
      assert.equal(state?.models.find(({ file }) => file === state.model)?.name, 'llama');
    }
  });

  it('is told nothing a second time, unless it asks for all', async () => {
    const told = () => webview.posted.filter(({ type }) => type !== 'event' && type !== 'selection').length;
    const replay = webview.next('replay');
    webview.say({ type: 'ready' });
    await replay;
    const before = told();
    view.fire();
    // Texts are those of the window, whose active editor may be another one that is called the same.
    await vscode.commands.executeCommand('sinkscope.clear');
    await host.viewState();
    await host.viewState();
    assert.equal(told(), before);
    const view2 = webview.next('view');
    webview.say({ type: 'ready' });
    assert.equal((await view2).type, 'view');
  });

  it('hears every event of the next run, in order', async () => {
    const run = await analyze('Summer is warm.');
    const heard = webview.posted.flatMap((message) => (message.type === 'event' ? [message] : []));
    assert.deepEqual(
      heard.map(({ event }) => event),
      run.events,
    );
    assert.deepEqual(
      heard.map(({ index }) => index),
      run.events.map((_, i) => i),
    );
    assert.ok(heard.every((message) => message.run === run.number));
  });

  it('has the model run that was chosen before, however soon after', async () => {
    const sinkscope = await api();
    connection.dispose();
    connection = connect(webview, { ...host, analyses: sinkscope.analyses });
    const sink = (await sinkscope.models.list()).find(({ name }) => name === 'llama-sink');
    assert.ok(sink);
    await open('Summer is warm.');
    const { number } = await analyzeEditor(sinkscope);
    try {
      // While they are looked for again, choosing one takes its time.
      void vscode.commands.executeCommand('sinkscope.refreshModels');
      webview.say({ type: 'choose-model', file: sink.file });
      webview.say({ type: 'analyze-again' });
      await until(
        () => sinkscope.analyses.run?.analysis.status === 'finished' && sinkscope.analyses.run.number > number,
      );
      assert.equal(sinkscope.analyses.run?.analysis.started?.model.name, 'llama-sink');
    } finally {
      await chooseBundled(sinkscope);
      await vscode.commands.executeCommand('sinkscope.clear');
      await closeEditors();
    }
  });

  it('shares the selection', async () => {
    webview.say({ type: 'select', selection: { token: 2, layer: 1 } });
    assert.deepEqual(analyses.selection, { token: 2, layer: 1 });
    assert.deepEqual(webview.posted.at(-1), { type: 'selection', selection: { token: 2, layer: 1 } });
  });

  it('answers questions, and says why it cannot', async () => {
    const tokens = analyses.run?.analysis.tokens?.tokens.length ?? 0;
    const good = webview.next('answer');
    webview.say({ type: 'query', id: 7, query: { type: 'pattern', layer: 1, head: 0 } });
    const { id, answer } = await good;
    assert.equal(id, 7);
    const pattern = answer.ok ? readReply('pattern', answer.value) : undefined;
    assert.ok(pattern);
    assert.equal(pattern.values.length, tokens * tokens);
    assert.equal(pattern.values.buffer.byteLength, pattern.values.byteLength);
    const bad = webview.next('answer');
    webview.say({ type: 'query', id: 8, query: { type: 'pattern', layer: 99, head: 0 } });
    const refused = (await bad).answer;
    assert.ok(!refused.ok);
    assert.equal(refused.problem.code, 'input', refused.problem.detail);
  });

  it('is told of an experiment what it shows, not what is saved of it', async () => {
    const run = { number: 1, experiment: 'lens', title: 'Logit lens', status: 'finished' } as const;
    experiments.restore([{ ...run, json: { model: 'model.onnx' } }]);
    try {
      connection.dispose();
      connection = connect(webview, host);
      const told = webview.next('experiments');
      webview.say({ type: 'ready' });
      await told;
      await until(() => webview.posted.some(({ type }) => type === 'replay'));
      // Each message has all of them.
      const runs = webview.posted
        .flatMap((message) =>
          message.type === 'experiments' && message.message.kind === 'runs' ? [message.message.runs] : [],
        )
        .at(-1);
      assert.deepEqual(
        runs?.map(({ number, ...rest }) => rest),
        [{ experiment: run.experiment, title: run.title, status: run.status }],
      );
    } finally {
      for (const { number } of experiments.runs) experiments.close(number);
    }
  });

  it('does nothing on messages that are none', () => {
    const { selection } = analyses;
    webview.say({ type: 'select', selection: { token: 'first' } });
    webview.say({ type: 'open', file: '/etc/passwd' });
    assert.equal(analyses.selection, selection);
    assert.equal(webview.posted.length, 0);
  });
});
