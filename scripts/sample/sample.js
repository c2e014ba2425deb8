/** Does once what a newcomer would do first: opens the sample and runs Analyze Prompt on it. */
const vscode = require('vscode');

exports.activate = async () => {
  const [folder] = vscode.workspace.workspaceFolders ?? [];
  if (!folder) return;
  await vscode.window.showTextDocument(vscode.Uri.joinPath(folder.uri, 'sample.md'));
  await vscode.commands.executeCommand('sinkscope.analyze');
};
