/** What the calls of one agent share: they take turns, and what they gave is kept so that it can be asked about. */
import type { Analysis } from '../analysis/analysis.js';
import type { Presentation } from '../analysis/presentation.js';
import type { RunRequest } from '../engine/contract/events.js';
import type { Engine } from '../engine/host/engine.js';
import { SinkscopeError } from '../errors.js';
import type { Setup } from '../experiments/experiment.js';
import type { PromptRequest } from '../experiments/shared/run.js';
import type { FoundModel } from '../models/find.js';
import { quoted } from '../visible.js';

/** What tools work with, as it is when they are called. */
export interface Surroundings {
  newEngine(): Engine;
  /** Budget and thresholds; `bos` unless a call says otherwise. */
  setup(): Omit<Setup, 'engine' | 'part'>;
  /** Models that are known without a search: bundled ones, and those that the user has named. */
  near(): Promise<readonly FoundModel[]>;
  /** These, and all that lie in {@link folders}. */
  models(): Promise<readonly FoundModel[]>;
  /** Folders of which files may be opened; relative paths begin at the first. */
  folders(): Promise<readonly string[]>;
}

/** A run, and what makes it again. */
export interface Analysed {
  readonly request: PromptRequest & Pick<RunRequest, 'stream'>;
  readonly analysis: Analysis;
}

interface Kept {
  readonly presentation: Presentation;
  readonly analysed?: Analysed;
}

/** Results that are kept. */
const most = 30;

export class Desk {
  /** For analyses and questions about them; each experiment has an engine of its own. */
  readonly engine: Engine;
  private readonly kept = new Map<string, Kept>();
  private count = 0;
  /** The run that the engine answers questions about. */
  private answering: Analysed | undefined;
  private turn: Promise<void> = Promise.resolve();

  constructor(readonly around: Surroundings) {
    this.engine = around.newEngine();
  }

  /** Resolves when what was begun before has ended, with what ends this. */
  async inTurn(): Promise<() => void> {
    const before = this.turn;
    let end = () => {};
    this.turn = new Promise<void>((resolve) => {
      end = resolve;
    });
    await before;
    return end;
  }

  /** Keeps what a call gave, and returns its id. */
  keep(result: Kept): string {
    const id = `r${++this.count}`;
    this.kept.set(id, result);
    const [oldest] = this.kept.keys();
    if (this.kept.size > most && oldest !== undefined) this.kept.delete(oldest);
    return id;
  }

  /** What a call gave. */
  result(id: string): Kept {
    const found = this.kept.get(id);
    if (found) return found;
    const ids = [...this.kept.keys()];
    const there = ids.length === 0 ? 'nothing has been run yet' : `there are ${ids.join(', ')}`;
    throw new SinkscopeError({ code: 'input', message: `There is no result ${quoted(id)}: ${there}.` });
  }

  /** A run that was analysed. */
  analysed(id: string): Analysed {
    const { analysed, presentation } = this.result(id);
    if (analysed) return analysed;
    const message = `Result ${id} (${presentation.title}) is no run of a text; give that of a call of sinkscope_analyze.`;
    throw new SinkscopeError({ code: 'input', message });
  }

  /** Notes the run that the engine answers questions about from now on: none while another one is made, or has failed. */
  answers(run: Analysed | undefined): void {
    this.answering = run;
  }

  /** Whether the engine answers questions about a run. */
  isAnswering(run: Analysed): boolean {
    return this.answering === run && this.engine.pid !== undefined;
  }

  dispose(): void {
    this.engine.dispose();
  }
}
