/**
 * Where the parts of the extension are put together. Nothing here is slow, and no native module is loaded: tokenizer
 * and ONNX Runtime live in the engine's child process.
 */
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { RunRequest } from '../engine/contract/events.js';
import { Engine } from '../engine/host/engine.js';
import { History } from '../history/history.js';
import type { FoundModel } from '../models/find.js';
import type { Against, ViewState } from '../protocol.js';
import { visible } from '../visible.js';
import { Analyses, type ShownRun } from './analyses.js';
import { saliencyOf, surprisalOf } from './askedOfRun.js';
import { registerCommands } from './commands.js';
import { SettingsWatch } from './configuration.js';
import { registerContinuing } from './continuing.js';
import { registerCursor } from './cursor.js';
import { Decorations } from './decorations.js';
import { registerExperiments } from './experimentCommands.js';
import { Experiments } from './experiments.js';
import { registerHistory } from './historyView.js';
import { registerHover } from './hover.js';
import { Live, registerLiveStatus } from './live.js';
import { registerModelCommands } from './modelCommands.js';
import { type ModelEditors, registerModelEditors } from './modelEditor.js';
import { modelKinds } from './modelKinds.js';
import { Models } from './models.js';
import { registerModelsView } from './modelsView.js';
import { Panel } from './panel.js';
import { registerPrefixHint } from './prefixHint.js';
import { Reports } from './reports.js';
import { type ResultEditors, registerResultEditor } from './resultEditor.js';
import { Runs, runTitle } from './runs.js';
import { chatAsked, prefixAsked, type Settings } from './settings.js';
import { documentTitle, fileSource, scopeInWords } from './source.js';
import { registerStatus } from './status.js';
import { Store } from './store.js';
import { Texts } from './texts.js';
import { tokenizersIn } from './tokenizers.js';
import { registerTools } from './tools.js';
import { Watch } from './watch.js';
import type { Host } from './webview.js';

/** What `activate` gives to tests and to other extensions. */
export interface Api {
  readonly analyses: Analyses;
  readonly decorations: Decorations;
  readonly experiments: Experiments;
  readonly texts: Texts;
  readonly models: Models;
  readonly watch: Watch;
  readonly runs: Runs;
  readonly live: Live;
  readonly against: Host['against'];
  readonly editors: ModelEditors;
  readonly results: ResultEditors;
  readonly viewState: Host['viewState'];
  /** Resolves when run and experiments of an earlier session are shown again, or known not to exist. */
  readonly restored: Promise<void>;
}

