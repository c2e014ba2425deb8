/**
 * The tokens before a text, which stand for none of it, as an inlay hint: the editor measures that, so that the line
 * wraps where it should. Who has hints switched off sees them as a decoration, which is not measured.
 */
import * as vscode from 'vscode';
import type { Analyses } from './analyses.js';
import type { SettingsWatch } from './configuration.js';
import { type Decorations, showsHints } from './decorations.js';
import { prefixTold } from './hover.js';
import { contributedId } from './names.js';

export function registerPrefixHint(
  analyses: Analyses,
  decorations: Decorations,
  settings: SettingsWatch,
): vscode.Disposable {
  const changes = new vscode.EventEmitter<void>();
  let shown: string | undefined;
  const told = (document: vscode.TextDocument) => {
    const { run } = analyses;
    if (!run || run.source?.uri?.toString() !== document.uri.toString()) return undefined;
    const first = run.ranges.findIndex((range) => range !== undefined);
    return prefixTold(run.analysis, first, settings.current.thresholds);
  };
  const look = () => {
    const { uri } = analyses.run?.source ?? {};
    const document = vscode.workspace.textDocuments.find((one) => one.uri.toString() === uri?.toString());
    const prefix = document && decorations.marks(document)?.prefix;
    const now = `${uri} ${JSON.stringify(prefix)} ${prefix && document && told(document)?.value}`;
    if (now === shown) return;
    shown = now;
    changes.fire();
  };
  const provider: vscode.InlayHintsProvider = {
    onDidChangeInlayHints: changes.event,
    provideInlayHints(document, range) {
      const prefix = showsHints(document) ? decorations.marks(document)?.prefix : undefined;
      const position = prefix && document.positionAt(prefix.at);
      if (!prefix || !position || !range.contains(position)) return [];
      const part = new vscode.InlayHintLabelPart(`${prefix.selected ? '▸' : ''}${prefix.label}`);
      part.tooltip = told(document);
      part.command = {
        title: vscode.l10n.t('Show in Panel'),
        command: contributedId('showToken'),
        arguments: [0],
      };
      const hint = new vscode.InlayHint(position, [part]);
      hint.paddingRight = true;
      return [hint];
    },
  };
  return vscode.Disposable.from(
    changes,
    analyses.onDidChange(look),
    vscode.languages.registerInlayHintsProvider('*', provider),
  );
}
