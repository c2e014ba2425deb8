/**
 * A model that is analysed again whenever its files change, as a script does that exports it anew. Files are looked at
 * every second by size, time and identity: that works on every kind of disk, and what counts is that they stay as they
 * are for a while, which no watcher tells.
 */
import * as v from 'valibot';
import * as vscode from 'vscode';
import type { RunRequest } from '../engine/contract/events.js';
import { type Problem, SinkscopeError, toProblem } from '../errors.js';
import type { FoundModel } from '../models/find.js';
import { versionOf } from '../models/version.js';
import { text } from '../schemas.js';
import type { Analyses, ShownRun } from './analyses.js';
import type { Models } from './models.js';
import { contributedId } from './names.js';
import { lookEvery, looked, nextStep, type Settling, unseen } from './settling.js';

export interface Watched {
  readonly model: FoundModel;
  /** Why it cannot be analysed as it is now. */
  readonly problem?: Problem;
  /** The run shown and the one before it, where both are of this model on the same text. */
  readonly runs?: { readonly before: ShownRun; readonly after: ShownRun };
}

/** Kept for the next window: which file is watched, and the version that was analysed. */
const kept = v.object({ file: text, analysed: v.optional(text) });
const key = 'watched';

export class Watch implements vscode.Disposable {
  watched: Watched | undefined;

  private readonly changes = new vscode.EventEmitter<void>();
  /** Another model is watched, or none, or something else is to be said of it. */
  readonly onDidChange = this.changes.event;
  private readonly subscription: vscode.Disposable;
  private timer: NodeJS.Timeout | undefined;
  private settling: Settling = unseen;
  /** Files with weights, as they were named when the model could last be read. */
  private weights: readonly string[] = [];
  /** Version of the files that was analysed last, or cannot be. */
  private done: string | undefined;
  /** Version of the files when the run shown was begun; undefined for one of another model. */
  private begun: string | undefined;
  /** The last finished run of the model. */
  private last: ShownRun | undefined;
  /** Number of the run that was begun here and goes on. */
  private own: number | undefined;
  private trying = false;

  constructor(
    private readonly analyses: Analyses,
    private readonly models: Models,
    private readonly window: {
      /** What is watched outlives the window here. */
      readonly memory: vscode.Memento;
      /** Whether something else runs that is not to be disturbed. */
      busy(): boolean;
      /** A failure, for who does not see the panel. */
      tell(problem: Problem): void;
    },
  ) {
    this.subscription = analyses.onDidChange((change) => {
      if (change.type === 'run') this.runBegan();
      else if (change.type === 'event' && change.event.type === 'finished') this.runFinished();
    });
  }

  /**
   * Watches `model` in place of the one before. What was analysed last is analysed with it at once, so that there is
   * something to hold the next run against.
   *
   * @throws SinkscopeError `input` for a model of a workspace that is not trusted
   */
  start(model: FoundModel): void {
    if (model.origin === 'workspace' && !vscode.workspace.isTrusted) {
      throw new SinkscopeError({
        code: 'input',
        file: model.file,
        message: vscode.l10n.t('{0} is not watched: trust the folder it lies in first.', model.name),
      });
    }
    this.begin(model, undefined);
  }

  /** Goes on with what an earlier window watched, where it is still to be found; what changed meanwhile is seen. */
  async restore(): Promise<void> {
    const found = v.safeParse(kept, this.window.memory.get(key));
    if (!found.success) return;
    const { file, analysed } = found.output;
    // Those of a workspace are among them only where it is trusted.
    const model = (await this.models.all()).find((one) => one.file === file);
    if (!model || this.watched) return;
    this.begin(model, analysed);
  }

  end(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.become(undefined);
    void this.window.memory.update(key, undefined);
  }

  dispose(): void {
    clearInterval(this.timer);
    this.subscription.dispose();
    this.changes.dispose();
  }

  private begin(model: FoundModel, analysed: string | undefined): void {
    clearInterval(this.timer);
    const { run } = this.analyses;
    this.last = run?.request.model === model.file && run.analysis.status === 'finished' ? run : undefined;
    this.settling = unseen;
    this.weights = [];
    this.done = analysed;
    this.become({ model });
    this.keep();
    this.timer = setInterval(() => this.look(), lookEvery);
    // What its weights are in is known only once it was read.
    void this.readWeights(model).catch(() => undefined);
  }

