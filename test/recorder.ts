/** Vitest's runner, which also notes what starts and ends where `npm test` asks for a record (`scripts/record.mjs`). */
import { relative } from 'node:path';
import { type RunnerTask, type RunnerTestCase, type RunnerTestFile, TestRunner } from 'vitest';
import { type Note, take } from '../scripts/record.mjs';

const record = process.env.SINKSCOPE_TEST_RECORD;

export default class Recorder extends TestRunner {
  /** Tests whose end is on record. */
  private readonly ended = new Set<string>();

  onBeforeCollect(files: string[]): void {
    for (const file of files) this.note(this.path(file), 'started');
  }

  override async onBeforeRunTask(test: RunnerTestCase): Promise<void> {
    await super.onBeforeRunTask(test);
    if (test.mode === 'run' || test.mode === 'queued') this.note(this.nameOf(test), 'started');
  }

  override onAfterRunTask(test: RunnerTestCase): void {
    super.onAfterRunTask(test);
    this.ended.add(test.id);
    this.note(this.nameOf(test), test.result?.state === 'pass' ? 'passed' : 'failed');
  }

  // Vitest's own takes no files, although it is given them.
  override onAfterRunFiles(files: RunnerTestFile[] = []): void {
    super.onAfterRunFiles();
    for (const file of files) {
      this.noteRest(file);
      this.note(this.path(file.filepath), 'left');
    }
  }

  /** Tests that were skipped, and errors that belong to no test: in a hook, or of a file that could not be loaded. */
  private noteRest(task: RunnerTask): void {
    if (task.type === 'test') {
      if (!this.ended.has(task.id)) this.note(this.nameOf(task), 'skipped', reasonOf(task));
      return;
    }
    for (const { message } of task.result?.errors ?? []) this.note(this.nameOf(task), 'failed', message);
    for (const child of task.tasks) this.noteRest(child);
  }

  private note(name: string, state: Note['state'], message?: string): void {
    if (record) take(record, { name, state, ...(message && { message }) });
  }

  /** A file, or behind its path a test or a group of tests. */
  private nameOf({ file, fullTestName }: RunnerTask): string {
    return fullTestName === undefined ? this.path(file.filepath) : `${this.path(file.filepath)}: ${fullTestName}`;
  }

  private path(file: string): string {
    return relative(this.config.root, file);
  }
}

/** Why a test was skipped, where it said so; vitest's types do not know of it. */
function reasonOf({ result }: RunnerTask): string | undefined {
  return result && 'note' in result && typeof result.note === 'string' ? result.note : undefined;
}
