import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import type { Api } from '../../src/extension/extension.js';
import { connect, type Host } from '../../src/extension/webview.js';
import type { FromWebview, ToWebview } from '../../src/protocol.js';
import { analyze, api, closeEditors, extension, open, until } from './support.js';

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
  let sinkscope: Api;
  let webview: RecordedWebview;
  let connection: vscode.Disposable;
  const view = new vscode.EventEmitter<void>();

  before(async () => {
    sinkscope = await api();
    await open('Summer is warm. Winter is cold.');
    await analyze(sinkscope);
  });
  beforeEach(() => {
    const log = vscode.window.createOutputChannel('Sinkscope Test', { log: true });
    const host: Host = {
      extension: extension().extensionUri,
      analyses: sinkscope.analyses,
      log,
      viewState: sinkscope.viewState,
      onDidChangeView: view.event,
    };
    webview = new RecordedWebview();
    connection = connect(webview, 'side', host);
  });
  afterEach(() => connection.dispose());
  after(async () => {
    await vscode.commands.executeCommand('sinkscope.clear');
    await closeEditors();
  });

  it('lets the page run only its own script', () => {
    assert.match(webview.html, /<body data-view="side">/);
    const policy = /content="([^"]+)"/.exec(webview.html.replace(/<meta name="viewport"[^>]*>/, ''))?.[1] ?? '';
    assert.match(policy, /default-src 'none'/);
    const nonce = /script-src 'nonce-([^']+)'/.exec(policy)?.[1];
    assert.ok(nonce && nonce.length >= 20);
    assert.doesNotMatch(policy, /unsafe/);
    const scripts = Array.from(webview.html.matchAll(/<script([^>]*)>([^<]*)</g));
    assert.equal(scripts.length, 1);
    assert.ok(scripts[0][1].includes(`nonce="${nonce}"`));
    assert.equal(scripts[0][2], '');
  });

  it('brings everything again whenever it is ready', async () => {
    const { run } = sinkscope.analyses;
    for (let time = 0; time < 2; time++) {
      const replay = webview.next('replay');
      webview.say({ type: 'ready' });
      assert.deepEqual((await replay).events, run?.events);
      const state = webview.posted.findLast((message) => message.type === 'view')?.state;
      assert.equal(state?.scope, 'whole document');
      assert.equal(state.stale, false);
      assert.equal(state.models.find(({ file }) => file === state.model)?.name, 'llama');
    }
  });

  it('hears every event of the next run, in order', async () => {
    await vscode.window.showTextDocument(await vscode.workspace.openTextDocument({ content: 'Summer is warm.' }));
    const run = await analyze(sinkscope);
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

  it('shares the selection', async () => {
    webview.say({ type: 'select', selection: { token: 2, layer: 1 } });
    assert.deepEqual(sinkscope.analyses.selection, { token: 2, layer: 1 });
    assert.deepEqual(webview.posted.at(-1), { type: 'selection', selection: { token: 2, layer: 1 } });
  });

  it('answers questions, and says why it cannot', async () => {
    const tokens = sinkscope.analyses.run?.analysis.tokens?.tokens.length ?? 0;
    const good = webview.next('answer');
    webview.say({ type: 'query', id: 7, query: { type: 'pattern', layer: 1, head: 0 } });
    const { id, answer } = await good;
    assert.equal(id, 7);
    assert.ok(answer.ok && 'queries' in answer.value);
    assert.equal(answer.value.values.length, tokens * tokens);
    const bad = webview.next('answer');
    webview.say({ type: 'query', id: 8, query: { type: 'pattern', layer: 99, head: 0 } });
    const refused = (await bad).answer;
    assert.ok(!refused.ok);
    assert.equal(refused.problem.code, 'input', refused.problem.detail);
  });

  it('does nothing on messages that are none', () => {
    const { selection } = sinkscope.analyses;
    webview.say({ type: 'select', selection: { token: 'first' } });
    webview.say({ type: 'open', file: '/etc/passwd' });
    assert.equal(sinkscope.analyses.selection, selection);
    assert.equal(webview.posted.length, 0);
  });
});
