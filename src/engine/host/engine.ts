/** The engine as the extension and the command line see it: a child process that is forked, watched and killed. */
import { dirname, join } from 'node:path';
import { type Problem, SinkscopeError, toProblem } from '../../errors.js';
import { removePartials } from '../../saving.js';
import { quoted } from '../../visible.js';
import type { Description, WeightStatistics } from '../contract/description.js';
import type { Device, DeviceEvent } from '../contract/device.js';
import type { FailedEvent, RunEvent, RunRequest } from '../contract/events.js';
import type { Inspection } from '../contract/inspection.js';
import {
  type AnswerOf,
  checkSaid,
  type EncodedText,
  type EventOf,
  type JobType,
  type RequestOf,
  type SteppedJob,
  schemasOf,
} from '../contract/protocol.js';
import { type AnswerTo, answerSchema, type Question, type SavedQuestion } from '../contract/questions.js';
import type { SmoothRequest } from '../contract/smooth.js';
import { Channel } from './channel.js';
import { Connection, type Job } from './connection.js';
import { writableFor } from './sandbox.js';

const stopped: Problem = { code: 'cancelled', message: 'The analysis was stopped.' };
const superseded: Problem = { code: 'cancelled', message: 'The analysis was stopped because another one was started.' };

/**
 * Runs models in one child process, so that nothing a model does can freeze or end this one. The child stays between
 * runs, for it keeps what it has loaded; it is killed to cancel, and forked again when needed.
 */
export class Engine {
  private connection: Connection | undefined;
  /** Stops the run in progress. */
  private stopRun: ((problem: Problem) => void) | undefined;
  /** Whether that follows an edit, so that another one which does needs no new process. */
  private runsLive = false;
  /** Why questions cannot be answered; undefined when they can. */
  private noAnswers: string | undefined = 'No analysis has been run yet; run one first.';
  private disposed = false;
  /** See {@link choose}. */
  private stream: string | undefined;
  /** See {@link useTokenizers}. */
  private tokenizerOf: (model: string) => string | undefined = () => undefined;

  /** @param childPath the bundle of `child.ts`; by default beside the running bundle */
  constructor(private readonly childPath: string = join(__dirname, 'engine.js')) {}

  /** Of the child, where there is one. */
  get pid(): number | undefined {
    return this.connection?.alive ? this.connection.pid : undefined;
  }

  /**
   * Runs `request` and yields its events, the last of them `finished` or `failed`; never throws. Starts at once, and
   * cancels a run that is still going on. Aborting `signal`, or leaving the loop, kills the child; a run that follows an
   * edit is given up by itself for another one that does, with what is loaded kept.
   */
  analyze(request: RunRequest, signal?: AbortSignal): AsyncGenerator<RunEvent, void, void> {
    return this.events('analyze', request, signal, withoutPartial(request.save?.file));
  }

  /**
   * Does a job of many steps and gives what it says: its events, how far it is among them, and its answer or `failed`
   * at last. What a job is about stands with its request (`contract/`). Starts and is cancelled as {@link analyze} is.
   */
  run<T extends SteppedJob>(
    type: T,
    request: RequestOf<T>,
    signal?: AbortSignal,
  ): AsyncGenerator<EventOf<T> | AnswerOf<T> | FailedEvent, void, void> {
    const file = 'save' in request ? request.save?.file : undefined;
    return this.events(type, request, signal, withoutPartial(file));
  }

  /** Events, the answer last. */
  private events<T extends JobType>(
    type: T,
    request: RequestOf<T>,
    signal: AbortSignal | undefined,
    failed: (pid: number | undefined) => void = () => {},
  ): AsyncGenerator<EventOf<T> | AnswerOf<T> | FailedEvent, void, void> {
    const isLive = 'live' in request && request.live === true;
    if (!(isLive && this.runsLive)) this.stopRun?.(superseded);
    this.runsLive = isLive;
    const asks = type === 'analyze';
    this.noAnswers = asks
      ? 'The last analysis did not finish; run it again to ask about it.'
      : 'No analysis has been run since the last measurement; run one first.';

    const schemas = schemasOf(type);
    const stop = (problem: Problem) => this.connection?.kill(problem);
    const end = (event: AnswerOf<T> | FailedEvent) => {
      signal?.removeEventListener('abort', abort);
      if (this.stopRun === stop) this.stopRun = undefined;
      events.push(event);
      events.close();
    };
    const abort = () => stop(stopped);
    const events = new Channel<EventOf<T> | AnswerOf<T> | FailedEvent>(abort);

    if (signal?.aborted) {
      end({ type: 'failed', problem: stopped });
      return events;
    }
    signal?.addEventListener('abort', abort);
    this.stopRun = stop;
    this.send(type, request, {
      receive: (message) => {
        try {
          if (message.type === 'problem') end({ type: 'failed', problem: message.problem });
          else if (message.type === 'device') {
            this.placed.push(message.event);
            if (asks) events.push(checkSaid(schemas.event, message.event, 'event'));
            return false;
          } else if (message.type === 'event') {
            events.push(checkSaid(schemas.event, message.event, 'event'));
            return false;
          } else {
            const isLast = this.stopRun === stop;
            end(checkSaid(schemas.answer, message.answer, 'answer'));
            if (asks && isLast) this.noAnswers = undefined;
          }
        } catch (error) {
          stop(toProblem(error));
        }
        return true;
      },
      fail: (problem, pid) => {
        end({ type: 'failed', problem });
        failed(pid);
      },
    });
    return events;
  }

