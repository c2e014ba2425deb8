import { resolve } from 'node:path';
import { Command } from 'commander';
import type { McpOptions } from './mcp-server.js';
import { engineOptions } from './options.js';

export function mcpCommand(signal: AbortSignal): Command {
  const command = new Command('mcp')
    .description('serve analyses and experiments as tools to agents (Model Context Protocol on stdin and stdout)')
    .option(
      '--folder <path>',
      "a folder of which tools may open files; may be repeated (default: the client's roots, or the working folder)",
      (path: string, before: readonly string[] = []) => [...before, resolve(path)],
    )
    .action(async (options: McpOptions) => {
      // What it is made of is loaded for it alone.
      const { serve } = await import('./mcp-server.js');
      await serve(options, signal);
    });
  for (const option of engineOptions()) command.addOption(option);
  return command;
}
