/** The licences of the packages whose code is inside the bundles, as they ask to be passed on. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * @param {string} root folder of the project
 * @param {readonly import('esbuild').Metafile[]} metafiles what esbuild says of each build
 * @returns {Promise<string>} name, version, licence and its text for every bundled package
 */
export async function notices(root, metafiles) {
  const packages = new Set();
  for (const { inputs } of metafiles) {
    for (const path of Object.keys(inputs)) {
      const match = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path);
      if (match) packages.add(match[0]);
    }
  }
  packages.add('node_modules/@vscode/codicons/');
  const sections = await Promise.all(
    [...packages].sort().map(async (folder) => {
      const { name, version, license } = JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8'));
      const files = (await readdir(join(root, folder))).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
      const texts = await Promise.all(files.map((file) => readFile(join(root, folder, file), 'utf8')));
      return `${name} ${version} (${license})\n\n${texts.join('\n').trim()}\n`;
    }),
  );
  return `Sinkscope contains code of these packages.\n\n${sections.join(`\n${'-'.repeat(80)}\n\n`)}`;
}
