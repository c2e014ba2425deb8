import { sep } from 'node:path';
import * as v from 'valibot';
import * as vscode from 'vscode';
import { tintChoices } from '../analysis/tint.js';
import { parseSettings, type Settings } from './settings.js';

/** What was chosen in a view or a list, and goes before the settings until they say something else. */
const choice = v.object({
  model: v.optional(v.pipe(v.string(), v.nonEmpty())),
  bos: v.optional(v.picklist(['auto', 'on', 'off'])),
  tint: v.optional(v.picklist(tintChoices)),
});
type Choice = v.InferOutput<typeof choice>;
const choices = ['model', 'bos', 'tint'] as const;

/**
 * The settings as they are now, checked once per change; a value that does not fit is told to the user once. Choices are
 * kept in VS Code's own memory: trying a model writes nothing into anybody's folder.
 */
export class SettingsWatch implements vscode.Disposable {
  current: Settings;
  private readonly changes = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changes.event;
  private readonly subscriptions: readonly vscode.Disposable[];
  /** Problems that were shown and are still there. */
  private shown: readonly string[] = [];

  /** @param memory of this workspace, or of the user where no folder is open */
  constructor(
    private readonly memory: vscode.Memento,
    private readonly warn: (problem: string) => void,
  ) {
    this.current = this.read();
    this.subscriptions = [
      vscode.workspace.onDidChangeConfiguration((change) => {
        if (!change.affectsConfiguration('sinkscope')) return;
        // Who changes a setting wants it in force.
        const said = choices.filter((key) => change.affectsConfiguration(`sinkscope.${key}`));
        this.choose(Object.fromEntries(said.map((key) => [key, undefined])));
      }),
      vscode.workspace.onDidGrantWorkspaceTrust(() => this.reread()),
    ];
  }

  /** Puts a choice into force at once. */
  choose(part: Choice): void {
    // In memory at once; when it is on the disk is of no interest.
    void this.memory.update('choice', { ...this.choice, ...part });
    this.reread();
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
    this.changes.dispose();
  }

  private get choice(): Choice {
    const kept = v.safeParse(choice, this.memory.get('choice') ?? {});
    return kept.success ? kept.output : {};
  }

  private reread(): void {
    this.current = this.read();
    this.changes.fire();
  }

  private read(): Settings {
    const section = vscode.workspace.getConfiguration('sinkscope');
    const { settings, problems } = parseSettings((key) => section.get(key));
    for (const problem of problems) if (!this.shown.includes(problem)) this.warn(problem);
    this.shown = problems;
    const { model = settings.model, bos = settings.bos, tint = settings.tint } = this.choice;
    return { ...settings, model: isOutOfBounds(model) ? settings.model : model, bos, tint };
  }
}

/** Whether a path leads into a folder that is not trusted, of which nothing is read. */
function isOutOfBounds(path: string): boolean {
  const folders = vscode.workspace.isTrusted ? [] : (vscode.workspace.workspaceFolders ?? []);
  return folders.some(({ uri }) => path.startsWith(uri.fsPath + sep));
}
