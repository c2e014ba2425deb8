/** Results for others: `--markdown`, and `--report` with the whole panel in one file. */
import { join, resolve } from 'node:path';
import { Option } from 'commander';
import { markdownOf } from '../analysis/markdown.js';
import type { Presentation } from '../analysis/presentation.js';
import { contentsOf, type Reported } from '../report/contents.js';
import { reportOf } from '../report/write.js';
import { saveWhole } from '../saving.js';
import { print } from './terminal.js';

/** What {@link sharingOptions} read. */
export interface Sharing {
  readonly markdown?: boolean;
  readonly report?: string;
}

export function sharingOptions(): Option[] {
  return [
    new Option('--markdown', 'print the sentence, the conditions and the tables as Markdown').conflicts('json'),
    new Option('--report <path>', 'write one HTML file with the panel and this result, which needs no network'),
  ];
}

export function printMarkdown(presentation: Presentation): void {
  print(markdownOf(presentation).trimEnd().split('\n'));
}

/**
 * Writes a report, whole or not at all; nothing without a path.
 *
 * @throws SinkscopeError `save`
 */
export async function saveReport(path: string | undefined, reported: Reported, shown: Presentation): Promise<void> {
  if (path === undefined) return;
  // Built beside this bundle.
  const html = await reportOf(contentsOf(reported), shown, join(__dirname, 'webview'));
  await saveWhole(resolve(path), html);
}
