/** What a person can do, from the palette, menus, keys, the panel and links. */
import { posix } from 'node:path';
import * as vscode from 'vscode';
import { reselected } from '../analysis/selection.js';
import type { Tint } from '../analysis/tint.js';
import type { RunRequest } from '../engine/contract/events.js';
import { SinkscopeError } from '../errors.js';
import type { FoundModel } from '../models/find.js';
import type { Analyses, ShownRun } from './analyses.js';
import { chooseAxis, chooseModel, choosePart, chooseSelections, enterIds, enterTokenName } from './choices.js';
import type { SettingsWatch } from './configuration.js';
import type { Decorations } from './decorations.js';
import { openDocumentation } from './documentation.js';
import { type Experiments, sentRun } from './experiments.js';
import { exportBytes, exportJson, exportReport, exportTensors, withoutModel } from './export.js';
import { feedsFile, pictureFile, takesIds, takesPictures } from './files.js';
import type { Live } from './live.js';
import { nextMark } from './marks.js';
import type { Models } from './models.js';
import { givenModel, type ModelGiven } from './modelsView.js';
import { type AnalysisCommand, analysisCommands, contributedId } from './names.js';
import type { Panel } from './panel.js';
import { type Action, registerCommand } from './register.js';
import type { Reports } from './reports.js';
import { readResult } from './resultEditor.js';
import type { Runs } from './runs.js';
import { chatAsked, prefixAsked } from './settings.js';
import { chosenSource, documentSource, rangeSource, type Source, selectedSources } from './source.js';
import { reveal } from './surfaces.js';
import type { Watch } from './watch.js';

export interface Parts {
  /** Where the extension is installed. */
  readonly extension: vscode.Uri;
  readonly analyses: Analyses;
  readonly decorations: Decorations;
  readonly models: Models;
  readonly settings: SettingsWatch;
  readonly panel: Panel;
  readonly reports: Reports;
  readonly watch: Watch;
  readonly live: Live;
  readonly experiments: Experiments;
  readonly runs: Runs;
  /** The bundle of the engine's process. */
  readonly child: string;
}

/** What a run is about: its prompt, where that is from, and which part of it is run. */
type Subject = Pick<RunRequest, 'prompt' | 'window'> & {
  readonly source: Source | undefined;
  /** The residual stream that was chosen, of the model that has it. */
  readonly chosen?: Pick<RunRequest, 'model' | 'stream'>;
  /** The file whose editor it is run in, and shown; undefined: the chosen model, in the panel. */
  readonly tried?: string;
};

