import { visible } from './visible.js';

/**
 * What went wrong, as plain data that crosses process borders unchanged.
 *
 * `message` is one sentence for a person: the file or part, the cause, and what to do. Whatever names it holds, it is
 * {@link visible}; every problem is made here, so that no place has to think of it.
 * `code` is for programs and tests; `file` is the file at fault, where there is one;
 * `detail` is what the log gets (an ONNX Runtime message, a stack) and is never shown alone.
 */
export interface Problem {
  readonly code: ProblemCode;
  readonly message: string;
  readonly file?: string;
  readonly detail?: string;
  /** With `too-long`: tokens that there are at least, and how many fit, so that a part can be chosen. */
  readonly limit?: { readonly tokens: number; readonly context: number };
  /** Extents of a residual stream of which an axis has to be chosen: the one that counts tokens. */
  readonly axes?: readonly number[];
}

export type ProblemCode =
  | 'file' // missing, unreadable, truncated, not ONNX, wrong version
  | 'external-data' // a weight file is missing, too short, or outside the model's folder
  | 'graph' // cyclic, dangling, contradictory
  | 'not-a-transformer'
  | 'tokenizer'
  | 'input' // tokens, text, feeds or settings that do not fit
  | 'too-long' // more tokens than the model's context or the memory budget takes
  | 'runtime' // ONNX Runtime refused or failed
  | 'crashed' // the engine process ended by itself
  | 'cancelled'
  | 'save' // the result could not be written
  | 'network' // a model hub that could not be reached, or refused
  | 'internal';

/** The one error class of the project: a {@link Problem} that can be thrown. */
export class SinkscopeError extends Error implements Problem {
  readonly code: ProblemCode;
  readonly file?: string;
  readonly detail?: string;
  readonly limit?: { readonly tokens: number; readonly context: number };
  readonly axes?: readonly number[];

  constructor(problem: Problem, options?: ErrorOptions) {
    super(sentence(problem.message), options);
    this.name = 'SinkscopeError';
    this.code = problem.code;
    this.file = problem.file;
    this.detail = problem.detail;
    this.limit = problem.limit;
    this.axes = problem.axes;
  }

  /** True for a `SinkscopeError`, of the given code where one is named. */
  static is(error: unknown, code?: ProblemCode): error is SinkscopeError {
    return error instanceof SinkscopeError && (code === undefined || error.code === code);
  }
}

/** Whatever was thrown, as a {@link Problem}; an unexpected error keeps its stack in `detail`. */
export function toProblem(error: unknown): Problem {
  if (error instanceof SinkscopeError) {
    const { code, message, file, detail, limit, axes } = error;
    return { code, message, file, detail, limit, axes };
  }
  const message = error instanceof Error ? error.message : String(error);
  const detail = error instanceof Error ? error.stack : undefined;
  if (error instanceof RangeError && beyondMemory.test(message)) {
    return {
      code: 'input',
      message: `What is asked for is more than can be held (${sentence(message)}); try a shorter text or a smaller file.`,
      detail,
    };
  }
  // A file that was there when it was looked at, and is gone or closed when it is read.
  if (error instanceof Error && 'syscall' in error && 'path' in error && typeof error.path === 'string') {
    const { path } = error;
    const message = sentence(
      `${path} cannot be used: ${fileReason(error)}. Check that it is there and that you may use it.`,
    );
    return { code: 'file', message, file: path, detail };
  }
  return { code: 'internal', message: sentence(`Sinkscope failed unexpectedly: ${message}`), detail };
}

/** What JavaScript says of an array or a text that is larger than it takes, or than there is memory for. */
const beyondMemory =
  /allocation failed|call stack size|^Invalid (typed )?array (buffer )?length|^Invalid string length/i;

/** On one line, with nothing hidden. */
function sentence(message: string): string {
  return visible(message.replace(/\s*[\r\n]+\s*/g, ' ').trim());
}

const reasons = new Map(
  Object.entries({
    ENOENT: 'there is no such file or folder',
    ENOTDIR: 'a part of its path is not a folder',
    EISDIR: 'it is a folder',
    EACCES: 'access is denied',
    EPERM: 'access is denied',
    EEXIST: 'something else has its name',
    EROFS: 'the disk is read-only',
    ENOSPC: 'the disk is full',
    EDQUOT: 'the disk quota is used up',
    EFBIG: 'the file would be larger than the system allows',
    ELOOP: 'its links lead back to themselves',
    ENAMETOOLONG: 'its path is longer than the system allows',
    EMFILE: 'too many files are open',
    EIO: 'the disk fails',
  }),
);

/** A whole number in a sentence, with thousands set off, as numbers are everywhere. */
export const grouped = (count: number): string => count.toLocaleString('en-US');

/** The cause of a failed file operation in words. */
export function fileReason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? `${error.code}` : '';
  return reasons.get(code) ?? (error instanceof Error ? error.message : String(error));
}
