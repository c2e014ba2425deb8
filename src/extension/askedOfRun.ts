/** What is asked about the run that is shown, when editors are to be tinted by it. */
import { isDeepStrictEqual } from 'node:util';
import * as vscode from 'vscode';
import { saliencyShares, type Tint } from '../analysis/tint.js';
import type { AnswerTo } from '../engine/contract/questions.js';
import { SinkscopeError } from '../errors.js';
import type { Analyses, ShownRun } from './analyses.js';
import type { SettingsWatch } from './configuration.js';

/** One answer, to the question that is meant now: none where it is not wanted, or not known by now. */
export class AskedOfRun<Question extends object, Answer> implements vscode.Disposable {
  private readonly changes = new vscode.EventEmitter<void>();
  /** It is known now. */
  readonly onDidChange = this.changes.event;
  private readonly subscriptions: readonly vscode.Disposable[];
  /** What was asked for last; no answer where it did not come. */
  private known: { readonly question: Question; readonly answer?: Answer } | undefined;
  private busy = false;

  /**
   * @param tint that editors have where it is wanted
   * @param meant what is asked about a run that has finished, its number among it; undefined: nothing
   */
  constructor(
    private readonly analyses: Analyses,
    private readonly settings: SettingsWatch,
    private readonly tint: Tint,
    private readonly meant: (run: ShownRun) => Question | undefined,
    private readonly ask: (question: Question) => Promise<Answer>,
    private readonly failed: (error: unknown) => void,
  ) {
    const look = () => void this.look();
    this.subscriptions = [this.changes, analyses.onDidChange(look), settings.onDidChange(look)];
  }

  get found(): Answer | undefined {
    const { question } = this;
    return question && this.isKnown(question) ? this.known?.answer : undefined;
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private get question(): Question | undefined {
    const { run } = this.analyses;
    const isWanted = this.settings.current.tint === this.tint && run?.analysis.status === 'finished';
    return isWanted ? this.meant(run) : undefined;
  }

  private isKnown(question: Question): boolean {
    return isDeepStrictEqual(question, this.known?.question);
  }

  /** One at a time: who moves through a text wants the last that was meant. */
  private async look(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    for (let { question } = this; question && !this.isKnown(question); { question } = this) {
      this.known = { question };
      try {
        this.known = { question, answer: await this.ask(question) };
      } catch (error) {
        // The panel says why a model has none.
        if (!SinkscopeError.is(error, 'input') && !SinkscopeError.is(error, 'cancelled')) this.failed(error);
      }
      this.changes.fire();
    }
    this.busy = false;
  }
}

type Failed = (error: unknown) => void;

/** How surprising the tokens are: nats by token, [T]. */
export const surprisalOf = (analyses: Analyses, settings: SettingsWatch, failed: Failed) =>
  new AskedOfRun(
    analyses,
    settings,
    'surprisal',
    ({ number }) => ({ run: number }),
    async () => (await analyses.query({ type: 'surprisal' })).nats,
    failed,
  );
export type Surprisal = ReturnType<typeof surprisalOf>;

/** What the chosen prediction depends on, and of each token its share of the largest, [T]. */
export interface FoundSaliency extends AnswerTo<'saliency'> {
  readonly shares: Float32Array;
}

/** The prediction after the token that is selected, or else after the last. */
export const saliencyOf = (analyses: Analyses, settings: SettingsWatch, failed: Failed) =>
  new AskedOfRun(
    analyses,
    settings,
    'saliency',
    ({ number, analysis }) => {
      const last = (analysis.tokens?.tokens.length ?? 0) - 1;
      const { token = last, next } = analyses.selection;
      return last < 0 ? undefined : { run: number, token, next };
    },
    async ({ token, next }): Promise<FoundSaliency> => {
      const answer = await analyses.query({ type: 'saliency', token, next });
      return { ...answer, shares: saliencyShares(answer.saliency) };
    },
    failed,
  );
export type Saliency = ReturnType<typeof saliencyOf>;
