/**
 * What the models of a list are, before one of them is opened: what each takes, what its weights are, or why it cannot be
 * read. Files are read one after another in a process that ends with the last, and only where the window is trusted.
 */
import * as vscode from 'vscode';
import { bytesByType } from '../analysis/precision.js';
import { pixelInput } from '../anatomy/pictures.js';
import type { Description } from '../engine/contract/description.js';
import { Engine } from '../engine/host/engine.js';
import { toProblem } from '../errors.js';
import type { FoundModel } from '../models/find.js';
import type { Tokenizers } from './tokenizers.js';

export interface ModelKind {
  readonly icon: string;
  /** Parts of a line. */
  readonly words: readonly string[];
  /** Why it cannot be run. */
  readonly problem: string | undefined;
  /** Tokens that it takes at once, where its files say. */
  readonly context?: number | undefined;
}

export interface ModelKinds extends vscode.Disposable {
  /** Undefined as long as it is not known; it is read then, and `onDidChange` tells. */
  of(model: FoundModel): ModelKind | undefined;
  readonly onDidChange: vscode.Event<void>;
}

/** @param child the bundle of the engine's process */
export function modelKinds(child: string, tokenizers: Tokenizers): ModelKinds {
  const changes = new vscode.EventEmitter<void>();
  const known = new Map<string, ModelKind>();
  const waiting = new Map<string, FoundModel>();
  let reader: Engine | undefined;
  // Another file of the same name is another model.
  const keyOf = ({ file, bytes }: FoundModel) => `${file} ${bytes} ${tokenizers.of(file) ?? ''}`;

  const readAll = async () => {
    if (reader) return;
    const own = new Engine(child);
    own.useTokenizers(tokenizers.of);
    reader = own;
    for (const [key, model] of waiting) {
      if (reader !== own) return;
      const kind = await own.describe(model.file).then(kindOf, (error) => unreadable(toProblem(error).message));
      waiting.delete(key);
      known.set(key, kind);
      if (reader === own) changes.fire();
    }
    release();
  };
  const release = () => {
    reader?.dispose();
    reader = undefined;
  };
  return {
    of(model) {
      const key = keyOf(model);
      if (!known.has(key) && vscode.workspace.isTrusted) {
        waiting.set(key, model);
        void readAll();
      }
      return known.get(key);
    },
    onDidChange: changes.event,
    dispose() {
      waiting.clear();
      release();
      changes.dispose();
    },
  };
}

function kindOf({ anatomy, weights, tokenizer }: Description): ModelKind {
  const t = vscode.l10n.t;
  const [type] = bytesByType(weights).keys();
  const precision = type === undefined ? [] : [type];
  if (!anatomy.found)
    return { icon: 'question', words: [t('no transformer'), ...precision], problem: anatomy.problem.message };
  const { anatomy: found, model } = anatomy.inspection;
  const { inputs } = found;
  if (inputs.some(({ role }) => role === 'token-ids')) {
    const without = tokenizer === undefined ? [t('no tokenizer')] : [];
    return {
      icon: 'whole-word',
      words: [t('text'), ...precision, ...without],
      problem: undefined,
      context: model.context,
    };
  }
  if (pixelInput(inputs)) return { icon: 'file-media', words: [t('pictures'), ...precision], problem: undefined };
  return { icon: 'symbol-array', words: [t('tensors'), ...precision], problem: undefined };
}

const unreadable = (problem: string): ModelKind => ({
  icon: 'error',
  words: [vscode.l10n.t('cannot be read')],
  problem,
});