  /**
   * What a model file is.
   *
   * @param of the residual stream that it is to be told of, where the file has several
   * @throws SinkscopeError with the reason why it cannot be read; `cancelled` when `signal` is aborted
   */
  async inspect(
    model: string,
    signal?: AbortSignal,
    of: Pick<RequestOf<'inspect'>, 'stream' | 'takes'> = {},
  ): Promise<Inspection> {
    for (;;) {
      try {
        return await this.ask('inspect', { model, ...of }, signal);
      } catch (error) {
        // A child that was killed to stop a run takes this question with it: ask the next one.
        const lost = SinkscopeError.is(error, 'cancelled') && !signal?.aborted && !this.disposed;
        if (!lost) throw error;
      }
    }
  }

  /**
   * What an ONNX file is, a transformer or not.
   *
   * @param stream that its anatomy is to be told of, where it has several
   * @throws SinkscopeError with the reason why it cannot be read
   */
  async describe(model: string, stream?: string): Promise<Description> {
    return this.ask('describe', { model, stream });
  }

  /**
   * What the numbers in one weight of a file are like, as they are stored there.
   *
   * @throws SinkscopeError with the reason why it cannot be told
   */
  async weight(model: string, name: string): Promise<WeightStatistics> {
    return this.ask('weight', { model, name });
  }

  /**
   * What a model file is by its content, in hex: the same for a copy elsewhere, another for another checkpoint.
   *
   * @throws SinkscopeError with the reason why it cannot be read
   */
  async identity(model: string, signal?: AbortSignal): Promise<string> {
    return this.ask('identity', { model }, signal);
  }

  /**
   * Whether two files of the same {@link identity}, which looks at samples of large weights, have the same weights.
   *
   * @throws SinkscopeError with the reason why one cannot be read; `cancelled` when `signal` is aborted
   */
  async sameWeights(model: string, other: string, signal?: AbortSignal): Promise<boolean> {
    return this.ask('sameWeights', { model, other }, signal);
  }

  /**
   * A text's token ids, without prefix, and the prefix token of the model.
   *
   * @param options.bos whether there is to be a prefix; undefined: as the model's files say
   * @param options.most how many of the text's first tokens are wanted; undefined: all
   * @param options.isPrompt whether it is the user's turn where there is a {@link chat}: the template's tokens are among
   *   the ids then
   * @throws SinkscopeError `tokenizer` where there is none, it does not fit the model or has no token for the text;
   *   `input` where a prefix is asked for and the files name none
   */
  async encode(
    model: string,
    text: string,
    {
      bos,
      most,
      isPrompt,
      signal,
    }: {
      readonly bos?: boolean;
      readonly most?: number;
      readonly isPrompt?: boolean;
      readonly signal?: AbortSignal;
    } = {},
  ): Promise<EncodedText> {
    return this.ask('encode', { model, text, bos, most, chat: isPrompt ? this.chat : undefined }, signal);
  }

  /**
   * Texts of a Parquet file from a record on, some at a time; none behind the last.
   *
   * @throws SinkscopeError `file` where it cannot be read; `input` where the column is not there or not named
   */
  async records(request: RequestOf<'records'>, signal?: AbortSignal): Promise<AnswerOf<'records'>> {
    return this.ask('records', request, signal);
  }

  /**
   * Asks of a saved result what the tensors beside it answer.
   *
   * @throws SinkscopeError `input` where there are none, they are of another run or lack what is asked for; `file` where
   *   they cannot be read
   */
  async saved<Q extends SavedQuestion>(file: string, question: Q): Promise<AnswerTo<Q['type']>> {
    return checkSaid(answerSchema<Q['type']>(question.type), await this.ask('saved', { file, question }), 'answer');
  }

  /**
   * Writes a model whose products' inputs are divided by factors, and their weights multiplied.
   *
   * @throws SinkscopeError `save` where it cannot be written; as {@link inspect} else
   */
  async smooth(request: SmoothRequest, signal?: AbortSignal): Promise<void> {
    await this.ask('smooth', request, signal);
  }

  /** The texts of token ids; `token 17` where there is no tokenizer. */
  async decode(model: string, ids: readonly number[], signal?: AbortSignal): Promise<readonly string[]> {
    return this.ask('decode', { model, ids }, signal);
  }

