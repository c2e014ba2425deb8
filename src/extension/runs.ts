/**
 * The history of this window's folder: runs are kept when they end, one of them can be pinned, and the one that was
 * shown last is there again after a reload. What is on disk is `src/history/`; what is pinned or shown is the window's.
 */
import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import * as v from 'valibot';
import * as vscode from 'vscode';
import { type Analysis, emptyAnalysis, fold } from '../analysis/analysis.js';
import { summaryText } from '../analysis/summary.js';
import type { RunEvent } from '../engine/contract/events.js';
import { type Problem, SinkscopeError } from '../errors.js';
import type { History, NoteFacts, RunNote, StoredRun } from '../history/history.js';
import { visible } from '../visible.js';
import type { Analyses, KeptAnalysis, ShownRun } from './analyses.js';
import { compact } from './compact.js';
import type { SettingsWatch } from './configuration.js';
import { documentTitle, fileSource, scopeInWords } from './source.js';

/** The run that others are held against. */
export interface Pinned {
  readonly note: RunNote;
  readonly events: readonly RunEvent[];
  readonly analysis: Analysis;
}

/** What the next window is told: ids of runs, and whether one was going on. */
const kept = v.object({
  shown: v.optional(v.string()),
  pinned: v.optional(v.string()),
  going: v.optional(v.boolean()),
});
const key = 'runs';

/** Letters of a text by which a run is known again, on one line. */
const excerpt = 80;

export class Runs implements vscode.Disposable {
  pinned: Pinned | undefined;

  private readonly changes = new vscode.EventEmitter<void>();
  /** There are others, one has another name, or another one is shown or pinned. */
  readonly onDidChange = this.changes.event;
  private readonly subscription: vscode.Disposable;
  /** What is being written. */
  private writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly analyses: Analyses,
    private readonly history: History,
    private readonly settings: SettingsWatch,
    /** Of the window. */
    private readonly memory: vscode.Memento,
    private readonly failed: (error: unknown) => void,
  ) {
    this.subscription = analyses.onDidChange((change) => {
      if (change.type === 'run') this.began();
      else if (change.type === 'event' && (change.event.type === 'finished' || change.event.type === 'failed'))
        this.ended(change.event.type === 'finished');
    });
  }

  /** Newest first, the pinned one before all others. */
  async list(): Promise<readonly RunNote[]> {
    await this.writing;
    const notes = await this.history.list();
    const isPinned = ({ id }: RunNote) => id === this.pinned?.note.id;
    return [...notes.filter(isPinned), ...notes.filter((one) => !isPinned(one))];
  }

  /** Shows a run again. Throws a `SinkscopeError` where it is no longer there. */
  async open(id: string): Promise<void> {
    const run = await this.load(id);
    this.analyses.restore(run);
  }

  /** Shows what was read from a result's file, and keeps it. */
  async show(events: readonly RunEvent[], file: string): Promise<void> {
    this.analyses.restore(ofFile(events, file));
    await this.keep();
  }

  /** Keeps what is shown, where it is not: of runs that follow each key it is the last that is kept. */
  async keepLast(): Promise<void> {
    const { run } = this.analyses;
    if (run?.analysis.status === 'finished' && run.id === undefined) await this.keep();
  }

  /** Pins a run, in place of the one before; undefined: what is shown. */
  async pin(id?: string): Promise<void> {
    await this.writing;
    const shown = this.analyses.run?.analysis.status === 'finished' ? this.analyses.run.id : undefined;
    const pinned = await this.pinnable(id ?? shown);
    this.pinned = pinned;
    this.remember({ pinned: pinned.note.id });
  }

  unpin(): void {
    this.pinned = undefined;
    this.remember({ pinned: undefined });
  }

  /** @param name empty: none, so that it makes room when its time comes */
  async rename(id: string, name: string): Promise<void> {
    await this.history.rename(id, name.trim() === '' ? undefined : visible(name.trim()));
    if (this.pinned?.note.id === id) this.pinned = await this.pinnable(id);
    this.changes.fire();
  }

  async remove(id: string): Promise<void> {
    await this.history.remove(id);
    this.forget(id);
    this.changes.fire();
  }

  /** Deletes every run on disk; what is shown stays on screen. */
  async clear(): Promise<void> {
    await this.writing;
    await this.history.clear();
    for (const id of [this.pinned?.note.id, this.analyses.run?.id]) if (id !== undefined) this.forget(id);
    this.changes.fire();
  }

  /** Shows what was shown before the window was reloaded, unless something is; where that cannot be, it is said why. */
  async restore(): Promise<void> {
    const { shown, pinned, going } = this.remembered();
    if (pinned !== undefined) {
      this.pinned = await this.pinnable(pinned).catch(() => undefined);
      this.changes.fire();
    }
    const interrupted: Problem | undefined = going
      ? {
          code: 'cancelled',
          message: 'The analysis that was going on was ended with its window; analyze again.',
        }
      : undefined;
    const run = shown === undefined ? undefined : await this.load(shown).catch(() => undefined);
    if (this.analyses.run) return;
    if (run) return this.analyses.restore(run, interrupted);
    const gone: Problem = {
      code: 'file',
      message: 'The run that was shown before this window was opened is no longer kept; analyze again.',
    };
    const trouble = interrupted ?? (shown === undefined ? undefined : gone);
    if (trouble) this.analyses.say(trouble);
  }

  dispose(): void {
    this.subscription.dispose();
    this.changes.dispose();
  }

  private began(): void {
    const { run, running } = this.analyses;
    const before = this.remembered();
    // Runs that follow each key are not kept, and say nothing new here.
    if (before.going === running && (running || before.shown === run?.id)) return;
    this.remember({ going: running, ...(!running && { shown: run?.id }) });
  }

  private ended(isFinished: boolean): void {
    this.remember({ going: false });
    if (isFinished) this.keep().catch(this.failed);
  }

  /** Keeps what is shown. */
  private keep(): Promise<void> {
    const { run } = this.analyses;
    const done = this.writing.then(() => run && this.write(run));
    this.writing = done.catch(() => undefined);
    return done;
  }

  private async write(run: ShownRun): Promise<void> {
    const identity = run.file
      ? undefined
      : await this.analyses.engine.identity(run.request.model).catch(() => undefined);
    const about = factsOf(run, identity, summaryText(run.analysis, this.settings.current.thresholds));
    // What is shown again, or pinned, stays whatever is asked anew.
    const needed = [this.analyses.run?.id, this.pinned?.note.id].filter((id) => id !== undefined);
    const id = await this.history.add(toKeep(run), about, needed);
    this.analyses.kept(run.number, id);
    if (this.analyses.run?.number === run.number) this.remember({ shown: id });
    else this.changes.fire();
  }

  private async load(id: string): Promise<KeptAnalysis> {
    const { source, events, ...run } = await this.history.load(id);
    return {
      ...run,
      id,
      events: events.map(compact),
      source: source && { ...source, uri: vscode.Uri.parse(source.uri, true), range: run.range },
    };
  }

  private async pinnable(id: string | undefined): Promise<Pinned> {
    const note = (await this.history.list()).find((one) => one.id === id);
    if (!note) {
      const message = vscode.l10n.t('There is no finished run to pin; analyze a text first.');
      throw new SinkscopeError({ code: 'input', message });
    }
    const { events } = await this.load(note.id);
    return { note, events, analysis: events.reduce(fold, emptyAnalysis) };
  }

  private forget(id: string): void {
    const { run } = this.analyses;
    if (run?.id === id) {
      this.analyses.kept(run.number, undefined);
      this.remember({ shown: undefined });
    }
    if (this.pinned?.note.id === id) this.unpin();
  }

  private remembered(): v.InferOutput<typeof kept> {
    const found = v.safeParse(kept, this.memory.get(key));
    return found.success ? found.output : {};
  }

  private remember(part: v.InferOutput<typeof kept>): void {
    void this.memory.update(key, { ...this.remembered(), ...part });
    this.changes.fire();
  }
}

