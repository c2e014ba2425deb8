/** The last finished run and the experiments on disk, so that they are there again after a window reload. */
import { deserialize, serialize } from 'node:v8';
import * as v from 'valibot';
import * as vscode from 'vscode';
import { runEvent, runRequest } from '../engine/contract/events.js';
import { experimentRun } from '../protocol.js';
import type { Sent } from '../schemas.js';
import type { KeptAnalysis } from './analyses.js';
import { compact } from './compact.js';
import type { KeptRun } from './experiments.js';

/** Changes with the form of what is stored, `RunEvent`, `Presentation` and the JSON of experiments included; what has another is forgotten. */
const version = 2;

const stored = v.object({
  version: v.literal(version),
  source: v.optional(
    v.object({
      uri: v.string(),
      scope: v.picklist(['selection', 'document', 'cursor']),
      text: v.string(),
    }),
  ),
  range: v.object({ start: v.number(), end: v.number() }),
  request: runRequest,
  events: v.array(runEvent),
});

type Stored = Sent<typeof stored>;

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

/** Keeps one run, and a list of experiments, in `folder`, which is made when it is missing. */
export class Store {
  private readonly file: vscode.Uri;
  private readonly experiments: vscode.Uri;
  private writing: Promise<void> = Promise.resolve();

  constructor(private readonly folder: vscode.Uri) {
    this.file = vscode.Uri.joinPath(folder, 'last-run');
    this.experiments = vscode.Uri.joinPath(folder, 'experiments');
  }

  async save({ source, range, request, events }: KeptAnalysis): Promise<void> {
    const kept: Stored = {
      version,
      source: source && { uri: source.uri.toString(), scope: source.scope, text: source.text },
      range,
      request,
      events,
    };
    await this.write(this.file, kept);
  }

  /** The run kept, or undefined where there is none or it has another version's form. */
  async load(): Promise<KeptAnalysis | undefined> {
    try {
      const { source, ...run } = v.parse(stored, deserialize(await vscode.workspace.fs.readFile(this.file)));
      return {
        ...run,
        events: run.events.map(compact),
        source: source && { ...source, uri: vscode.Uri.parse(source.uri, true), range: run.range },
      };
    } catch {
      return undefined;
    }
  }

  async forget(): Promise<void> {
    await vscode.workspace.fs.delete(this.file).then(undefined, () => undefined);
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
