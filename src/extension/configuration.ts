import * as vscode from 'vscode';
import { parseSettings, type Settings } from './settings.js';

/** The settings as they are now, checked once per change; a value that does not fit is told to the user once. */
export class SettingsWatch implements vscode.Disposable {
  current: Settings;
  private readonly changes = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changes.event;
  private readonly subscription: vscode.Disposable;
  private writing: Promise<unknown> = Promise.resolve();
  /** Problems that were shown and are still there. */
  private shown: readonly string[] = [];

  constructor(private readonly warn: (problem: string) => void) {
    this.current = this.read();
    this.subscription = vscode.workspace.onDidChangeConfiguration((change) => {
      if (!change.affectsConfiguration('sinkscope')) return;
      this.current = this.read();
      this.changes.fire();
    });
  }

  /** Sets a value for this workspace, or for the user where no trusted folder is open. */
  async update(key: 'model' | 'bos', value: string): Promise<void> {
    const local = vscode.workspace.isTrusted && vscode.workspace.workspaceFolders !== undefined;
    const target = local ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global;
    const writing = vscode.workspace.getConfiguration('sinkscope').update(key, value, target);
    this.writing = Promise.allSettled([this.writing, writing]);
    await writing;
  }

  /** The settings with everything in force that was chosen before: writing them takes VS Code a while. */
  async settled(): Promise<Settings> {
    await this.writing;
    return this.current;
  }

  dispose(): void {
    this.subscription.dispose();
    this.changes.dispose();
  }

  private read(): Settings {
    const section = vscode.workspace.getConfiguration('sinkscope');
    const { settings, problems } = parseSettings((key) => section.get(key));
    for (const problem of problems) if (!this.shown.includes(problem)) this.warn(problem);
    this.shown = problems;
    return settings;
  }
}
