/** How surprising the tokens of the run are, asked for when editors are to be tinted by it. */
import * as vscode from 'vscode';
import { SinkscopeError } from '../errors.js';
import type { Analyses } from './analyses.js';
import type { SettingsWatch } from './configuration.js';

export class Surprisal implements vscode.Disposable {
  private readonly changes = new vscode.EventEmitter<void>();
  /** It is known now. */
  readonly onDidChange = this.changes.event;
  private readonly subscriptions: readonly vscode.Disposable[];
  /** Of the run with this number; no nats where they were asked for and did not come. */
  private known: { readonly run: number; readonly nats?: Float32Array } | undefined;

  constructor(
    private readonly analyses: Analyses,
    private readonly settings: SettingsWatch,
    private readonly failed: (error: unknown) => void,
  ) {
    const look = () => void this.look();
    this.subscriptions = [this.changes, analyses.onDidChange(look), settings.onDidChange(look)];
  }

  /** In nats by token, [T]; undefined where it is not wanted, or not known by now. */
  get nats(): Float32Array | undefined {
    const { run } = this.analyses;
    return this.wanted && run?.number === this.known?.run ? this.known?.nats : undefined;
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private get wanted(): boolean {
    return this.settings.current.tint === 'surprisal';
  }

  private async look(): Promise<void> {
    const { run } = this.analyses;
    if (!this.wanted || run?.analysis.status !== 'finished' || this.known?.run === run.number) return;
    this.known = { run: run.number };
    try {
      const { nats } = await this.analyses.query({ type: 'surprisal' });
      // Another run may have begun meanwhile.
      if (this.known.run !== run.number) return;
      this.known = { run: run.number, nats };
      this.changes.fire();
    } catch (error) {
      // The panel says why a model has none.
      if (!SinkscopeError.is(error, 'input') && !SinkscopeError.is(error, 'cancelled')) this.failed(error);
    }
  }
}
