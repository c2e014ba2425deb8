import * as vscode from 'vscode';
import { isAsked, tintEdge } from '../analysis/tint.js';
import type { Analyses } from './analyses.js';
import type { Saliency, Surprisal } from './askedOfRun.js';
import type { SettingsWatch } from './configuration.js';
import { type Marks, type Prefix, placeMarks, signs } from './marks.js';
import { type ColorName, contributedId, saliencyColors, surprisalColors, tintColors } from './names.js';
import type { TextRange } from './ranges.js';
import { toRange } from './source.js';

/** While layers arrive or a text is edited, editors are painted at most this often, in milliseconds. */
const repaint = 80;

/** Paints the marks of the current run in every editor that shows its document. */
export class Decorations implements vscode.Disposable {
  private readonly types = decorationTypes();
  private readonly subscriptions: readonly vscode.Disposable[];
  /** By editor, the types that something is painted with: to have nothing painted is a message as well. */
  private readonly painted = new WeakMap<vscode.TextEditor, Set<vscode.TextEditorDecorationType>>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly analyses: Analyses,
    private readonly settings: SettingsWatch,
    private readonly surprisal: Surprisal,
    private readonly saliency: Saliency,
  ) {
    this.subscriptions = [
      analyses.onDidChange((change) => {
        // What an edit did not touch is moved by the editor itself, and marks that follow a text are there sooner.
        if (change.type === 'event' || change.type === 'ranges') this.timer ??= setTimeout(() => this.paint(), repaint);
        else this.paint();
        if (change.type === 'selection' && change.from === 'view') this.reveal();
      }),
      settings.onDidChange(() => this.paint()),
      surprisal.onDidChange(() => this.paint()),
      saliency.onDidChange(() => this.paint()),
      vscode.window.onDidChangeVisibleTextEditors(() => this.paint()),
    ];
  }

  /** What is marked in `document`; nothing where it is not the analyzed one. */
  marks(document: vscode.TextDocument): Marks | undefined {
    const { run, selection } = this.analyses;
    if (!run || !this.analyses.shows(document.uri)) return undefined;
    const { thresholds, tint } = this.settings.current;
    const asked = tint === 'saliency' ? this.saliency.found?.shares : this.surprisal.found;
    return placeMarks(run.analysis, run.ranges, thresholds, tint, selection, asked);
  }

  dispose(): void {
    clearTimeout(this.timer);
    for (const subscription of this.subscriptions) subscription.dispose();
    const { tints, tokens, ticks } = this.types;
    for (const type of [...Object.values(tints).flat(), ...Object.values(tokens), ...Object.values(ticks)])
      type.dispose();
  }

  private paint(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const editor of vscode.window.visibleTextEditors) this.paintEditor(editor);
  }

  private paintEditor(editor: vscode.TextEditor): void {
    const { document } = editor;
    const marks = this.marks(document);
    const painted = this.painted.get(editor) ?? new Set();
    this.painted.set(editor, painted);
    const put = (type: vscode.TextEditorDecorationType, what: readonly vscode.DecorationOptions[]) => {
      if (what.length === 0 && !painted.delete(type)) return;
      if (what.length > 0) painted.add(type);
      editor.setDecorations(type, what);
    };
    const place = (type: vscode.TextEditorDecorationType, ranges: readonly TextRange[] = []) =>
      put(
        type,
        ranges.map((range) => ({ range: toRange(document, range) })),
      );
    const { tints, tokens, ticks } = this.types;
    const { tint } = this.settings.current;
    const seen = isAsked(tint) ? tints[tint] : tints.magnitude;
    for (const types of Object.values(tints))
      for (const [i, type] of types.entries()) place(type, types === seen ? marks?.tints[i] : []);
    place(tokens.massive, marks?.massive);
    place(tokens.large, marks?.large);
    place(tokens.sink, marks?.sinks);
    place(tokens.selected, marks?.selected && [marks.selected]);
    put(tokens.prefix, marks?.prefix && !showsHints(document) ? [prefixDecoration(document, marks.prefix)] : []);
    const { massive = [], sinks = [], prefix } = marks ?? {};
    const withPrefix = (ranges: readonly TextRange[], has = false) =>
      prefix && has ? [at(prefix.at), ...ranges] : ranges;
    place(ticks.massive, withPrefix(massive, prefix?.kind === 'massive'));
    place(ticks.sink, withPrefix(sinks, prefix?.sink));
  }

  /** Brings the selected token into sight, in editors that show its document. */
  private reveal(): void {
    for (const editor of vscode.window.visibleTextEditors) {
      const marks = this.marks(editor.document);
      const range = marks?.selected ?? (marks?.prefix?.selected ? at(marks.prefix.at) : undefined);
      if (range) {
        editor.revealRange(toRange(editor.document, range), vscode.TextEditorRevealType.InCenterIfOutsideViewport);
      }
    }
  }
}

