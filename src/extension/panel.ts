/** The panel beside the editor. */
import * as vscode from 'vscode';
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

  /** Brings the panel to the front, beside the editor when it is new; the focus stays where it is. */
  show(): void {
    if (this.panel) {
      // In the text's own group one of them covers the other, whatever `visible` still says of a text just opened.
      const covers = this.panel.viewColumn === vscode.window.activeTextEditor?.viewColumn;
      if (covers) this.panel.reveal(vscode.ViewColumn.Beside, true);
      else if (!this.panel.visible) this.panel.reveal(undefined, true);
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

  private async retitle(): Promise<void> {
    const { document } = await this.host.viewState();
    if (this.panel) titled(this.panel, document ? vscode.l10n.t('Sinkscope: {0}', document) : 'Sinkscope');
  }
}