export function activate(context: vscode.ExtensionContext): Api {
  const log = vscode.window.createOutputChannel('Sinkscope', { log: true });
  const reports = new Reports(log);
  const settings = new SettingsWatch(
    vscode.workspace.workspaceFolders ? context.workspaceState : context.globalState,
    (problem) => reports.setting(problem),
  );
  const child = join(context.extensionPath, 'dist', 'engine.js');
  const engine = new Engine(child);
  const tokenizers = tokenizersIn(context.globalState);
  engine.useTokenizers(tokenizers.of);
  const followDevice = () => {
    engine.device = settings.current.device;
  };
  followDevice();
  const models = new Models(join(context.extensionPath, 'media', 'models'), settings);
  const analyses = new Analyses(engine);
  const experiments = new Experiments(child, models, settings, tokenizers, log);
  const texts = new Texts(analyses, context.extensionUri);
  const kinds = modelKinds(child, tokenizers);
  const watch = new Watch(analyses, models, {
    memory: context.workspaceState,
    busy: () => experiments.running,
    tell: (problem) => reports.failed(problem, panel.visible),
  });
  const live = new Live(analyses);
  const storage = context.storageUri ?? context.globalStorageUri;
  const runs = new Runs(
    analyses,
    new History(join(storage.fsPath, 'runs')),
    settings,
    context.workspaceState,
    (error) => log.warn(`${error}`),
  );
  const view = new vscode.EventEmitter<void>();
  let isViewDue = false;
  /** What happens together changes the view once. */
  const viewChanged = () => {
    if (isViewDue) return;
    isViewDue = true;
    setImmediate(() => {
      isViewDue = false;
      view.fire();
    });
  };

  const viewState = async (): Promise<ViewState> => {
    const { run } = analyses;
    const about = run && (run.source ?? fileSource(run.request.prompt));
    const choice = run ? models.chosenFor(run.request.prompt) : models.chosen();
    const [list, chosen] = await Promise.all([models.list(), choice.catch(() => undefined)]);
    const { bos, tint, thresholds } = settings.current;
    return {
      document: run?.file ?? (about?.uri && documentTitle(about.uri)),
      scope: run?.file ? 'saved result' : run && about && scopeInWords(about, run.analysis.tokens),
      models: list.map(({ file, name, origin }) => ({ file, name, origin })),
      model: chosen?.file,
      context: chosen && contextOf(chosen),
      bos,
      tint,
      thresholds,
      stale: run && staleness(run, chosen?.file, settings.current, live.follows(run.source?.uri)),
      trouble: analyses.trouble,
      live: live.sentence,
      watched: watchedState(),
      pinned: runs.pinned === undefined ? 'none' : runs.pinned.note.id === run?.id ? 'shown' : 'other',
      tensors: undefined,
    };
  };
  /** Of the run that is shown, which has read the model; a process reads one that nothing is known of. */
  const contextOf = (chosen: FoundModel): number | undefined => {
    const { run, running } = analyses;
    if (run && run.request.model === chosen.file) return run.analysis.started?.model.context;
    return running ? undefined : kinds.of(chosen)?.context;
  };
  const watchedState = (): ViewState['watched'] => {
    if (!watch.watched) return undefined;
    const { model, problem } = watch.watched;
    // What is told of the run itself is told once.
    const told = [analyses.trouble, analyses.run?.analysis.problem].some((one) => one?.message === problem?.message);
    return { name: model.name, problem: told ? undefined : problem?.message };
  };
  const against = (): Against | undefined => {
    const { run } = analyses;
    if (!run) return undefined;
    if (runs.pinned) {
      const { note, events } = runs.pinned;
      return note.id === run.id ? undefined : { name: runTitle(note), pinned: true, events };
    }
    // Beside the run that it is about, and no other: one that is shown again has the same events.
    const before = watch.watched?.runs?.after.events === run.events ? watch.watched.runs.before : undefined;
    return before && { name: watch.watched?.model.name ?? '', pinned: false, events: before.events };
  };
  const host: Host = {
    extension: context.extensionUri,
    analyses,
    experiments,
    texts,
    log,
    viewState,
    against,
    onDidChangeView: view.event,
  };
  const panel = new Panel(host);
  const surprisal = surprisalOf(analyses, settings, (error) => log.warn(`${error}`));
  const saliency = saliencyOf(analyses, settings, (error) => log.warn(`${error}`));
  const decorations = new Decorations(analyses, settings, surprisal, saliency);
  const editors = registerModelEditors({ host, models, tokenizers, child });
  const results = registerResultEditor({ host, runs, child });

  const store = new Store(storage);
  const restored = Promise.all([
    runs.restore(),
    store.loadExperiments().then((loaded) => experiments.restore(loaded)),
  ]).then(() => undefined);
  restored.then(() => watch.restore()).catch((error) => log.warn(error));

  let shown: string | undefined;
  let keptPart: unknown;
  context.subscriptions.push(
    log,
    settings,
    models,
    analyses,
    experiments,
    texts,
    engine,
    kinds,
    view,
    panel,
    surprisal,
    saliency,
    decorations,
    watch,
    live,
    runs,
    editors,
    results,
    registerCommands({
      extension: context.extensionUri,
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
    }),
    registerModelCommands({ analyses, models, settings, tokenizers, reports }),
    registerExperiments({ extension: context.extensionUri, experiments, texts, models, panel, reports }),
    registerContinuing(experiments, panel, reports),
    registerCursor(analyses),
    registerPrefixHint(analyses, decorations, settings),
    registerHover(analyses, settings, surprisal, saliency),
    registerModelsView(models, watch, engine, kinds),
    registerHistory({
      runs,
      analyses,
      panel,
      reports,
      hasExperiments: () => experiments.runs.length > 0,
      async forgetExperiments() {
        experiments.clear();
        await store.forget();
      },
    }),
    registerStatus({ analyses, models, settings, surprisal }),
    registerLiveStatus(live, analyses),
    registerTools({
      extension: context.extensionPath,
      version: `${context.extension.packageJSON.version}`,
      models,
      tokenizers,
      settings,
      log,
    }),
    experiments.onDidChange((change) => {
      // Of one that goes on, when it begins, and when there is more of its result: a closed window takes the rest.
      const { status, presentation } = change.type === 'run' ? change.run : {};
      if (status === 'running' && keptPart === (presentation ?? 'begun')) return;
      keptPart = presentation ?? 'begun';
      store.saveExperiments(experiments.runs).catch((error) => log.warn(error));
    }),
    settings.onDidChange(followDevice),
    settings.onDidChange(viewChanged),
    models.onDidChange(viewChanged),
    kinds.onDidChange(viewChanged),
    watch.onDidChange(viewChanged),
    live.onDidChange(() => {
      viewChanged();
      if (!live.on) runs.keepLast().catch((error) => log.warn(error));
    }),
    runs.onDidChange(viewChanged),
    analyses.onDidChange((change) => {
      const { run } = analyses;
      const now = `${run?.number} ${run?.stale} ${run?.analysis.tokens !== undefined} ${run?.analysis.status}`;
      if (now !== shown) viewChanged();
      shown = now;
      if (change.type === 'event' && change.event.type === 'finished')
        log.info(visible(`${run?.request.model}: ${run?.analysis.tokens?.tokens.length} tokens`), change.event);
    }),
  );
  return {
    analyses,
    decorations,
    experiments,
    texts,
    models,
    watch,
    live,
    runs,
    against,
    editors,
    results,
    viewState,
    restored,
  };
}

/** What has changed since a run that is over, so that one made now would give something else. */
function staleness(
  { stale, request, file, analysis: { status } }: ShownRun,
  model: string | undefined,
  settings: Settings,
  isFollowed: boolean,
): ViewState['stale'] {
  if (status === 'running' || file !== undefined) return undefined;
  const isText = 'text' in request.prompt;
  const asked = (lineEnds: RunRequest['lineEnds'], chat: RunRequest['chat']) =>
    JSON.stringify([lineEnds ?? 'lf', chat]);
  const now = asked(settings.lineEnds, chatAsked(settings));
  if (request.model !== model || request.bos !== prefixAsked(settings.bos)) return 'choice';
  if (isText && asked(request.lineEnds, request.chat) !== now) return 'choice';
  return stale && !isFollowed ? 'text' : undefined;
}
