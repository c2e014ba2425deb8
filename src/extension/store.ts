/** Experiments on disk, so that they are there again after a window reload. */
import { deserialize, serialize } from 'node:v8';
import * as v from 'valibot';
import * as vscode from 'vscode';
import { experimentRun } from '../protocol.js';
import type { KeptRun } from './experiments.js';

/** Changes with the form of what is stored, `Presentation` and the JSON of experiments included; what has another is forgotten. */
const version = 2;

const storedExperiments = v.object({
  version: v.literal(version),
  runs: v.array(
    v.object({
      ...experimentRun.entries,
      // For programs: nothing here reads it.
      json: v.optional(v.custom<object>((value) => typeof value === 'object' && value !== null)),
    }),
  ),
});

/** What becomes of an experiment whose window is closed. */
const stopped = {
  status: 'failed',
  problem: { code: 'cancelled', message: 'The experiment was stopped, because its window was closed.' },
} as const;

/** Keeps a list of experiments in `folder`, which is made when it is missing. */
export class Store {
  private readonly experiments: vscode.Uri;
  private writing: Promise<void> = Promise.resolve();

  constructor(private readonly folder: vscode.Uri) {
    this.experiments = vscode.Uri.joinPath(folder, 'experiments');
  }

  /** Deletes what is kept, and the last run as earlier versions have kept it. */
  async forget(): Promise<void> {
    await this.writing;
    for (const file of [this.experiments, vscode.Uri.joinPath(this.folder, 'last-run')])
      await vscode.workspace.fs.delete(file).then(undefined, () => undefined);
  }

  /** All of them in the order given; one that goes on is kept as it is by now, for the window may close. */
  async saveExperiments(runs: readonly KeptRun[]): Promise<void> {
    const kept = runs.map(({ file, hasFile, ...run }) => (run.status === 'running' ? { ...run, ...stopped } : run));
    await this.write(this.experiments, { version, runs: kept });
  }

  /** None where nothing is kept, or has another version's form. */
  async loadExperiments(): Promise<readonly KeptRun[]> {
    try {
      return v.parse(storedExperiments, deserialize(await vscode.workspace.fs.readFile(this.experiments))).runs;
    } catch {
      return [];
    }
  }

  /** One after another, so that what was written last is what is there. */
  private write(file: vscode.Uri, value: unknown): Promise<void> {
    const bytes = serialize(value);
    const written = this.writing.then(async () => {
      await vscode.workspace.fs.createDirectory(this.folder);
      await vscode.workspace.fs.writeFile(file, bytes);
    });
    this.writing = written.catch(() => undefined);
    return written;
  }
}
