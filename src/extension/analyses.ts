/**
 * The current run, and everything else that the extension's views show of it. Views read here and listen here; what
 * a person does in one of them comes back through {@link Analyses.select} and the commands.
 */
import * as vscode from 'vscode';
import { type Analysis, emptyAnalysis, fold } from '../analysis/analysis.js';
import { carried, type Selection } from '../analysis/selection.js';
import type { RunEvent, RunRequest, TokensEvent } from '../engine/contract/events.js';
import type { AnswerTo, Question } from '../engine/contract/questions.js';
import type { Engine } from '../engine/host/engine.js';
import { type Problem, SinkscopeError, toProblem } from '../errors.js';
import { compact } from './compact.js';
import { relocate, shift, stretch, type TextChange, type TextRange } from './ranges.js';
import { type Source, toRange } from './source.js';

export interface ShownRun {
  /** Counts up; tells the events of one run from another's. */
  readonly number: number;
  readonly request: RunRequest;
  /** Undefined where token ids were given instead of a text. */
  readonly source: Source | undefined;
  readonly events: readonly RunEvent[];
  readonly analysis: Analysis;
  /** Where the analyzed text is in the document as it is now. */
  readonly range: TextRange;
  /** Where each token is in the document as it is now; undefined for those without text and those edited since. */
  readonly ranges: readonly (TextRange | undefined)[];
  /** True when the analyzed text has changed since. */
  readonly stale: boolean;
  /** In the history; undefined as long as it is not kept, which comes later and makes no other run of it. */
  id: string | undefined;
  /** The result's file that it was read from: what made it is not here. Undefined for one that was made here. */
  readonly file: string | undefined;
}

/** What a run is made of again. */
export type KeptAnalysis = Pick<ShownRun, 'request' | 'source' | 'events' | 'range' | 'id' | 'file'>;

export type AnalysesChange =
  /** Another run, or none: everything is to be read again. */
  | { readonly type: 'run' }
  | { readonly type: 'event'; readonly run: number; readonly index: number; readonly event: RunEvent }
  /** The document was edited, or opened again. */
  | { readonly type: 'ranges' }
  | { readonly type: 'selection'; readonly from: 'editor' | 'view' };

export class Analyses implements vscode.Disposable {
  run: ShownRun | undefined;
  /** Why a run after the one that is shown gave nothing at all. */
  trouble: Problem | undefined;
  selection: Selection = {};

  private readonly changes = new vscode.EventEmitter<AnalysesChange>();
  readonly onDidChange = this.changes.event;
  private readonly subscriptions: readonly vscode.Disposable[];
  private controller: AbortController | undefined;
  private count = 0;
  /** The run before the one that is going on. */
  private good: { readonly run: ShownRun; readonly selection: Selection } | undefined;
  /** The run that the engine answers about, by its number and its id. */
  private answering: Partial<Pick<ShownRun, 'number' | 'id'>> = {};
  /** Edits since the text was taken that is run, until its tokens are known. */
  private edits: TextChange[] = [];
  /** What was asked for last, shown or not. */
  private asked: Source | undefined;
  /** Resolves when the last {@link follow} is over; undefined where none goes on. */
  private following: Promise<void> | undefined;

  constructor(readonly engine: Engine) {
    this.subscriptions = [
      this.changes,
      vscode.workspace.onDidChangeTextDocument((change) => this.edited(change)),
      vscode.workspace.onDidOpenTextDocument((document) => this.opened(document)),
    ];
  }

  /** True from the request to its last event. */
  get running(): boolean {
    return this.controller !== undefined;
  }

  /** Whether a run of an edited text goes on, which nothing is shown of till it is through. */
  get isFollowing(): boolean {
    return this.following !== undefined;
  }

  /** The text that was asked about last, whether there is something to show of it or not. */
  get text(): string | undefined {
    return this.asked?.text;
  }

  /**
   * Runs `request`, ending the run before it. Resolves with the state at the end, or undefined when another run or
   * {@link clear} took its place. Where it fails with nothing to show, the good run before it is shown again.
   */
  async analyze(request: RunRequest, source: Source | undefined): Promise<Analysis | undefined> {
    this.stop();
    if (this.run?.analysis.status === 'finished') this.good = { run: this.run, selection: this.selection };
    this.asked = source;
    const controller = new AbortController();
    const number = this.begin(request, source, controller);
    this.answering = { number };
    const current = () => this.run?.number === number;
    try {
      for await (const event of this.engine.analyze(request, controller.signal)) {
        if (!current()) return undefined;
        this.append(compact(event));
      }
    } catch (error) {
      if (current()) this.append({ type: 'failed', problem: toProblem(error) });
    }
    if (!current()) return undefined;
    const analysis = this.run?.analysis;
    const { good } = this;
    this.good = undefined;
    if (good && analysis?.status === 'failed' && analysis.layers.length === 0) {
      const trouble = analysis.problem?.code === 'cancelled' ? undefined : analysis.problem;
      this.restore(good.run, trouble, good.selection);
    }
    return analysis;
  }

