/**
 * Marks, panel and side view that follow a text while it is typed. What is shown stays until the run of the text as it
 * is now is through; the process that runs models keeps what it has loaded, and what it knows of the tokens before.
 */
import * as vscode from 'vscode';
import type { RunRequest } from '../engine/contract/events.js';
import type { Analyses, ShownRun } from './analyses.js';
import { contributedId } from './names.js';
import { documentSource, rangeSource, type Source } from './source.js';
import { statusItem } from './surfaces.js';
import { numberInWords } from './words.js';

/** Edits that come while one is being run are one, where they are no further apart. In milliseconds. */
const together = 15;

export class Live implements vscode.Disposable {
  private readonly changes = new vscode.EventEmitter<void>();
  /** It was begun or ended, or something else is to be said of it. */
  readonly onDidChange = this.changes.event;
  private readonly subscriptions: readonly vscode.Disposable[];
  private timer: NodeJS.Timeout | undefined;
  /** What is followed; undefined where no text was analysed since it was begun. */
  private followed: { readonly request: RunRequest; readonly source: Source } | undefined;
  private isOn = false;

  constructor(private readonly analyses: Analyses) {
    this.subscriptions = [
      this.changes,
      analyses.onDidChange(({ type }) => {
        if (type === 'run') this.shown(analyses.run);
        else if (type === 'event' && !analyses.running) this.soon();
      }),
      vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        if (contentChanges.length > 0 && this.follows(document.uri)) this.soon();
      }),
    ];
  }

  get on(): boolean {
    return this.isOn;
  }

  /** Whether edits of `uri` are run. */
  follows(uri: vscode.Uri | undefined): boolean {
    return this.isOn && uri !== undefined && this.followed?.source.uri.toString() === uri.toString();
  }

  /** In a sentence: that it goes on, and how much of the text was run after the last edit. */
  get sentence(): string | undefined {
    if (!this.isOn) return undefined;
    const { finished, tokens } = this.analyses.run?.analysis ?? {};
    const { reused } = finished ?? {};
    if (reused?.without !== undefined)
      return vscode.l10n.t(
        'Live: the whole text is run after every edit, for this model cannot go on: {0}.',
        reused.without,
      );
    if (!reused || !tokens) return vscode.l10n.t('Live: what is shown follows the text as you type.');
    const [kept, all] = [numberInWords(reused.tokens), numberInWords(tokens.tokens.length)];
    return vscode.l10n.t('Live: what is shown follows the text as you type; {0} of {1} tokens were kept.', kept, all);
  }

  /** From now on the text that is analysed next is followed. */
  begin(): void {
    this.become(true);
  }

  end(): void {
    clearTimeout(this.timer);
    this.followed = undefined;
    this.become(false);
  }

  dispose(): void {
    clearTimeout(this.timer);
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private shown(run: ShownRun | undefined): void {
    if (!this.isOn || !run) return;
    const { request, source } = run;
    // Of something else than a text there is nothing to follow.
    this.followed = source && request.live ? { request, source } : undefined;
    this.changes.fire();
  }

  private soon(): void {
    clearTimeout(this.timer);
    // One that nothing goes before is run at once: who waits for its marks waits for that alone.
    this.timer = setTimeout(() => void this.look(), this.analyses.isFollowing ? together : 0);
  }

  private async look(): Promise<void> {
    const { followed, analyses } = this;
    // One that was asked for otherwise is waited for.
    if (!this.isOn || !followed || analyses.running) return;
    const document = vscode.workspace.textDocuments.find(({ uri }) => this.follows(uri));
    if (!document) return;
    const { request, source } = followed;
    const { range } = analyses.run ?? source;
    const now = source.scope === 'document' ? documentSource(document) : rangeSource(document, source.scope, range);
    if (now.text === analyses.text) return;
    await analyses.follow({ ...request, prompt: { text: now.text } }, now);
    this.changes.fire();
  }

  private become(on: boolean): void {
    this.isOn = on;
    void vscode.commands.executeCommand('setContext', contributedId('live'), on);
    this.changes.fire();
  }
}

/** In the status bar: whether it is on, with a click that changes that. There where a text is analysed. */
export function registerLiveStatus(live: Live, analyses: Analyses): vscode.Disposable {
  const item = statusItem('sinkscope.live', vscode.l10n.t('Sinkscope: Live'));
  const update = () => {
    if (!live.on && !analyses.run?.source) return item.show(undefined);
    const { trouble } = analyses;
    const said = trouble?.message ?? live.sentence;
    item.show({
      icon: !live.on ? 'circle-large-outline' : trouble ? 'warning' : 'record',
      text: vscode.l10n.t('Live'),
      tooltip: live.on
        ? vscode.l10n.t('{0} Click to end that.', said ?? '')
        : vscode.l10n.t('Sinkscope: have what is shown follow the text as you type.'),
      command: contributedId(live.on ? 'endLive' : 'live'),
    });
  };
  update();
  return vscode.Disposable.from(
    item,
    live.onDidChange(update),
    analyses.onDidChange(({ type }) => {
      if (type === 'run' || type === 'event') update();
    }),
  );
}
