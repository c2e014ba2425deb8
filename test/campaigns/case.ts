/** What a case of fuzzing is. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type fc from 'fast-check';
import { root } from './watch.js';

/** What stands in a file's place: a file by its bytes or as a copy, or something else than a file. */
export type Content = Uint8Array | { readonly copy: string } | { readonly special: Special };
export type Special = (typeof specials)[number];
export const specials = ['pipe', 'folder', 'link to itself', 'link to endless zeros', 'nothing'] as const;

export type Prompt =
  | { readonly text: string }
  | { readonly ids: readonly number[] }
  /** Names of files. */
  | { readonly feeds: string }
  | { readonly image: string };

/** What is asked; files are named, all lie in one folder, those of a corpus in one below it. */
export type Ask =
  | { readonly analyze: string; readonly prompt: Prompt; readonly save: boolean }
  | { readonly inspect: string }
  | { readonly survey: string; readonly corpus: string }
  | { readonly merge: readonly string[] };

/** What the command line alone can be asked. */
export type CommandAsk = Exclude<Ask, { analyze: unknown } | { inspect: unknown }>;

/** Files, and what is asked about them. */
export interface Case {
  readonly files: Readonly<Record<string, Content>>;
  readonly ask: Ask;
}

/** A kind of input: a recipe, which is plain data and can be made smaller, and what is made of it. */
export interface Kind {
  readonly recipe: fc.Arbitrary<unknown>;
  made(recipe: unknown): Case;
}

/** A kind, checked where it is written: recipes come from nowhere but its own arbitrary. */
export function kind<R>(recipe: fc.Arbitrary<R>, made: (recipe: R) => Case): Kind {
  return { recipe, made: (value) => made(value as R) };
}

export const path = (file: string) => join(root, file);
export const json = (file: string): unknown => JSON.parse(readFileSync(path(file), 'utf8'));