/** What a run is called. */
export function runTitle({ name, document, excerpt }: Pick<RunNote, 'name' | 'document' | 'excerpt'>): string {
  return name ?? document ?? (excerpt === '' ? vscode.l10n.t('token ids') : `“${excerpt}”`);
}

/** What is read from a result's file as a run: nothing of it names a file of this machine. */
function ofFile(events: readonly RunEvent[], file: string): KeptAnalysis {
  const { started, tokens } = events.reduce(fold, emptyAnalysis);
  return {
    request: {
      model: started?.model.file || '?',
      prompt: { ids: tokens?.tokens.map(({ id }) => id) ?? [] },
      attention: started?.model.attention ?? false,
      memory: 1,
      threads: 0,
    },
    source: undefined,
    range: { start: 0, end: 0 },
    events,
    id: undefined,
    file,
  };
}

function toKeep({ source, range, request, events, file }: ShownRun): StoredRun {
  const where = source && { uri: source.uri.toString(), scope: source.scope, text: source.text };
  return { source: where, range, request, events, file };
}

function factsOf(
  { request, source, file, analysis }: ShownRun,
  identity: string | undefined,
  sentence: string,
): NoteFacts {
  const { started, tokens } = analysis;
  const about = source ?? fileSource(request.prompt);
  const text = source?.text ?? ('text' in request.prompt ? request.prompt.text : '');
  const { prompt, bos, window, stream, lineEnds, chat, attention } = request;
  const question = [
    source?.uri.toString(),
    file,
    identity ?? request.model,
    prompt,
    bos,
    window,
    stream,
    lineEnds,
    chat,
    attention,
  ];
  const name = file ?? (about.uri && posix.basename(documentTitle(about.uri)));
  const isWhole = about.scope === 'document' || about.scope === 'image' || about.scope === 'feeds';
  return {
    name: undefined,
    document: name === undefined || isWhole || file !== undefined ? name : `${name}, ${scopeInWords(about, undefined)}`,
    excerpt: visible(text.slice(0, excerpt).replaceAll(/\s+/g, ' ').trim()),
    model: { name: started?.model.name ?? '', identity },
    bos: started?.settings.bos,
    tokens: tokens?.tokens.length ?? 0,
    sentence,
    question: createHash('sha256').update(JSON.stringify(question)).digest('hex'),
  };
}
