/** One child process and the jobs it has been given. */
import { type ChildProcess, fork } from 'node:child_process';
import { Readable } from 'node:stream';
import type { Problem } from '../../errors.js';
import { type FromChild, type JobType, type RequestOf, readFromChild, type ToChild } from '../contract/protocol.js';
import { pipe } from '../guard/note.js';
import { endProblem } from './noted.js';
import { sandboxFlags } from './sandbox.js';

/** What is done with what the child says of a job. */
export interface Job {
  /** Takes what the child says about the job; true when that was the last of it. */
  receive(message: FromChild): boolean;
  /** Takes the end of the child. */
  fail(problem: Problem, pid: number | undefined): void;
}

/** Of JavaScript's own objects; tensors and files lie outside of it. */
const heapMegabytes = 2048;

/**
 * Bytes from which on glibc gives a block back to the system as soon as it is freed. Left alone it raises this to the
 * largest that was freed, up to 32 MB, and keeps what is below: logits and weights that are gone stay beside those that
 * come, the more of them the more models take turns. What is smaller is activations, which come again at each block, and
 * asking the system for them each time took a third of the time. Other allocators do not read it.
 */
const allocation = { MALLOC_MMAP_THRESHOLD_: String(2 ** 22) };

/** How much of what the child writes to stderr, and of what it sends that is no message, is kept for the log. */
const tailLength = 4000;

export class Connection {
  private readonly child: ChildProcess;
  private readonly jobs = new Map<number, Job>();
  private lastId = 0;
  private tail = '';
  /** What the guard said. */
  private noted = '';
  private ended = false;

  /**
   * @param path the bundle of the child
   * @param writable the folder that it may write to; undefined: none
   */
  constructor(
    path: string,
    readonly writable: string | undefined,
  ) {
    this.child = fork(path, {
      serialization: 'advanced',
      // The editor's own executable is Electron; a debugger's flags are not for the child.
      env: { ...allocation, ...process.env, ELECTRON_RUN_AS_NODE: '1' },
      // Where large arrays are dropped it says so itself: left alone, it holds on to a good part of a model of them.
      execArgv: [`--max-old-space-size=${heapMegabytes}`, '--expose-gc', ...sandboxFlags(writable)],
      // The last one is the guard's: it hears there that this process is gone, and says why it ends the child.
      stdio: ['ignore', 'ignore', 'pipe', 'ipc', 'pipe'],
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => this.keep(text));
    const guard = this.child.stdio[pipe];
    if (guard instanceof Readable)
      guard.setEncoding('utf8').on('data', (text: string) => {
        this.noted = (this.noted + text).slice(-tailLength);
      });
    this.child.on('message', (message) => this.receive(message));
    this.child.on('error', (error) => this.end(this.problem(error.message)));
    // Not `exit`: what the child wrote last may still be on its way.
    this.child.on('close', (code, signal) => this.end(this.problem(signal ?? `exit code ${code}`)));
  }

  get alive(): boolean {
    return !this.ended;
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  send<T extends JobType>(
    type: T,
    request: RequestOf<T>,
    job: Job,
    how: Pick<ToChild, 'tokenizers' | 'device'> = { tokenizers: [], device: 'cpu' },
  ): void {
    const id = ++this.lastId;
    this.jobs.set(id, job);
    this.child.send({ id, type, request, ...how } satisfies ToChild, (error) => {
      if (error) this.end(this.problem(error.message));
    });
  }

  /** Ends the child now; all its jobs fail with `problem`. */
  kill(problem: Problem): void {
    this.child.kill('SIGKILL');
    this.end(problem);
  }

  private receive(raw: unknown): void {
    const message = readFromChild(raw);
    if (!message)
      this.keep(`Sinkscope: a message that is none of the engine's: ${JSON.stringify(raw)?.slice(0, 200)}\n`);
    else if (this.jobs.get(message.id)?.receive(message)) this.jobs.delete(message.id);
  }

  private problem(cause: string): Problem {
    return endProblem(cause, this.noted, this.tail);
  }

  /** Keeps what may explain an end. */
  private keep(text: string): void {
    this.tail = (this.tail + text).slice(-tailLength);
  }

  private end(problem: Problem): void {
    if (this.ended) return;
    this.ended = true;
    const jobs = [...this.jobs.values()];
    this.jobs.clear();
    for (const job of jobs) job.fail(problem, this.child.pid);
  }
}
