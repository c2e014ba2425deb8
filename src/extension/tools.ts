/** The table of tools in VS Code: for its chat, and as a server of the Model Context Protocol for other agents. */
import { join } from 'node:path';
import * as vscode from 'vscode';
import { Engine } from '../engine/host/engine.js';
import { SinkscopeError } from '../errors.js';
import { progressInWords } from '../experiments/experiment.js';
import { call } from '../tools/call.js';
import { confirmation } from '../tools/confirm.js';
import { Desk } from '../tools/desk.js';
import { tools } from '../tools/table.js';
import type { Tool } from '../tools/tool.js';
import type { SettingsWatch } from './configuration.js';
import { type Models, trustedFolders } from './models.js';
import { plain } from './plain.js';
import { prefixAsked, runAs } from './settings.js';
import type { Tokenizers } from './tokenizers.js';

export interface ToolParts {
  /** Folder of the extension. */
  readonly extension: string;
  readonly version: string;
  readonly models: Models;
  readonly tokenizers: Tokenizers;
  readonly settings: SettingsWatch;
  readonly log: vscode.LogOutputChannel;
}

/** Registers what this VS Code has a place for. */
export function registerTools(parts: ToolParts): vscode.Disposable {
  return vscode.Disposable.from(...chatTools(parts), ...mcpServer(parts));
}

function chatTools({ extension, models, tokenizers, settings, log }: ToolParts): vscode.Disposable[] {
  // Other editors have extensions of VS Code without its chat.
  if (typeof vscode.lm?.registerTool !== 'function') return [];
  const desk = new Desk({
    newEngine: () => {
      const engine = new Engine(join(extension, 'dist', 'engine.js'));
      engine.useTokenizers(tokenizers.of);
      runAs(engine, settings.current);
      return engine;
    },
    setup: () => {
      runAs(desk.engine, settings.current);
      const { bos, memory, threads, thresholds } = settings.current;
      return { bos: prefixAsked(bos), memory, threads, thresholds };
    },
    near: () => models.list(),
    models: () => models.all(),
    folders: async () => trustedFolders(),
  });
  const chatTool = (tool: Tool): vscode.LanguageModelTool<unknown> => ({
    prepareInvocation({ input }) {
      const asked = confirmation(tool, input);
      return {
        invocationMessage: plain(tool.title),
        confirmationMessages: asked && { title: plain(asked.title), message: plain(asked.message) },
      };
    },
    async invoke({ input }, token) {
      const controller = new AbortController();
      const stopped = token.onCancellationRequested(() => controller.abort());
      if (token.isCancellationRequested) controller.abort();
      try {
        const steps = call(desk, tool, input, controller.signal);
        let step = await steps.next();
        for (; !step.done; step = await steps.next()) log.trace(plain(`${tool.name}: ${progressInWords(step.value)}`));
        return new vscode.LanguageModelToolResult([new vscode.LanguageModelTextPart(step.value)]);
      } catch (error) {
        if (SinkscopeError.is(error, 'cancelled')) throw new vscode.CancellationError();
        // Its message is what the language model is told.
        throw error;
      } finally {
        stopped.dispose();
      }
    },
  });
  return [desk, ...tools.map((tool) => vscode.lm.registerTool(tool.name, chatTool(tool)))];
}

/** Named in package.json. */
const serverId = 'sinkscope.mcp';

function mcpServer({ extension, version, settings }: ToolParts): vscode.Disposable[] {
  if (typeof vscode.lm?.registerMcpServerDefinitionProvider !== 'function') return [];
  const changes = new vscode.EventEmitter<void>();
  const provider: vscode.McpServerDefinitionProvider<vscode.McpStdioServerDefinition> = {
    onDidChangeMcpServerDefinitions: changes.event,
    provideMcpServerDefinitions() {
      const folders = trustedFolders();
      // Without a folder that is trusted there is nothing that an agent may open.
      if (folders.length === 0) return [];
      const memory = Math.floor(settings.current.memory / 2 ** 20);
      const args = ['mcp', '--memory', `${memory}`, ...folders.flatMap((folder) => ['--folder', folder])];
      // VS Code's own program, as Node.js.
      const env: Record<string, string> = process.versions.electron === undefined ? {} : { ELECTRON_RUN_AS_NODE: '1' };
      const script = join(extension, 'dist', 'cli.js');
      return [new vscode.McpStdioServerDefinition('Sinkscope', process.execPath, [script, ...args], env, version)];
    },
  };
  return [
    changes,
    vscode.lm.registerMcpServerDefinitionProvider(serverId, provider),
    settings.onDidChange(() => changes.fire()),
    vscode.workspace.onDidChangeWorkspaceFolders(() => changes.fire()),
    vscode.workspace.onDidGrantWorkspaceTrust(() => changes.fire()),
  ];
}
