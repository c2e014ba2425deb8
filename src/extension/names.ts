/** Names that the manifest and the code share: the compiler holds the code to them, and a test the manifest. */

/** Commands of an analysis; some are called by links and views alone. */
export const analysisCommands = [
  'analyze',
  'analyzeAgain',
  'analyzeSample',
  'analyzeIds',
  'analyzeImage',
  'analyzeFeeds',
  'tryModel',
  'stop',
  'live',
  'endLive',
  'clear',
  'showPanel',
  'showToken',
  'nextMark',
  'previousMark',
  'chooseModel',
  'useModel',
  'chooseBos',
  'chooseTint',
  'refreshModels',
  'watchModel',
  'unwatchModel',
  'analyzeModel',
  'revealModel',
  'copyModelPath',
  'showLog',
  'showDocumentation',
  'openSettings',
  'exportJson',
  'exportTensors',
  'exportReport',
  'showResult',
  'compareSelections',
  'saveFile',
] as const;

/** Commands about where models come from. */
export const modelCommands = ['openHub', 'addModel', 'chooseTokenizer'] as const;

/** Commands about the runs that were kept. */
export const historyCommands = [
  'openRun',
  'showRun',
  'pinRun',
  'unpinRun',
  'renameRun',
  'deleteRun',
  'clearHistory',
] as const;

/** Commands of experiments, beside the one that the catalogue has for each. */
export const experimentCommands = [
  'stopExperiment',
  'experimentAction',
  'compareModel',
  'surveyFolder',
  'compareTexts',
] as const;

/** Commands about what a model writes behind the cursor. */
export const continuationCommands = ['continuePrompt', 'acceptContinuation', 'discardContinuation'] as const;

/** Backgrounds of tokens, a colour for each level. */
export const tintColors = ['tint1', 'tint2', 'tint3', 'tint4', 'tint5', 'tint6', 'tint7', 'tint8'] as const;

/** The same of the tint of surprisal. */
export const surprisalColors = [
  'surprisal1',
  'surprisal2',
  'surprisal3',
  'surprisal4',
  'surprisal5',
  'surprisal6',
  'surprisal7',
  'surprisal8',
] as const;

/** The same of the tint of saliency. */
export const saliencyColors = [
  'saliency1',
  'saliency2',
  'saliency3',
  'saliency4',
  'saliency5',
  'saliency6',
  'saliency7',
  'saliency8',
] as const;

/** Colours of marks. */
export const colorNames = [
  ...tintColors,
  ...surprisalColors,
  ...saliencyColors,
  'tintEdge',
  'massive',
  'large',
  'sink',
  'selected',
] as const;

/** What menus ask for. */
export const contextNames = [
  'running',
  'hasResult',
  'marked',
  'experimenting',
  'watching',
  'pinned',
  'live',
  'continuing',
] as const;

export const viewNames = ['history', 'models'] as const;

export type AnalysisCommand = (typeof analysisCommands)[number];
export type ModelCommand = (typeof modelCommands)[number];
export type HistoryCommand = (typeof historyCommands)[number];
export type ExperimentCommand = (typeof experimentCommands)[number];
export type ContinuationCommand = (typeof continuationCommands)[number];
export type ColorName = (typeof colorNames)[number];
export type ContextName = (typeof contextNames)[number];
export type ViewName = (typeof viewNames)[number];

/** As VS Code knows it. */
export function contributedId<
  Name extends
    | AnalysisCommand
    | ModelCommand
    | HistoryCommand
    | ExperimentCommand
    | ContinuationCommand
    | ColorName
    | ContextName
    | ViewName,
>(name: Name): `sinkscope.${Name}` {
  return `sinkscope.${name}`;
}
