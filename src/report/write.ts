/** Reports as files, from the built webview beside the running bundle. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Presentation } from '../analysis/presentation.js';
import type { Contents } from './contents.js';
import { type Assets, reportPage } from './page.js';

/**
 * The HTML of a report.
 *
 * @param folder of the built webview, `dist/webview`
 * @param shown what it is about: its title and its sentence
 */
export async function reportOf(
  contents: Contents,
  { title, sentence }: Pick<Presentation, 'title' | 'sentence'>,
  folder: string,
): Promise<string> {
  return reportPage(contents, await assetsIn(folder), {
    title: `Sinkscope: ${title}`,
    sentence,
    nonce: randomBytes(18).toString('base64'),
  });
}

async function assetsIn(folder: string): Promise<Assets> {
  const read = (name: string) => readFile(join(folder, name), 'utf8');
  const [style, host, panel] = await Promise.all([read('panel.css'), read('report.js'), read('panel.js')]);
  return { style, host, panel };
}
