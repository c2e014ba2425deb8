/**
 * What VS Code shows for the extension, beside its editors and the webviews: notifications, quick picks, the status
 * bar, trees, titles and hovers. Words go there through here alone (a test holds the sources to it), so that a name
 * from a file is neither a link nor an icon nor hidden in any of them.
 */
import * as vscode from 'vscode';
import { SinkscopeError } from '../errors.js';
import type { Markdown } from './markdown.js';
import { plain } from './plain.js';

/** A button of a notification. */
export interface NoticeAction extends vscode.MessageItem {
  readonly command: string;
  readonly argument?: unknown;
}

const notices = {
  error: vscode.window.showErrorMessage,
  warning: vscode.window.showWarningMessage,
  information: vscode.window.showInformationMessage,
} as const;

/** Shows a notification. Nothing waits for one, which may stay for as long as it likes: what is picked is done. */
export function notify(kind: keyof typeof notices, message: string, ...actions: readonly NoticeAction[]): void {
  void notices[kind](plain(message), ...actions).then(async (picked) => {
    if (picked) await vscode.commands.executeCommand(picked.command, picked.argument);
  });
}

/**
 * VS Code's command that shows where a file lies: its Explorer has the files of folders that are open, and a window in a
 * browser, or of another machine, no file manager; undefined where neither does.
 */
export function revealing(file: vscode.Uri): 'revealInExplorer' | 'revealFileInOS' | undefined {
  if (vscode.workspace.getWorkspaceFolder(file)) return 'revealInExplorer';
  const isLocal = vscode.env.uiKind === vscode.UIKind.Desktop && vscode.env.remoteName === undefined;
  return isLocal ? 'revealFileInOS' : undefined;
}

/** @throws SinkscopeError `input` where nothing in this window can show where the file lies */
export async function reveal(file: vscode.Uri): Promise<void> {
  const command = revealing(file);
  if (command) return void (await vscode.commands.executeCommand(command, file));
  throw new SinkscopeError({
    code: 'input',
    file: file.fsPath,
    message: vscode.l10n.t(
      '{0} lies outside of the folders that are open, on a machine whose files this window does not show; open its folder to see it.',
      file.fsPath,
    ),
  });
}

/** A line of a quick pick. */
export interface Choice {
  readonly label: string;
  /** Of VS Code's icons, before the label. */
  readonly icon?: string;
  readonly description?: string | undefined;
  readonly detail?: string | undefined;
  /** Ticked at first, where several can be. */
  readonly picked?: boolean;
}

/** Resolves with what is picked, or undefined when it is dismissed. */
export async function pick<T extends Choice>(
  choices: readonly T[],
  options: vscode.QuickPickOptions,
): Promise<T | undefined> {
  return (await vscode.window.showQuickPick(choices.map(item), inPlain(options)))?.choice;
}

/** As {@link pick}, of any number of them. */
export async function pickSeveral<T extends Choice>(
  choices: readonly T[],
  options: vscode.QuickPickOptions,
): Promise<readonly T[] | undefined> {
  const picked = await vscode.window.showQuickPick(choices.map(item), { ...inPlain(options), canPickMany: true });
  return picked?.map(({ choice }) => choice);
}

/**
 * As {@link pick}, of a list that grows while it is open: it begins at the current one, and what is chosen in it stays
 * where more arrives.
 *
 * @param listed what there is by now, and whether that is all
 */
export function pickGrowing<T extends Choice>(
  listed: () => Promise<{ readonly choices: readonly T[]; readonly isAll: boolean }>,
  onDidChange: vscode.Event<void>,
  {
    title,
    searching,
    isCurrent,
  }: { readonly title: string; readonly searching: string; isCurrent(choice: T): boolean },
): Promise<T | undefined> {
  const box = vscode.window.createQuickPick<ReturnType<typeof item<T>>>();
  box.title = plain(title);
  box.matchOnDescription = true;
  box.matchOnDetail = true;
  let isNew = true;
  const fill = async () => {
    const { choices, isAll } = await listed();
    const [active] = box.activeItems;
    // Else the current one would not come into sight.
    box.keepScrollPosition = !isNew;
    box.items = choices.map(item);
    const same = isNew
      ? box.items.find(({ choice }) => isCurrent(choice))
      : box.items.find(({ label, detail }) => label === active?.label && detail === active.detail);
    if (same) box.activeItems = [same];
    isNew = false;
    box.busy = !isAll;
    box.placeholder = isAll ? '' : plain(searching);
  };
  return new Promise((resolve, reject) => {
    const subscription = vscode.Disposable.from(
      box,
      onDidChange(() => void fill()),
      box.onDidAccept(() => {
        const [active] = box.activeItems;
        if (active) done(active.choice);
      }),
      box.onDidHide(() => done(undefined)),
    );
    const done = (choice: T | undefined) => {
      resolve(choice);
      subscription.dispose();
    };
    box.show();
    fill().catch(reject);
  });
}

