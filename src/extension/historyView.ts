/** The runs that were kept, in the side bar: a click shows one again, and one is pinned to hold the others against it. */
import * as vscode from 'vscode';
import { SinkscopeError } from '../errors.js';
import type { RunNote } from '../history/history.js';
import type { Analyses } from './analyses.js';
import { contributedId, type HistoryCommand, historyCommands } from './names.js';
import type { Panel } from './panel.js';
import { type Action, registerCommand } from './register.js';
import type { Reports } from './reports.js';
import { type Runs, runTitle } from './runs.js';
import { confirmed, enterName, pick, treeItem } from './surfaces.js';
import { numberInWords } from './words.js';

interface Parts {
  readonly runs: Runs;
  readonly analyses: Analyses;
  readonly panel: Panel;
  readonly reports: Reports;
  readonly hasExperiments: () => boolean;
  /** What is stored of experiments goes with the rest. */
  readonly forgetExperiments: () => Promise<void>;
}

/** Menus give the line, programs an id. */
type Given = RunNote | string | undefined;

export function registerHistory({
  runs,
  analyses,
  panel,
  reports,
  hasExperiments,
  forgetExperiments,
}: Parts): vscode.Disposable {
  const changes = new vscode.EventEmitter<undefined>();
  const iconOf = ({ id }: RunNote): string => {
    if (id === runs.pinned?.note.id) return 'pinned';
    return id === analyses.run?.id ? 'circle-filled' : 'circle-outline';
  };
  const provider: vscode.TreeDataProvider<RunNote> = {
    onDidChangeTreeData: changes.event,
    getChildren: async (note) => (note ? [] : [...(await runs.list())]),
    getTreeItem(note) {
      const isPinned = note.id === runs.pinned?.note.id;
      const isShown = note.id === analyses.run?.id;
      const state = isPinned ? vscode.l10n.t('pinned') : isShown ? vscode.l10n.t('shown') : undefined;
      const item = treeItem(runTitle(note), 'None', {
        icon: iconOf(note),
        description: [state, conditionsOf(note)].filter((one) => one !== undefined).join(' · '),
        tooltip: [note.excerpt, conditionsOf(note), timeOf(note), note.sentence].filter((one) => one !== ''),
        spoken: [runTitle(note), state, conditionsOf(note), timeOf(note)].filter((one) => one !== undefined).join(', '),
        id: note.id,
        kind: isPinned ? 'pinned-run' : 'run',
      });
      item.command = { title: vscode.l10n.t('Open'), command: contributedId('openRun'), arguments: [note.id] };
      return item;
    },
  };

  const changed = () => {
    void vscode.commands.executeCommand('setContext', contributedId('pinned'), runs.pinned !== undefined);
    changes.fire(undefined);
  };

  const idOf = (given: Given): string | undefined => (typeof given === 'object' ? given.id : given);
  /** What was given, or else is chosen of all, by name, text, model or time. */
  const chosen = async (given: Given, title: string): Promise<string | undefined> => {
    const id = idOf(given);
    if (id !== undefined) return id;
    const notes = await runs.list();
    if (notes.length === 0) throw nothingKept();
    const choices = notes.map((note) => ({
      label: runTitle(note),
      icon: iconOf(note),
      description: `${conditionsOf(note)} · ${timeOf(note)}`,
      detail: note.excerpt === '' ? note.sentence : `“${note.excerpt}”`,
      id: note.id,
    }));
    return (await pick(choices, { title, matchOnDescription: true, matchOnDetail: true }))?.id;
  };

  const open = async (given: Given): Promise<void> => {
    const id = await chosen(given, vscode.l10n.t('Open an earlier run'));
    if (id === undefined) return;
    await panel.show();
    if (id !== analyses.run?.id) await runs.open(id);
  };

  const actions: Readonly<Record<HistoryCommand, Action>> = {
    openRun: open,
    showRun: open,
    /** Of a line of the history; the panel and the palette mean what is shown. */
    async pinRun(given: Given) {
      await panel.show();
      await runs.pin(idOf(given));
    },
    unpinRun: () => runs.unpin(),
    async renameRun(given: Given, named?: string) {
      const id = await chosen(given, vscode.l10n.t('Name a run'));
      const note = (await runs.list()).find((one) => one.id === id);
      if (!note) return;
      const name = named ?? (await enterName(vscode.l10n.t('A run with a name stays until it is deleted'), note.name));
      if (name !== undefined) await runs.rename(note.id, name);
    },
    async deleteRun(given: RunNote | string) {
      await runs.remove(typeof given === 'string' ? given : given.id);
    },
    /** A program says that it means it; a person is asked, for a name was given so that a run stays. */
    async clearHistory(isMeant?: unknown) {
      const { length } = await runs.list();
      if (length === 0 && isMeant !== true && !hasExperiments()) throw nothingKept();
      const isSure = isMeant === true || (await confirmed(...clearing(length)));
      if (!isSure) return;
      await runs.clear();
      await forgetExperiments();
    },
  };

  return vscode.Disposable.from(
    changes,
    vscode.window.createTreeView(contributedId('history'), { treeDataProvider: provider }),
    runs.onDidChange(changed),
    ...historyCommands.map((name) => registerCommand(contributedId(name), actions[name], reports)),
  );
}

const nothingKept = () => {
  const message = vscode.l10n.t('No run is kept for this folder yet; analyze a text first.');
  return new SinkscopeError({ code: 'input', message });
};

/** The question, what goes, and the button. */
const clearing = (count: number): [string, string, string] => [
  vscode.l10n.t('Delete all runs that are kept for this folder ({0}), and what its experiments found?', count),
  vscode.l10n.t(
    'Runs with a name and the pinned one go as well. What is shown stays on screen; files stay as they are.',
  ),
  vscode.l10n.t('Delete'),
];

/** Without these a run says nothing. */
function conditionsOf({ model, bos, tokens }: RunNote): string {
  const prefix = bos === undefined ? undefined : bos ? vscode.l10n.t('BOS on') : vscode.l10n.t('BOS off');
  const count = tokens === 1 ? vscode.l10n.t('1 token') : vscode.l10n.t('{0} tokens', numberInWords(tokens));
  return [model.name, prefix, count].filter((one) => one !== undefined).join(' · ');
}

function timeOf({ at }: RunNote): string {
  return new Date(at).toLocaleString(vscode.env.language, { dateStyle: 'medium', timeStyle: 'short' });
}
