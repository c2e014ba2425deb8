/** The panel beside the editor. */
import * as vscode from 'vscode';
import { showLatest } from './latest.js';
import { titled } from './surfaces.js';
import { connect, type Host, webviewOptions } from './webview.js';

const viewType = 'sinkscope.panel';

/** The one panel. It comes back after a window reload, and closing it ends a run that is going on. */
export class Panel implements vscode.WebviewPanelSerializer, vscode.Disposable {
  private panel: vscode.WebviewPanel | undefined;
  private readonly subscriptions: vscode.Disposable[];

  constructor(private readonly host: Host) {
    this.subscriptions = [
      vscode.window.registerWebviewPanelSerializer(viewType, this),
      host.onDidChangeView(() => void this.retitle()),
    ];
  }

  get visible(): boolean {
    return this.panel?.visible ?? false;
  }

  /**
   * Brings the panel to the front, beside the editor when it is new; the focus stays with the text. The panel keeps its
   * group: a text that was opened over it, as *Go to File* does from there, goes to the group of the other texts.
   */
  async show(): Promise<void> {
    if (this.panel) {
      const { viewColumn } = this.panel;
      const { activeTextEditor } = vscode.window;
      // In the text's own group one of them covers the other, whatever `visible` still says of a text just opened.
      const covers = viewColumn !== undefined && viewColumn === activeTextEditor?.viewColumn;
      const others = vscode.window.tabGroups.all.filter((group) => group.viewColumn !== viewColumn);
      if (covers && others[0]) await moveTo(others[0].viewColumn, activeTextEditor);
      else if (covers) this.panel.reveal(vscode.ViewColumn.Beside, true);
      if (!this.panel?.visible) this.panel?.reveal(undefined, true);
      return;
    }
    const column = { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true };
    this.adopt(vscode.window.createWebviewPanel(viewType, 'Sinkscope', column, webviewOptions(this.host.extension)));
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel): Promise<void> {
    this.panel?.dispose();
    this.adopt(panel);
  }

  /** Leaves the panel open: the next extension host, after an update or a crash, takes it over. */
  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private adopt(panel: vscode.WebviewPanel): void {
    this.panel = panel;
    panel.iconPath = vscode.Uri.joinPath(this.host.extension, 'media', 'logo.png');
    const connection = connect(panel.webview, this.host);
    panel.onDidDispose(() => {
      connection.dispose();
      if (this.panel !== panel) return;
      this.panel = undefined;
      this.host.analyses.stop();
    });
    void this.retitle();
  }

  private readonly retitle = showLatest(
    () => this.host.viewState(),
    ({ document }) => {
      if (this.panel) titled(this.panel, document ? vscode.l10n.t('Sinkscope: {0}', document) : 'Sinkscope');
    },
  );
}

/** Shows a text, as it is looked at, in another column in place of its own. */
async function moveTo(column: vscode.ViewColumn, editor: vscode.TextEditor): Promise<void> {
  const { document, selections, visibleRanges, viewColumn } = editor;
  const moved = await vscode.window.showTextDocument(document, { viewColumn: column, preview: false });
  moved.selections = selections;
  const [seen] = visibleRanges;
  if (seen) moved.revealRange(seen, vscode.TextEditorRevealType.AtTop);
  const group = vscode.window.tabGroups.all.find((one) => one.viewColumn === viewColumn);
  const left = group?.tabs.filter(
    ({ input }) => input instanceof vscode.TabInputText && input.uri.toString() === document.uri.toString(),
  );
  if (left && left.length > 0) await vscode.window.tabGroups.close(left, true);
}