/** Whether hints are to be seen in a document. */
export function showsHints(document: vscode.TextDocument): boolean {
  const enabled = vscode.workspace.getConfiguration('editor', document).get<string>('inlayHints.enabled', 'on');
  return enabled === 'on' || enabled === 'onUnlessPressed';
}

function at(offset: number): TextRange {
  return { start: offset, end: offset };
}

/** A fixed set, reused: every type is a style sheet rule of its own (microsoft/vscode#9129). */
function decorationTypes() {
  const color = (name: ColorName) => new vscode.ThemeColor(contributedId(name));
  const type = (options: vscode.DecorationRenderOptions) =>
    vscode.window.createTextEditorDecorationType({
      rangeBehavior: vscode.DecorationRangeBehavior.ClosedClosed,
      ...options,
    });
  // The line below is seen where contrast is high alone: elsewhere its colour is none.
  const tinted = (name: ColorName, index: number) =>
    type({
      backgroundColor: color(name),
      borderStyle: 'solid',
      borderWidth: `0 0 ${tintEdge(index + 1)}px`,
      borderColor: color('tintEdge'),
    });
  const sign = (contentText: string, name: ColorName) => ({ contentText, color: color(name), margin: '0 1px' });
  return {
    /** Each has colours of its own; one of them is seen at a time. */
    tints: {
      magnitude: tintColors.map(tinted),
      surprisal: surprisalColors.map(tinted),
      saliency: saliencyColors.map(tinted),
    },
    tokens: {
      massive: type({
        before: sign(signs({ kind: 'massive' }), 'massive'),
        border: '1px solid',
        borderColor: color('massive'),
        borderRadius: '3px',
      }),
      large: type({
        before: sign(signs({ kind: 'large' }), 'large'),
        border: '1px dotted',
        borderColor: color('large'),
        borderRadius: '3px',
      }),
      sink: type({
        before: sign(signs({ sink: true }), 'sink'),
        textDecoration: 'underline 1px double var(--vscode-sinkscope-sink)',
      }),
      selected: type({ outline: '2px solid', outlineColor: color('selected') }),
      /** Where hints are not shown; every one has a text of its own. */
      prefix: type({}),
    },
    /** In the overview ruler. */
    ticks: {
      massive: type({ overviewRulerColor: color('massive'), overviewRulerLane: vscode.OverviewRulerLane.Left }),
      sink: type({ overviewRulerColor: color('sink'), overviewRulerLane: vscode.OverviewRulerLane.Right }),
    },
  };
}

function prefixDecoration(
  document: vscode.TextDocument,
  { at: offset, label, kind, sink, selected }: Prefix,
): vscode.DecorationOptions {
  const color = new vscode.ThemeColor(
    kind ? contributedId(kind) : sink ? contributedId('sink') : 'descriptionForeground',
  );
  return {
    range: toRange(document, at(offset)),
    renderOptions: {
      before: {
        contentText: `\u00a0${label}\u00a0`,
        color,
        border: `${selected ? '2px' : '1px'} solid`,
        borderColor: selected ? new vscode.ThemeColor(contributedId('selected')) : color,
        margin: '0 4px 0 0',
      },
    },
  };
}
