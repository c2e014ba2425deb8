/**
 * *Continue Prompt*: the experiment that writes on, with what it writes as ghost text behind the cursor while the panel
 * has its tokens by layers, sinks and massive entries as they form. VS Code's own keys take ghost text, all of it or a
 * word; Escape throws it away. Stopping the experiment leaves what is there by then.
 */
import * as v from 'valibot';
import * as vscode from 'vscode';
import { baseName } from '../analysis/label.js';
import { SinkscopeError } from '../errors.js';
import { generate } from '../experiments/generate/index.js';
import { afterEdits, type Continuation, rest } from './continuation.js';
import type { Experiments, KeptRun } from './experiments.js';
import { type ContinuationCommand, continuationCommands, contributedId } from './names.js';
import type { Panel } from './panel.js';
import { type Action, registerCommand } from './register.js';
import type { Reports } from './reports.js';

/** Of the experiment's JSON, what new tokens add. */
const written = v.object({ text: v.string() });

interface Shown extends Continuation {
  readonly document: vscode.TextDocument;
  /** Of the experiment that writes it. */
  readonly run: number;
}

/** Registers the commands, and what gives VS Code the ghost text. */
export function registerContinuing(experiments: Experiments, panel: Panel, reports: Reports): vscode.Disposable {
  let shown: Shown | undefined;

  const put = (next: Shown | undefined) => {
    const isOther = (next === undefined) !== (shown === undefined);
    shown = next;
    if (isOther) void vscode.commands.executeCommand('setContext', contributedId('continuing'), next !== undefined);
  };
  const isWriting = (run: number) => experiments.runs.some((one) => one.number === run && one.status === 'running');
  /** Ends the experiment where it still writes what is shown. */
  const stop = (one: Shown) => isWriting(one.run) && experiments.stop();

  const follow = ({ number, json, status }: KeptRun) => {
    if (shown?.run !== number) return;
    const read = v.safeParse(written, json);
    const text = read.success ? read.output.text : shown.text;
    // What was taken stays as it is: its end may be another one where characters have several tokens.
    if (text.startsWith(shown.text.slice(0, shown.taken))) put({ ...shown, text });
    if (status !== 'running' && rest(shown) === '') return put(undefined);
    // Where the cursor is elsewhere it is shown when that comes back.
    if (rest(shown) !== '' && isAt(vscode.window.activeTextEditor, shown))
      void vscode.commands.executeCommand('editor.action.inlineSuggest.trigger');
  };

  const actions: Readonly<Record<ContinuationCommand, Action>> = {
    async continuePrompt() {
      const editor = vscode.window.activeTextEditor;
      const { text, end } = editor ? promptOf(editor) : { text: '', end: 0 };
      if (!editor || text === '') {
        const message = vscode.l10n.t(
          'There is no text before the cursor to continue; write some, or open a document.',
        );
        throw new SinkscopeError({ code: 'input', message });
      }
      if (shown) stop(shown);
      const { document } = editor;
      const named = { name: baseName(document.fileName), text };
      // Of a text that is too long, what stands right before the cursor.
      const running = experiments.run(generate, async () => ({ text: named }), 'last');
      const run = experiments.runs[0]?.number ?? 0;
      put({ document, at: end, text: '', taken: 0, run });
      const { status, problem } = await running;
      if (status === 'failed' && problem) reports.failed(problem, panel.visible);
    },
    async acceptContinuation() {
      if (!shown) return;
      const edit = new vscode.WorkspaceEdit();
      edit.insert(shown.document.uri, shown.document.positionAt(shown.at), rest(shown));
      await vscode.workspace.applyEdit(edit);
    },
    async discardContinuation() {
      if (shown) stop(shown);
      put(undefined);
      await vscode.commands.executeCommand('editor.action.inlineSuggest.hide');
    },
  };

  return vscode.Disposable.from(
    ...continuationCommands.map((name) => registerCommand(contributedId(name), actions[name], reports)),
    experiments.onDidChange((change) => {
      if (change.type === 'run') follow(change.run);
    }),
    vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      if (!shown || document !== shown.document) return;
      const now = afterEdits(shown, contentChanges);
      // Who takes all of it wants no more.
      if (!now || (now.taken > shown.taken && rest(now) === '')) {
        stop(shown);
        put(undefined);
      } else put({ ...shown, ...now });
    }),
    vscode.workspace.onDidCloseTextDocument((document) => {
      if (!shown || document !== shown.document) return;
      stop(shown);
      put(undefined);
    }),
    vscode.languages.registerInlineCompletionItemProvider(
      { pattern: '**' },
      {
        provideInlineCompletionItems(document, position) {
          if (!shown || document !== shown.document || document.offsetAt(position) !== shown.at) return [];
          const text = rest(shown);
          return text === '' ? [] : [new vscode.InlineCompletionItem(text, new vscode.Range(position, position))];
        },
      },
    ),
  );
}

/** The selection, or all that is before the cursor, and where that ends. */
function promptOf({ document, selection }: vscode.TextEditor): { readonly text: string; readonly end: number } {
  const start = selection.isEmpty ? new vscode.Position(0, 0) : selection.start;
  return { text: document.getText(new vscode.Range(start, selection.end)), end: document.offsetAt(selection.end) };
}

/** Whether the cursor is where it is to stand. */
const isAt = (editor: vscode.TextEditor | undefined, { document, at }: Shown) =>
  editor?.document === document && document.offsetAt(editor.selection.active) === at;
