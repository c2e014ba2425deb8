/** Which `tokenizer.json` was chosen for which model, in VS Code's memory: nothing is put beside anybody's file. */
import * as v from 'valibot';
import type * as vscode from 'vscode';
import { text } from '../schemas.js';

export interface Tokenizers {
  /** Path of the file that was chosen for a model; undefined: none, it has its own. */
  of(model: string): string | undefined;
  /** @param file undefined: its own again */
  choose(model: string, file: string | undefined): void;
}

const key = 'tokenizers';
const kept = v.record(text, text);

export function tokenizersIn(memory: vscode.Memento): Tokenizers {
  const all = () => {
    const found = v.safeParse(kept, memory.get(key));
    return new Map(Object.entries(found.success ? found.output : {}));
  };
  return {
    of: (model) => all().get(model),
    choose(model, file) {
      const chosen = all();
      if (file === undefined) chosen.delete(model);
      else chosen.set(model, file);
      // In memory at once; when it is on the disk is of no interest.
      void memory.update(key, Object.fromEntries(chosen));
    },
  };
}