/** Asks before what cannot be undone; true for the action. */
export async function confirmed(question: string, detail: string, action: string): Promise<boolean> {
  const options = { modal: true, detail: plain(detail) };
  return (await vscode.window.showWarningMessage(plain(question), options, action)) === action;
}

/** A name for something. Undefined when dismissed; empty where it is to have none. */
export async function enterName(prompt: string, before: string | undefined): Promise<string | undefined> {
  return vscode.window.showInputBox({ prompt, value: before === undefined ? '' : plain(before) });
}

function item<T extends Choice>(choice: T) {
  const { label, icon, description, detail, picked } = choice;
  return {
    label: `${icon === undefined ? '' : `$(${icon}) `}${plain(label)}`,
    description: description && plain(description),
    detail: detail && plain(detail),
    picked: picked ?? false,
    choice,
  };
}

const inPlain = ({ title, placeHolder, ...options }: vscode.QuickPickOptions): vscode.QuickPickOptions => ({
  ...options,
  title: title && plain(title),
  placeHolder: placeHolder && plain(placeHolder),
});

/** What a status bar item says, and what a click on it does. */
export interface Status {
  /** Of VS Code's icons. */
  readonly icon: string;
  readonly text: string;
  readonly tooltip: string;
  readonly command: string;
}

export interface StatusItem extends vscode.Disposable {
  /** Undefined: there is nothing to say. */
  show(status: Status | undefined): void;
}

export function statusItem(id: string, name: string): StatusItem {
  const item = vscode.window.createStatusBarItem(id, vscode.StatusBarAlignment.Left);
  item.name = name;
  return {
    show(status) {
      if (status === undefined) return item.hide();
      item.text = `$(${status.icon}) ${plain(status.text)}`;
      item.tooltip = plain(status.tooltip);
      item.command = status.command;
      item.show();
    },
    dispose: () => item.dispose(),
  };
}

/** What a line of a tree has beside its label. */
export interface TreeLine {
  readonly icon?: string;
  readonly description?: string;
  /** Its lines. */
  readonly tooltip?: readonly string[];
  /** What screen readers say; else the label. */
  readonly spoken?: string;
  /** Tells it from others; never shown. */
  readonly id?: string;
  /** What menus ask for. */
  readonly kind?: string;
}

export function treeItem(
  label: string,
  state: keyof typeof vscode.TreeItemCollapsibleState,
  { icon, description, tooltip, spoken, id, kind }: TreeLine = {},
): vscode.TreeItem {
  const item = new vscode.TreeItem(plain(label), vscode.TreeItemCollapsibleState[state]);
  if (icon !== undefined) item.iconPath = new vscode.ThemeIcon(icon);
  if (description !== undefined) item.description = plain(description);
  if (tooltip !== undefined) item.tooltip = tooltip.map(plain).join('\n');
  if (spoken !== undefined) item.accessibilityInformation = { label: plain(spoken) };
  if (id !== undefined) item.id = id;
  if (kind !== undefined) item.contextValue = kind;
  return item;
}

/** A hover whose links may run these commands and no other. */
export function hoverOf(text: Markdown, range: vscode.Range | undefined, commands: readonly string[]): vscode.Hover {
  return new vscode.Hover(withLinks(text, commands), range);
}

/** Markdown whose links may run these commands and no other. */
export function withLinks(text: Markdown, commands: readonly string[]): vscode.MarkdownString {
  const markdown = new vscode.MarkdownString(text);
  markdown.isTrusted = { enabledCommands: commands };
  return markdown;
}

/** The name of a panel's tab. */
export function titled(panel: vscode.WebviewPanel, title: string): void {
  panel.title = plain(title);
}