  /**
   * Runs `request`, about a text that was edited, and shows it once it is through: what is shown stays till then, and
   * where it fails, with the reason. Gives up for what is asked for later.
   */
  async follow(request: RunRequest, source: Source): Promise<void> {
    this.asked = source;
    this.edits = [];
    this.answering = {};
    const own = this.collect(request).then((events) => {
      if (this.following === own) this.following = undefined;
      if (this.asked === source) this.replace(request, source, events);
    });
    this.following = own;
    await own;
  }

  /** Ends the current run, which keeps what it has; nothing where none is going on. */
  stop(): void {
    this.controller?.abort();
  }

  /** Forgets the run, and with it every mark. */
  clear(): void {
    this.stop();
    this.asked = undefined;
    this.controller = undefined;
    this.good = undefined;
    this.show(undefined);
  }

  /**
   * Shows an earlier run again.
   *
   * @param trouble of the run that was to take its place
   * @param selection in it, before that
   */
  restore(kept: KeptAnalysis, trouble?: Problem, selection: Selection = {}): void {
    this.stop();
    this.asked = undefined;
    this.controller = undefined;
    const { request, source, events, range, id, file } = kept;
    const analysis = events.reduce(fold, emptyAnalysis);
    const number = ++this.count;
    if (id !== undefined && id === this.answering.id) this.answering = { number, id };
    this.show(
      { request, source, events, range, id, file, number, analysis, ranges: [], stale: false },
      trouble,
      selection,
    );
    vscode.workspace.textDocuments.forEach((document) => {
      this.opened(document);
    });
  }

  /** Says what is wrong where nothing is shown. */
  say(trouble: Problem): void {
    this.show(undefined, trouble);
  }

  /** The run with this number is kept in the history. */
  kept(number: number, id: string | undefined): void {
    if (this.answering.number === number) this.answering = { number, id };
    if (this.run?.number === number) this.run.id = id;
  }

  /**
   * What the engine has of the run that is shown.
   *
   * @throws SinkscopeError `input` where it has another, or none; `cancelled` where one that is awaited takes its place
   */
  async query<Q extends Question>(question: Q): Promise<AnswerTo<Q['type']>> {
    const shown = this.run?.number;
    while (this.following) await this.following;
    if (shown !== this.run?.number)
      throw new SinkscopeError({ code: 'cancelled', message: 'Another run has taken over.' });
    if (this.run && this.run.number !== this.answering.number) {
      const message = this.run.file
        ? 'This is a saved result, without the model that made it; only what was saved can be shown.'
        : 'This is an earlier run, of which the model keeps nothing; analyze again to see this.';
      throw new SinkscopeError({ code: 'input', message });
    }
    return this.engine.query(question);
  }

  /** Runs what is shown once more, writing what it is told to; the engine answers about it from then on. */
  async *again(save: NonNullable<RunRequest['save']>, signal: AbortSignal): AsyncGenerator<RunEvent> {
    if (!this.run) return;
    const { request, number, id } = this.run;
    this.answering = {};
    yield* this.engine.analyze({ ...request, save }, signal);
    this.answering = { number, id };
  }

  select(selection: Selection, from: 'editor' | 'view'): void {
    this.selection = selection;
    this.changes.fire({ type: 'selection', from });
  }

  /** The token at `offset` of `uri`; the last one where several share a character's bytes. */
  tokenAt(uri: vscode.Uri, offset: number): number | undefined {
    if (!this.shows(uri)) return undefined;
    const token = this.run?.ranges.findLastIndex((range) => range && range.start <= offset && offset < range.end);
    return token === -1 ? undefined : token;
  }

  /** True where `uri` is the analyzed document. */
  shows(uri: vscode.Uri): boolean {
    return this.run?.source?.uri.toString() === uri.toString();
  }