  /**
   * Asks about the run that finished last.
   *
   * @throws SinkscopeError `input` where there is none, or no such layer, head or token
   */
  async query<Q extends Question>(question: Q): Promise<AnswerTo<Q['type']>> {
    const gone = this.connection?.alive ? undefined : 'What was kept of the analysis is gone; run it again.';
    const message = this.noAnswers ?? gone;
    if (message !== undefined) throw new SinkscopeError({ code: 'input', message });
    return checkSaid(answerSchema<Q['type']>(question.type), await this.ask('query', question), 'answer');
  }

  /** The residual stream that jobs are about from now on which name none; undefined: what they are given chooses. */
  choose(stream: string | undefined): void {
    this.stream = stream;
  }

  /** What models are computed on from now on, where a job can be; see docs/gpu.md. */
  device: Device = 'cpu';

  private readonly placed: DeviceEvent[] = [];

  /** In sentences, each once, what was said of where jobs were computed; empty where the CPU was asked for. */
  get computedOn(): readonly string[] {
    return [...new Set(this.placed.map(({ why }) => why))];
  }

  /** How line ends of texts are read from now on; see `src/tokens/line-ends.ts`. */
  lineEnds: 'lf' | 'as-is' = 'lf';

  /** Texts that are run as a prompt are the user's turn of such a chat from now on; undefined: they stand alone. */
  chat: RunRequest['chat'];

  /** Has models run with the `tokenizer.json` that `of` names for them, in the place of what lies beside them. */
  useTokenizers(of: (model: string) => string | undefined): void {
    this.tokenizerOf = of;
  }

  /** An engine with a process of its own that runs models as this one does; its owner disposes of it. */
  another(): Engine {
    const other = new Engine(this.childPath);
    other.stream = this.stream;
    other.lineEnds = this.lineEnds;
    other.tokenizerOf = this.tokenizerOf;
    other.device = this.device;
    return other;
  }

  /** Ends the child for good. */
  dispose(): void {
    this.disposed = true;
    this.connection?.kill(stopped);
  }

  private ask<T extends JobType>(type: T, request: RequestOf<T>, signal?: AbortSignal): Promise<AnswerOf<T>> {
    return new Promise((resolve, reject) => {
      const fail = (problem: Problem) => {
        signal?.removeEventListener('abort', abort);
        reject(new SinkscopeError(problem));
      };
      const abort = () => fail(stopped);
      if (signal?.aborted) return abort();
      signal?.addEventListener('abort', abort);
      this.send(type, request, {
        receive: (message) => {
          if (message.type === 'event') return false;
          if (message.type === 'device') {
            this.placed.push(message.event);
            return false;
          }
          if (message.type === 'problem') fail(message.problem);
          else {
            signal?.removeEventListener('abort', abort);
            try {
              resolve(checkSaid(schemasOf(type).answer, message.answer, 'answer'));
            } catch (error) {
              reject(error);
            }
          }
          return true;
        },
        fail,
      });
    });
  }

  private send<T extends JobType>(type: T, request: RequestOf<T>, job: Job): void {
    if (this.disposed) {
      job.fail(stopped, undefined);
      return;
    }
    // A model and a file made from it are walked side by side; which of its streams that is has no place in the request.
    if (this.stream !== undefined && 'reference' in request) {
      const message = `A model and a file made from it are run on the stream that a text is enough for; leave the stream ${quoted(this.stream)} out.`;
      job.fail({ code: 'input', message }, undefined);
      return;
    }
    // What a process may write to is settled when it starts.
    const writable = 'save' in request && request.save ? writableFor(request.save.file) : undefined;
    if (writable !== undefined && this.connection?.writable !== writable) this.connection?.kill(superseded);
    if (!this.connection?.alive) this.connection = new Connection(this.childPath, writable);
    const named = 'stream' in request ? request.stream : undefined;
    const isChosen = this.stream !== undefined && named === undefined && 'model' in request;
    const isText = ['analyze', 'encode', 'generate', 'gradients'].includes(type);
    const lineEnds = ('lineEnds' in request ? request.lineEnds : undefined) ?? this.lineEnds;
    const chat = 'prompt' in request && 'text' in request.prompt ? (request.chat ?? this.chat) : undefined;
    const chosen = {
      ...(isText && { lineEnds }),
      ...(chat && { chat }),
      ...(isChosen && { stream: this.stream }),
    };
    const models = [
      ...('model' in request ? [request.model] : []),
      ...('reference' in request && request.reference !== undefined ? [request.reference] : []),
    ];
    const tokenizers = models.flatMap((model) => {
      const file = this.tokenizerOf(model);
      return file === undefined ? [] : [{ model, file }];
    });
    this.connection.send(type, { ...request, ...chosen }, job, { tokenizers, device: this.device });
  }
}

/** What a killed child was writing is its parent's to remove. */
const withoutPartial = (file: string | undefined) => (pid: number | undefined) => {
  // Beside the file may be another that belongs to it: weights, or a model made of an adapter.
  if (file !== undefined && pid !== undefined) void removePartials(dirname(file), pid).catch(() => undefined);
};
