/**
 * When files that somebody writes can be read: a script writes for seconds and in pieces, or takes a file away before it
 * puts another in its place. They are looked at again and again; what they are called here is any word for how they are
 * now that is another one after every change, undefined where the main one is gone.
 */
export interface Settling {
  readonly version: string | undefined;
  /** Looks in a row that found no change. */
  readonly quiet: number;
}

/** Milliseconds from look to look. */
export const lookEvery = 1000;
/** Looks without a change after which a write is taken to be over. */
const settledAfter = 2;
/** Looks without a change after which what is broken is taken to stay so; it is tried again after as many more. */
const patience = 10;

export const unseen: Settling = { version: undefined, quiet: 0 };

/** What is known after another look. */
export function looked({ version, quiet }: Settling, now: string | undefined): Settling {
  return now === version ? { version, quiet: quiet + 1 } : { version: now, quiet: 0 };
}

/**
 * What to do after a look: nothing, `try` whether the files can be read and run them if so, or `tell` what is wrong if
 * they cannot: a file that cannot be read may be half written, so that it is told only after a while.
 *
 * @param done version that needs nothing more
 */
export function nextStep({ version, quiet }: Settling, done: string | undefined): 'wait' | 'try' | 'tell' {
  if (version !== undefined && version === done) return 'wait';
  if (quiet >= patience) return quiet % patience === 0 ? 'tell' : 'wait';
  return version !== undefined && quiet >= settledAfter ? 'try' : 'wait';
}
