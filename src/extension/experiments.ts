/**
 * The experiments that were run in this window, newest first. Each has an engine of its own, so that the run that the
 * panel shows keeps answering, and that all an experiment holds is given back with its end.
 */
import * as vscode from 'vscode';
import { Engine } from '../engine/host/engine.js';
import { toProblem } from '../errors.js';
import { experiments } from '../experiments/catalogue.js';
import { type Experiment, progressInWords, type Setup } from '../experiments/experiment.js';
import type { ExperimentInputs } from '../experiments/facts.js';
import type { Given } from '../experiments/values.js';
import type { ExperimentRun } from '../protocol.js';
import { visible } from '../visible.js';
import type { SettingsWatch } from './configuration.js';
import type { Models } from './models.js';
import { prefixAsked, runAs } from './settings.js';
import type { Tokenizers } from './tokenizers.js';

/** A run with what programs get of it: what the command line prints, and saves. Views are not sent that. */
export interface KeptRun extends ExperimentRun {
  readonly json?: object;
  /** As large as it likes, so that it goes with the window. */
  readonly file?: object;
}

export type ExperimentsChange = { readonly type: 'runs' } | { readonly type: 'run'; readonly run: KeptRun };

/** Runs that are kept. */
const most = 20;

export class Experiments implements vscode.Disposable {
  runs: readonly KeptRun[] = [];

  private readonly changes = new vscode.EventEmitter<ExperimentsChange>();
  readonly onDidChange = this.changes.event;
  private controller: AbortController | undefined;
  private count = 0;

  constructor(
    /** Path of the engine's child. */
    private readonly child: string,
    private readonly models: Models,
    private readonly settings: SettingsWatch,
    private readonly tokenizers: Tokenizers,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  get running(): boolean {
    return this.controller !== undefined;
  }

  /**
   * Runs an experiment with the model and settings chosen now, ending the one before it, and resolves with its run at
   * the end. Never rejects: what goes wrong is said where the result would be.
   *
   * @param part of a prompt that is too long, what is run
   * @param given reads the values of inputs, by name; that of a chosen model is known here
   */
  async run(
    { id, title, inputs, run }: Experiment,
    given: (engine: Engine) => Promise<Given>,
    part: 'first' | 'last' = 'first',
  ): Promise<KeptRun> {
    this.stop();
    const controller = new AbortController();
    this.controller = controller;
    const { signal } = controller;
    let now: KeptRun = { number: ++this.count, experiment: id, title, status: 'running' };
    const become = (part: Partial<KeptRun>) => {
      now = { ...now, ...part };
      this.put(now);
    };
    // What came to nothing gives way to the next try.
    for (const { number, experiment, status, presentation } of this.runs)
      if (experiment === id && status === 'failed' && !presentation) this.close(number);
    this.runs = [now, ...this.runs].slice(0, most);
    become({});
    const engine = new Engine(this.child);
    engine.useTokenizers(this.tokenizers.of);
    runAs(engine, this.settings.current);
    let end: Partial<KeptRun>;
    try {
      const { bos, memory, threads, thresholds } = this.settings.current;
      const setup: Setup = {
        engine,
        bos: prefixAsked(bos),
        // What does not fit of a prompt is left out, which the result says.
        part,
        memory,
        threads,
        thresholds,
      };
      const model = await this.chosenFor(inputs);
      if (model) become({ title: `${title} · ${model.name}` });
      const steps = run(setup, { ...(await given(engine)), ...model?.values }, signal);
      let step = await steps.next();
      for (; !step.done; step = await steps.next()) {
        const { done, of, underWay = 0, presentation = now.presentation, json = now.json, file } = step.value;
        become({
          progress: { done: done + underWay, of, text: progressInWords(step.value) },
          presentation,
          json,
          ...filed(file),
        });
      }
      const { presentation, json, file } = step.value;
      end = { status: 'finished', presentation, json, ...filed(file) };
      this.log.info(visible(`${title}: ${presentation.sentence}`));
    } catch (error) {
      const problem = toProblem(error);
      if (problem.code !== 'cancelled')
        this.log.error(
          [`${title}: ${problem.message}`, ...(problem.detail?.split('\n') ?? [])].map(visible).join('\n'),
        );
      end = { status: 'failed', problem };
    }
    engine.dispose();
    if (this.controller === controller) this.controller = undefined;
    become(end);
    return now;
  }

  /** Puts the runs of an earlier session after those of this one. */
  restore(runs: readonly KeptRun[]): void {
    const earlier = runs.map((run) => ({ ...run, number: ++this.count }));
    this.runs = [...this.runs, ...earlier].slice(0, most);
    this.changes.fire({ type: 'runs' });
  }

  /** Ends the experiment that is running, which stays in the list as stopped. */
  stop(): void {
    this.controller?.abort();
  }

  /** Takes a run off the list, ending it where it is running. */
  close(number: number): void {
    const run = this.runs.find((one) => one.number === number);
    if (run?.status === 'running') this.stop();
    this.runs = this.runs.filter((one) => one !== run);
    this.changes.fire({ type: 'runs' });
  }

  /** Takes all runs off the list that have ended. */
  clear(): void {
    this.runs = this.runs.filter(({ status }) => status === 'running');
    this.changes.fire({ type: 'runs' });
  }

  dispose(): void {
    this.stop();
    this.changes.dispose();
  }

  /** The model that is chosen for all, by the name of the input that takes it; undefined where none does. */
  private async chosenFor(
    inputs: ExperimentInputs,
  ): Promise<{ readonly name: string; readonly values: Given } | undefined> {
    const input = Object.entries(inputs).find(([, one]) => one.kind === 'model' && one.chosen);
    if (!input) return undefined;
    const { file, name } = await this.models.chosen();
    return { name, values: { [input[0]]: file } };
  }

  /** Nothing for a run that was closed. */
  private put(run: KeptRun): void {
    if (!this.runs.some(({ number }) => number === run.number)) return;
    this.runs = this.runs.map((one) => (one.number === run.number ? run : one));
    this.changes.fire({ type: 'run', run });
  }
}

/** What an experiment would save by now. */
const filed = (file: object | undefined): Partial<KeptRun> => (file ? { file, hasFile: true } : {});

/** The experiment called `id`. */
export function experimentOf(id: string): Experiment | undefined {
  return experiments.find((experiment) => experiment.id === id);
}

/** What a view gets of a run. */
export const sentRun = ({ json, file, ...run }: KeptRun): ExperimentRun => run;