  dispose(): void {
    this.stop();
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private begin(request: RunRequest, source: Source | undefined, controller: AbortController): number {
    const number = ++this.count;
    const range = source?.range ?? { start: 0, end: 0 };
    this.controller = controller;
    this.edits = [];
    const fresh = { events: [], analysis: emptyAnalysis, ranges: [], stale: false, id: undefined, file: undefined };
    this.show({ number, request, source, range, ...fresh });
    return number;
  }

  private show(run: ShownRun | undefined, trouble?: Problem, selection: Selection = {}): void {
    this.run = run;
    this.trouble = trouble;
    this.selection = selection;
    this.changes.fire({ type: 'run' });
  }

  /** All events of a run; to its end, for a process that is left is ended, and one that follows edits gives up itself. */
  private async collect(request: RunRequest): Promise<RunEvent[]> {
    const events: RunEvent[] = [];
    for await (const event of this.engine.analyze(request)) events.push(compact(event));
    return events;
  }

  /** Shows a run in the place of another of nearly the same text, with what was selected there. */
  private replace(request: RunRequest, source: Source, events: readonly RunEvent[]): void {
    const analysis = events.reduce(fold, emptyAnalysis);
    const { tokens, problem } = analysis;
    const edits = this.edits.splice(0);
    if (problem || !tokens) {
      // Of no text at all there are no marks.
      this.show(source.text === '' ? undefined : this.run, problem, this.selection);
      return;
    }
    const range = stretch(source.range, edits);
    const ranges = placed(tokens, source.range, edits);
    const stale = edits.length > 0;
    const selection = carried(this.selection, this.run?.analysis.tokens?.tokens ?? [], tokens.tokens);
    const number = ++this.count;
    this.answering = { number };
    const run = { number, request, source, events, analysis, range, ranges, stale, id: undefined, file: undefined };
    this.show(run, undefined, selection);
  }

  private append(event: RunEvent): void {
    if (!this.run) return;
    const { number, events, source, ranges } = this.run;
    this.run = {
      ...this.run,
      events: [...events, event],
      analysis: fold(this.run.analysis, event),
      ranges: event.type === 'tokens' && source ? placed(event, source.range, this.edits) : ranges,
    };
    if (event.type === 'tokens') this.edits = [];
    if (event.type === 'finished' || event.type === 'failed') this.controller = undefined;
    this.changes.fire({ type: 'event', run: number, index: events.length, event });
  }

  private edited({ document, contentChanges }: vscode.TextDocumentChangeEvent): void {
    const isAwaited = this.following !== undefined || (this.running && !this.run?.analysis.tokens);
    if (isAwaited && this.asked?.uri.toString() === document.uri.toString())
      for (const one of contentChanges) this.edits.push(one);
    if (!this.run?.source || contentChanges.length === 0 || !this.shows(document.uri)) return;
    const { analysis, range, ranges, source, stale } = this.run;
    const now = stretch(range, contentChanges);
    const kept = ranges.map((token) => token && shift(token, contentChanges));
    const touched = source.scope === 'document' || shift(range, contentChanges) === undefined;
    if (!stale && !touched) this.place(now, kept, false);
    else {
      // An edit that was undone gives back what it had taken away.
      const whole = wholeText(document, source, now);
      if (whole) this.place(whole, analysis.tokens ? placed(analysis.tokens, whole) : kept, false);
      else this.place(now, kept, true);
    }
  }

  /** Finds the analyzed text in a document that may have changed while it was closed. */
  private opened(document: vscode.TextDocument): void {
    if (!this.run?.source || !this.shows(document.uri)) return;
    const { source, analysis, range } = this.run;
    const found = relocate(source.text, document.getText(), range.start);
    const ranges = found && analysis.tokens ? placed(analysis.tokens, found) : [];
    this.place(found ?? range, ranges, !found || wholeText(document, source, found) === undefined);
  }

  private place(range: TextRange, ranges: ShownRun['ranges'], stale: boolean): void {
    if (!this.run) return;
    this.run = { ...this.run, range, ranges, stale };
    this.changes.fire({ type: 'ranges' });
  }
}

/** Where the analyzed text is, untouched: at `range`, or in a run over the whole document, all that there is. */
function wholeText(document: vscode.TextDocument, { scope, text }: Source, range: TextRange): TextRange | undefined {
  const last = document.lineAt(document.lineCount - 1).range.end;
  const place = scope === 'document' ? { start: 0, end: document.offsetAt(last) } : range;
  // Lengths first: this is asked on every key, and texts can be long.
  return place.end - place.start === text.length && document.getText(toRange(document, place)) === text
    ? place
    : undefined;
}

/** Where the tokens of a text are that stands at `start`, after `edits`. */
function placed(
  { tokens }: TokensEvent,
  { start: base }: Pick<TextRange, 'start'>,
  edits: readonly TextChange[] = [],
): (TextRange | undefined)[] {
  return tokens.map(({ start, end }) =>
    start === end ? undefined : shift({ start: base + start, end: base + end }, edits),
  );
}