  /** Looks at the files, ends a run of what they no longer are, and begins one of what they are now. */
  private look(): void {
    const { watched } = this;
    if (!watched || this.trying) return;
    this.settling = looked(this.settling, this.versionNow(watched.model));
    if (this.settling.quiet === 0) {
      // What was said of the files as they were holds no longer.
      if (watched.problem) this.become({ ...watched, problem: undefined });
      if (this.own !== undefined && this.own === this.analyses.run?.number) this.analyses.stop();
      return;
    }
    const step = nextStep(this.settling, this.done);
    if (step === 'wait' || this.analyses.running || this.window.busy()) return;
    this.trying = true;
    void this.tryAgain(watched, step).finally(() => {
      this.trying = false;
    });
  }

  private async tryAgain({ model }: Watched, step: 'try' | 'tell'): Promise<void> {
    const { version } = this.settling;
    try {
      await this.readWeights(model);
    } catch (error) {
      if (step === 'tell' && this.watched?.model === model) this.tell(toProblem(error));
      return;
    }
    // Files of which nothing was known before are looked at for a while as well.
    if (this.watched?.model !== model || this.versionNow(model) !== version || this.analyses.running) return;
    this.finished(version);
    void this.analyse(model);
  }

  /** What was analysed last, with the watched model as it is now. Goes on while files are looked at. */
  private async analyse(model: FoundModel): Promise<void> {
    const { run } = this.analyses;
    if (!run || run.file !== undefined) return;
    const { request, source, range } = run;
    const running = this.analyses.analyze({ ...request, model: model.file }, source && { ...source, range });
    const own = this.analyses.run?.number;
    this.own = own;
    const analysis = await running;
    if (this.own === own) this.own = undefined;
    // Of files that have changed meanwhile nothing is said: they are analysed again.
    const isStale = this.versionNow(model) !== this.done;
    if (analysis?.problem && analysis.problem.code !== 'cancelled' && !isStale && this.watched?.model === model)
      this.tell(analysis.problem);
  }

  private async readWeights({ file }: FoundModel): Promise<void> {
    const { weights } = await this.analyses.engine.inspect(file);
    if (this.watched?.model.file === file) this.weights = weights;
  }

  private runBegan(): void {
    const { run } = this.analyses;
    const model = this.watched?.model;
    this.begun = model && run?.request.model === model.file ? this.versionNow(model) : undefined;
  }

  /** A run of the watched model is held against the one before, whoever began it. */
  private runFinished(): void {
    const { run } = this.analyses;
    const { watched, last } = this;
    if (!watched || run?.request.model !== watched.model.file) return;
    this.last = run;
    this.finished(this.begun);
    const isComparable = last !== undefined && asksTheSame(last.request, run.request);
    this.become({
      model: watched.model,
      ...(isComparable && { runs: { before: last, after: run } }),
    });
  }

  private finished(version: string | undefined): void {
    this.done = version;
    this.keep();
  }

  private keep(): void {
    if (this.watched) void this.window.memory.update(key, { file: this.watched.model.file, analysed: this.done });
  }

  private tell(problem: Problem): void {
    if (!this.watched || this.watched.problem?.message === problem.message) return;
    this.become({ ...this.watched, problem });
    this.window.tell(problem);
  }

  private become(watched: Watched | undefined): void {
    this.watched = watched;
    void vscode.commands.executeCommand('setContext', contributedId('watching'), watched !== undefined);
    this.changes.fire();
  }

  private versionNow({ file }: FoundModel): string | undefined {
    try {
      return versionOf(file, this.weights);
    } catch {
      return undefined;
    }
  }
}

/** Whether two runs are of the same text and tokens in the same way, whatever the model. */
function asksTheSame(one: RunRequest, other: RunRequest): boolean {
  const question = ({ prompt, window, bos, lineEnds = 'lf', chat }: RunRequest) =>
    JSON.stringify([prompt, window, bos, lineEnds, chat]);
  return question(one) === question(other);
}
