/** What a person is asked before a tool runs a model or opens a file for an agent. Pure. */
import * as v from 'valibot';
import { named } from '../visible.js';
import type { Tool } from './tool.js';

/** Names and paths that a message has room for. */
const most = 6;

/**
 * What the call would do; undefined for a tool that only looks at what is there already.
 *
 * @param args as they came, of any form
 */
export function confirmation(
  { title, inputs }: Pick<Tool, 'title' | 'inputs'>,
  args: unknown,
): { readonly title: string; readonly message: string } | undefined {
  const opens = Object.entries(inputs).filter(
    ([, input]) => /^(text|texts|files|model|models)$/.test(input.kind) || ('reads' in input && input.reads),
  );
  if (opens.length === 0) return undefined;
  const given = v.safeParse(v.record(v.string(), v.unknown()), args);
  const told = opens.flatMap(([name, { kind }]) => {
    const value = given.success ? given.output[name] : undefined;
    return value === undefined
      ? []
      : [`${kind === 'model' || kind === 'models' ? 'model' : 'input'} ${inWords(value)}`];
  });
  return {
    title: `Sinkscope: ${title}`,
    message: `Runs or reads on this machine: ${told.join('; ') || 'nothing yet'}. The result quotes parts of it and goes to the language model you talk to.`,
  };
}

/** `"a text…"`, paths, or what an object of texts and files holds. */
function inWords(value: unknown): string {
  if (typeof value === 'string') return named(value);
  if (Array.isArray(value)) {
    const more = value.length > most ? ` and ${value.length - most} more` : '';
    return `${value.slice(0, most).map(inWords).join(', ')}${more}`;
  }
  if (typeof value === 'object' && value !== null) return Object.values(value).map(inWords).join(', ');
  return named(`${value}`);
}
