/**
 * A whole analysis of SmolLM2-135M beside transformers with hooks, as `tools/real/against.py` measures it: only where
 * Python with transformers is there, and the folder that `tools/real/export.py` made.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const what = 'SmolLM2-135M beside transformers (eager), whole processes';
const target = '≤ 0.5 × the time, ≤ 0.5 × the memory';

/**
 * @param {string | undefined} folder where the real model's files are
 * @param {string} python the interpreter
 * @returns {{ what: string, target: string, measured: string }[]} the ratios, or why they were not measured
 */
export function against(folder, python) {
  const left = (why) => [{ what, target, measured: `not measured: ${why}` }];
  if (folder === undefined) return left('give the folder of tools/real/export.py (--real FOLDER)');
  if (!existsSync(join(folder, 'smollm2/model.onnx'))) return left(`${folder} has no smollm2/model.onnx`);
  if (!existsSync(join(root, 'dist/cli.js'))) return left('npm run build first');
  if (spawnSync(python, ['-c', 'import torch, transformers']).status !== 0)
    return left(`${python} has no torch and transformers (--python PATH names another)`);
  const { status, stdout, stderr } = spawnSync(python, [join(root, 'tools/real/against.py'), folder], {
    encoding: 'utf8',
  });
  const lines = stdout.trim().split('\n');
  if (status !== 0) return left(stderr.trim().split('\n').at(-1) ?? 'it failed');
  return [{ what: `${what} (${lines.slice(0, -1).join('; ')})`, target, measured: lines.at(-1) ?? '' }];
}
