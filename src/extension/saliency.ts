/** What the chosen prediction depends on, asked for when editors are to be tinted by it. */
import * as vscode from 'vscode';
import { saliencyShares } from '../analysis/tint.js';
import type { AnswerTo } from '../engine/contract/questions.js';
import { SinkscopeError } from '../errors.js';
import type { Analyses } from './analyses.js';
import type { SettingsWatch } from './configuration.js';

/** The prediction of a run. */
interface Chosen {
  readonly run: number;
  readonly token: number;
  /** Undefined: the most likely. */
  readonly next: number | undefined;
}

/** What it depends on, and of each token its share of the largest, [T]. */
export interface FoundSaliency extends AnswerTo<'saliency'> {
  readonly shares: Float32Array;
}

const isSame = (a: Chosen | undefined, b: Chosen | undefined) =>
  a?.run === b?.run && a?.token === b?.token && a?.next === b?.next;

export class Saliency implements vscode.Disposable {
  private readonly changes = new vscode.EventEmitter<void>();
  /** It is known now. */
  readonly onDidChange = this.changes.event;
  private readonly subscriptions: readonly vscode.Disposable[];
  /** What was asked for last; nothing is found where it did not come. */
  private known: (Chosen & { readonly found?: FoundSaliency }) | undefined;
  private busy = false;

  constructor(
    private readonly analyses: Analyses,
    private readonly settings: SettingsWatch,
    private readonly failed: (error: unknown) => void,
  ) {
    const look = () => void this.look();
    this.subscriptions = [this.changes, analyses.onDidChange(look), settings.onDidChange(look)];
  }

  /** Undefined where it is not wanted, or not known by now. */
  get found(): FoundSaliency | undefined {
    const { chosen } = this;
    return chosen && isSame(chosen, this.known) ? this.known?.found : undefined;
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  /** After the token that is selected, or else the last. */
  private get chosen(): Chosen | undefined {
    const { run, selection } = this.analyses;
    const last = run?.analysis.tokens?.tokens.length ?? 0;
    if (this.settings.current.tint !== 'saliency' || run?.analysis.status !== 'finished' || last === 0)
      return undefined;
    return { run: run.number, token: selection.token ?? last - 1, next: selection.next };
  }

  /** One at a time: who moves through a text wants the last that was chosen. */
  private async look(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    try {
      for (let { chosen } = this; chosen && !isSame(chosen, this.known); { chosen } = this) {
        this.known = chosen;
        const { token, next } = chosen;
        const answer = await this.analyses.query({ type: 'saliency', token, next });
        if (isSame(chosen, this.known))
          this.known = { ...chosen, found: { ...answer, shares: saliencyShares(answer.saliency) } };
        this.changes.fire();
      }
    } catch (error) {
      // The panel says why a model has none.
      if (!SinkscopeError.is(error, 'input') && !SinkscopeError.is(error, 'cancelled')) this.failed(error);
      this.changes.fire();
    } finally {
      this.busy = false;
    }
  }
}
