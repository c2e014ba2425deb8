/** Keys of this suite alone, for what a person does one by one between two pieces of work. */
export const keys = {
  /** All is closed and forgotten. */
  empty: 'Control+Alt+F9',
  /** The Explorer shows what is on the disk now: the server under test is not told of changes. */
  look: 'Control+Alt+F8',
} as const;

const run = (...commands: string[]) => ({ command: 'runCommands', args: { commands } });

/** What the editor's file of keys says for them. */
export const keybindings = [
  {
    key: keys.empty.toLowerCase(),
    ...run(
      'sinkscope.clear',
      'sinkscope.clearHistory',
      'notifications.clearAll',
      'workbench.action.closeAllEditors',
      'workbench.view.explorer',
    ),
  },
  { key: keys.look.toLowerCase(), ...run('workbench.files.action.refreshFilesExplorer') },
].map((binding) => ({ ...binding, key: binding.key.replace('control', 'ctrl') }));
