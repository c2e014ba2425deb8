/**
 * Lit's `html`, for texts that somebody else wrote: what is put into a template as a text is `visible`. Lit itself sees to it
 * that no text is markup. The only import of Lit's own (a test holds the sources to it).
 */
import { html as template } from 'lit';
import { visible } from '../src/visible.js';

/** A text that goes into an attribute or a property as it is, for it comes back: what was typed, a path. */
export class Exact {
  constructor(readonly text: string) {}
}

export const html: typeof template = (strings, ...values) => template(strings, ...values.map(shown));

function shown(value: unknown): unknown {
  if (typeof value === 'string') return visible(value);
  return value instanceof Exact ? value.text : value;
}
