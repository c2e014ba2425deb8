/** Keys of this suite alone, for what a person does one by one between two pieces of work. */
export const keys = {
  /** All is closed and forgotten, and what was chosen is as if nobody had. */
  empty: 'Control+Alt+F9',
  /** The Explorer shows what is on the disk now: the server under test is not told of changes. */
  look: 'Control+Alt+F8',
} as const;

type Command = string | { readonly command: string; readonly args: string | boolean };

const run = (...commands: Command[]) => ({ command: 'runCommands', args: { commands } });

/**
 * What the editor's file of keys says for them.
 *
 * @param model file of the model that is the chosen one where nobody chose
 */
export const keybindings = (model: string) =>
  [
    {
      key: keys.empty.toLowerCase(),
      ...run(
        'sinkscope.clear',
        { command: 'sinkscope.clearHistory', args: true },
        'sinkscope.unpinRun',
        'sinkscope.unwatchModel',
        { command: 'sinkscope.chooseModel', args: model },
        { command: 'sinkscope.chooseBos', args: 'auto' },
        { command: 'sinkscope.chooseTint', args: 'large' },
        'notifications.clearAll',
        'workbench.action.closeAllEditors',
        'workbench.view.explorer',
        // That all of it is done is seen by the field that this opens.
        'workbench.action.quickOpen',
      ),
    },
    { key: keys.look.toLowerCase(), ...run('workbench.files.action.refreshFilesExplorer') },
  ].map((binding) => ({ ...binding, key: binding.key.replace('control', 'ctrl') }));