/** Registers the commands of an analysis. */
export function registerCommands({
  extension,
  analyses,
  decorations,
  models,
  settings,
  panel,
  reports,
  watch,
  live,
  experiments,
  runs,
  child,
}: Parts): vscode.Disposable {
  /** How often all was cleared: what was asked for before that is not run after it. */
  let cleared = 0;

  /** Runs `subject` with the model and settings as they are now, and asks which part when it is too long. */
  const run = async (subject: Subject): Promise<void> => {
    const before = cleared;
    const { prompt, window, source, chosen, tried } = subject;
    const { bos, lineEnds, attention, memory, threads } = settings.current;
    const chat = 'text' in prompt ? chatAsked(settings.current) : undefined;
    const file = tried ?? (await models.chosenFor(prompt)).file;
    const stream = chosen?.model === file ? chosen.stream : undefined;
    if (cleared !== before) return;
    const asked = { bos: prefixAsked(bos), lineEnds, chat, attention, memory, threads };
    const follows = live.on && source !== undefined;
    const request = { model: file, stream, prompt, window, ...asked, ...(follows && { live: true }) };
    const ended = analyses.analyze(request, source);
    // After it has begun, so that the panel's first word is of it.
    if (tried === undefined) await panel.show();
    const analysis = await ended;
    const problem = analysis?.problem;
    if (problem?.code === 'too-long' && problem.limit && window === undefined) {
      const cursor = source && cursorIn(source);
      const part = await choosePart(problem.limit, problem.message, cursor !== undefined);
      if (part === 'first' || part === 'last') await run({ ...subject, window: part });
      else if (part === 'cursor' && source && cursor !== undefined) await run(fromCursor(source, cursor));
    } else if (problem?.axes && 'feeds' in prompt) {
      const tokenAxis = await chooseAxis(problem.axes);
      if (tokenAxis !== undefined) await run({ ...subject, prompt: { ...prompt, tokenAxis } });
    } else if (problem) {
      reports.failed(problem, panel.visible || tried !== undefined);
    }
  };

  const analyzeText = (source: Source) => {
    if (source.text === '' && !live.on) {
      throw new SinkscopeError({
        code: 'input',
        message: vscode.l10n.t('This document is empty; type or open a text to analyze it.'),
      });
    }
    return run({ prompt: { text: source.text }, source });
  };

  /** The run shown, to be done again on its text as it is now. */
  const subjectAgain = async ({ request, source, range, file }: ShownRun): Promise<Subject> => {
    if (file !== undefined) throw withoutModel(file);
    const { model, stream } = request;
    if (!source) return { ...request, source, chosen: { model, stream } };
    const document = await vscode.workspace.openTextDocument(source.uri);
    const now = source.scope === 'document' ? documentSource(document) : rangeSource(document, source.scope, range);
    return { prompt: { text: now.text }, window: request.window, source: now, chosen: { model, stream } };
  };

  /** Asks for another model where none that is chosen takes pictures; false when there is none in the end. */
  const haveVisionModel = async (): Promise<boolean> => {
    for (const chosen of [models.forPictures, await models.chosen().catch(() => undefined)]) {
      if (!chosen || !(await takesPictures(analyses.engine, chosen.file))) continue;
      models.forPictures = chosen;
      return true;
    }
    const options = { location: vscode.ProgressLocation.Window, title: vscode.l10n.t('Looking for vision models') };
    const found = await vscode.window.withProgress(options, async () => {
      const all = await models.all();
      const taking = await Promise.all(all.map(({ file }) => takesPictures(analyses.engine, file)));
      return all.filter((_, i) => taking[i]);
    });
    if (found.length === 0) {
      throw new SinkscopeError({
        code: 'input',
        message: vscode.l10n.t(
          'No model that was found takes pictures; add the folder of a vision model (ViT, DINOv2, CLIP …) to the setting sinkscope.models.',
        ),
      });
    }
    const files = new Set(found.map(({ file }) => file));
    const picked = await chooseModel(models, undefined, ({ file }) => files.has(file));
    models.forPictures = picked;
    return picked !== undefined;
  };

  /** What a menu or a program means. */
  const listedModel = async (given: ModelGiven) => {
    const path = givenModel(given);
    const isIt = ({ file }: FoundModel) => file === path;
    // What is pointed at may be where the search has not been yet.
    const found = (await models.list()).find(isIt) ?? (await models.all()).find(isIt);
    if (found) return found;
    const message = vscode.l10n.t('{0} is not among the models found; name it in sinkscope.models.', path);
    throw new SinkscopeError({ code: 'file', file: path, message });
  };

  /** What is shown, with what has just been chosen. */
  const again = async (): Promise<void> => {
    if (!analyses.run || analyses.run.file !== undefined) return;
    const before = cleared;
    const subject = await subjectAgain(analyses.run);
    if (cleared === before) await run(subject);
  };

  /** Of a picture that is shown, this is the model for pictures. */
  const take = (model: FoundModel): void => {
    if (analyses.run && 'image' in analyses.run.request.prompt) models.forPictures = model;
    else models.choose(model);
  };

  const chosenToRun = async (model: FoundModel): Promise<void> => {
    take(model);
    await again();
  };

  /** Of what is given (panel, menus), or of what the user picks. */
  const chooseAndRun = async (given?: ModelGiven): Promise<void> => {
    const picked =
      given === undefined
        ? await chooseModel(models, await models.chosen().catch(() => undefined))
        : await listedModel(given);
    if (picked) await chosenToRun(picked);
  };

  /** Puts the cursor on another marked token, where the hover says, to screen readers too, what it is. */
  const goToMark = async (back: boolean): Promise<void> => {
    const editor = vscode.window.activeTextEditor;
    const marks = editor && decorations.marks(editor.document);
    const place = marks && nextMark(marks, editor.document.offsetAt(editor.selection.active), back);
    if (!editor || place === undefined) {
      throw new SinkscopeError({
        code: 'input',
        message: vscode.l10n.t('No token is marked here; analyze this document first.'),
      });
    }
    const at = editor.document.positionAt(place);
    editor.selection = new vscode.Selection(at, at);
    editor.revealRange(editor.selection, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
    const ofPrefix = place === marks?.prefix?.at ? marks.prefix.marked : undefined;
    const token = ofPrefix ?? analyses.tokenAt(editor.document.uri, place);
    if (token !== undefined) analyses.select(reselected(analyses.selection, { token }), 'editor');
    await vscode.commands.executeCommand('editor.action.showHover');
  };

  const shown = (): ShownRun => {
    if (analyses.run) return analyses.run;
    throw new SinkscopeError({
      code: 'input',
      message: vscode.l10n.t('Nothing was analyzed yet; run Analyze Prompt in an editor first.'),
    });
  };

  const actions: Readonly<Record<AnalysisCommand, Action>> = {
    async analyze() {
      const editor = vscode.window.activeTextEditor;
      const [first, ...others] = editor ? selectedSources(editor) : [];
      if (editor && (!first || others.length === 0)) return analyzeText(chosenSource(editor));
      if (first) {
        const what = await chooseSelections(others.length + 1);
        if (what === 'compare') await actions.compareSelections();
        else if (what === 'first') await analyzeText(first);
        return;
      }
      throw new SinkscopeError({
        code: 'input',
        message: vscode.l10n.t('No text editor is open; open the text to analyze and put the cursor in it.'),
      });
    },
    /** The panel may give another of the model's residual streams. */
    async analyzeAgain(stream?: unknown) {
      const subject = await subjectAgain(shown());
      const { model } = shown().request;
      await run(typeof stream === 'string' ? { ...subject, chosen: { model, stream } } : subject);
    },
    async analyzeSample() {
      const text = await vscode.workspace.fs.readFile(vscode.Uri.joinPath(extension, 'media', 'sample.md'));
      const content = Buffer.from(text).toString();
      // Tried again, it is the same one.
      const open = vscode.workspace.textDocuments.find((one) => one.isUntitled && one.getText() === content);
      const document = open ?? (await vscode.workspace.openTextDocument({ language: 'markdown', content }));
      await vscode.window.showTextDocument(document, vscode.ViewColumn.One);
      await analyzeText(documentSource(document));
    },
    /** Each selection is run; the first is pinned, so that the others are held against it. */
    async compareSelections() {
      const editor = vscode.window.activeTextEditor;
      const [first, ...others] = editor ? selectedSources(editor) : [];
      if (!first || others.length === 0) {
        throw new SinkscopeError({
          code: 'input',
          message: vscode.l10n.t('Select two texts or more, each with Alt and the mouse, to compare them.'),
        });
      }
      await analyzeText(first);
      if (analyses.run?.analysis.status !== 'finished') return;
      await runs.pin();
      for (const source of others) await analyzeText(source);
    },
    async analyzeIds(given?: readonly number[]) {
      const ids = given ?? (await enterIds());
      if (ids) await run({ prompt: { ids }, source: undefined });
    },
    async analyzeImage(given?: vscode.Uri) {
      const image = await pictureFile(given);
      if (image !== undefined && (await haveVisionModel())) await run({ prompt: { image }, source: undefined });
    },
    /** Menus give the file, and all that are selected; programs may give the word for a token. */
    async analyzeFeeds(given?: vscode.Uri, word?: unknown) {
      const feeds = await feedsFile(given);
      if (feeds === undefined) return;
      const { file } = await models.chosen();
      // Ids have texts, and a picture's patches are called so.
      const isNamed = (await takesIds(analyses.engine, file)) || (await takesPictures(analyses.engine, file));
      const known = typeof word === 'string' ? word : isNamed ? '' : undefined;
      const tokenName = known ?? (await enterTokenName());
      if (tokenName !== undefined)
        await run({ prompt: { feeds, tokenName: tokenName || undefined }, source: undefined });
    },
    /** Of the editor of a model's file: a text that was typed there. */
    async tryModel(model: string, text: string, stream?: string) {
      await run({ prompt: { text }, source: undefined, tried: model, chosen: { model, stream } });
    },
    stop: () => analyses.stop(),
    /** The active editor's text is analysed, and what is shown follows it from then on; ends that where it goes on. */
    async live() {
      if (live.on) return live.end();
      live.begin();
      const editor = vscode.window.activeTextEditor;
      await (editor ? analyzeText(chosenSource(editor)) : again());
    },
    endLive: () => live.end(),
    clear() {
      cleared++;
      live.end();
      analyses.clear();
    },
    showPanel: () => panel.show(),
    async showToken(token: number) {
      await panel.show();
      analyses.select(reselected(analyses.selection, { token }), 'view');
    },
    nextMark: () => goToMark(false),
    previousMark: () => goToMark(true),
    chooseModel: chooseAndRun,
    useModel: chooseAndRun,
    async chooseBos(bos: 'auto' | 'on' | 'off') {
      settings.choose({ bos });
      await again();
    },
    chooseTint: (tint: Tint) => settings.choose({ tint }),
    refreshModels: () => models.refresh(),
    /** Of a file (programs), of an item (models view), or of the chosen one; it is chosen from then on. */
    async watchModel(given?: ModelGiven) {
      const model = given === undefined ? await models.chosen() : await listedModel(given);
      watch.start(model);
      take(model);
      await panel.show();
    },
    unwatchModel: () => watch.end(),
    /** The active editor's text, or else what is shown, with a model of the models view. */
    async analyzeModel(given: ModelGiven) {
      take(await listedModel(given));
      const editor = vscode.window.activeTextEditor;
      await (editor ? analyzeText(chosenSource(editor)) : analyses.run ? again() : actions.analyzeSample());
    },
    async revealModel(given: ModelGiven) {
      await reveal(vscode.Uri.file((await listedModel(given)).file));
    },
    async copyModelPath(given: ModelGiven) {
      await vscode.env.clipboard.writeText((await listedModel(given)).file);
    },
    showLog: () => reports.log.show(true),
    showDocumentation: () => openDocumentation(extension),
    /** Where the machine that runs models is another one, its own: paths, memory and threads are set there alone. */
    openSettings: () => {
      const where = vscode.env.remoteName === undefined ? 'openSettings' : 'openRemoteSettings';
      return vscode.commands.executeCommand(`workbench.action.${where}`, { query: '@ext:sinkscope.sinkscope' });
    },
    async exportJson(to?: vscode.Uri) {
      const saved = await exportJson(shown(), settings.current.thresholds, to);
      if (saved) reports.saved(saved);
    },
    async exportTensors(to?: vscode.Uri) {
      shown();
      const saved = await exportTensors(analyses, to);
      if (saved) reports.saved(saved);
    },
    async exportReport(to?: vscode.Uri) {
      const ended = experiments.runs.filter(({ status }) => status !== 'running').map(sentRun);
      const webview = vscode.Uri.joinPath(extension, 'dist', 'webview');
      const saved = await exportReport(analyses, { ...settings.current, experiments: ended }, webview, to);
      if (saved) reports.saved(saved);
    },
    /** A saved result in the panel and in the history: a given file, or what is open in its editor. */
    async showResult(given?: vscode.Uri) {
      const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
      const uri = given ?? (input instanceof vscode.TabInputCustom ? input.uri : undefined);
      if (!uri) return;
      const { events } = await readResult(child, uri);
      await panel.show();
      await runs.show(events, posix.basename(uri.path));
    },
    async saveFile(name: string, kind: 'png' | 'svg' | 'csv', bytes: Uint8Array) {
      const saved = await exportBytes(name, kind, bytes);
      if (saved) reports.saved(saved);
    },
  };

  return vscode.Disposable.from(
    ...analysisCommands.map((name) => registerCommand(contributedId(name), actions[name], reports)),
  );
}

/** The cursor's offset in the document that `source` is from, where it is inside the analyzed text. */
function cursorIn({ uri, range }: Source): number | undefined {
  const editor = vscode.window.visibleTextEditors.find(({ document }) => document.uri.toString() === uri.toString());
  if (!editor) return undefined;
  const cursor = editor.document.offsetAt(editor.selection.active);
  return cursor > range.start && cursor < range.end ? cursor : undefined;
}

/** What follows the cursor; its first tokens are run. */
function fromCursor({ uri, text, range }: Source, cursor: number): Subject {
  const rest = text.slice(cursor - range.start);
  const source: Source = { uri, scope: 'cursor', text: rest, range: { start: cursor, end: range.end } };
  return { prompt: { text: rest }, window: 'first', source };
}
