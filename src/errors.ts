/**
 * What went wrong, as plain data that crosses process borders unchanged.
 *
 * `message` is one sentence for a person: the file or part, the cause, and what to do.
 * `code` is for programs and tests; `file` is the file at fault, where there is one;
 * `detail` is what the log gets (an ONNX Runtime message, a stack) and is never shown alone.
 */
export interface Problem {
  readonly code: ProblemCode;
  readonly message: string;
  readonly file?: string;
  readonly detail?: string;
  /** With `too-long`: what was asked for and what fits, in tokens, so that a part can be chosen. */
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
  | 'internal';

/** The one error class of the project: a {@link Problem} that can be thrown. */
export class SinkscopeError extends Error implements Problem {
  readonly code: ProblemCode;
  readonly file?: string;
  readonly detail?: string;
  readonly limit?: { readonly tokens: number; readonly context: number };
  readonly axes?: readonly number[];

  constructor(problem: Problem, options?: ErrorOptions) {
    super(problem.message, options);
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
  return { code: 'internal', message: `Sinkscope failed unexpectedly: ${message}`, detail };
}
