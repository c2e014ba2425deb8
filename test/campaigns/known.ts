/** Seeds of what campaigns have found broken. The tests run those again that are mended; the others are skipped. */
export interface Failure {
  readonly campaign: 'fuzz' | 'faults';
  readonly kind: string;
  readonly seed: number;
  /** What it did, as a verb. */
  readonly wrong: string;
  /** Until it is mended. */
  readonly open?: true;
}

export const failures: readonly Failure[] = [];

/** How sentences begin that say what does not hold yet, by the fault; to be taken away when it does. */
export const openRules: Readonly<Record<string, readonly string[]>> = {
  output: ['a stack trace', 'more than one line of error'],
};
