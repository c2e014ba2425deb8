/** How long the structure of a large model takes to read and recognise, and what memory: each in a fresh process. */
import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));
const outfile = join(root, 'node_modules/.cache/sinkscope/bench/recognition.js');
const rounds = 5;

/** @returns {Promise<{ what: string, target: string, measured: string }[]>} */
export async function recognition() {
  await build({
    absWorkingDir: root,
    entryPoints: ['test/bench/recognition.ts'],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
  });
  const folder = await mkdtemp(join(tmpdir(), 'sinkscope-recognition-'));
  try {
    const large = await best(folder, 16);
    const [short, long] = [await best(folder, 135), await best(folder, 540)];
    const perNode = long.recognise / long.nodes / (short.recognise / short.nodes);
    return [
      {
        what: `structure of a model of ${(large.bytes / 2 ** 30).toFixed(1)} GB read and recognised`,
        target: '< 1.5 s, < 200 MB',
        measured: `${(large.total / 1000).toFixed(2)} s, ${(large.memory / 2 ** 20).toFixed(0)} MB`,
      },
      {
        what: `recognition of ${long.nodes} nodes (of ${short.nodes}: ${short.recognise.toFixed(0)} ms)`,
        target: 'about linear: time per node × 1',
        measured: `${long.recognise.toFixed(0)} ms, time per node × ${perNode.toFixed(2)}`,
      },
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The quickest of some rounds: what else the machine does only adds. */
async function best(folder, layers) {
  let quickest;
  for (let round = 0; round < rounds; round++) {
    const result = await measured(folder, layers);
    if (!quickest || result.total < quickest.total) quickest = result;
  }
  return quickest;
}

function measured(folder, layers) {
  return new Promise((resolve, reject) => {
    const child = fork(outfile, [folder, String(layers)]);
    child.on('message', resolve);
    child.on('exit', (code) => reject(new Error(`the measured process ended with code ${code}`)));
  });
}
