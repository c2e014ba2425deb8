/** Live in a real VS Code: from a key to the marks, with the model of GPT-2 small's shape that the bench writes. */
import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const out = join(root, 'out/bench-code');
/** Characters that are some 240 tokens of the demo models' tokenizer; those of the keys are more. */
const characters = 650;
const keys = [...' a lamp was lit in the hall, and another one at the door'];
/** Milliseconds from marks to the next key: as a person types who types fast, and none, while the panel still draws. */
const pauses = [200, 0];

/**
 * @param bench the bench as it was built, which writes the model
 * @returns {Promise<{ what: string, target: string, measured: string }[]>}
 */
export async function code(bench) {
  const folder = await mkdtemp(join(tmpdir(), 'sinkscope-code-'));
  try {
    const written = spawnSync(process.execPath, [bench, '--write', folder], { stdio: 'inherit' });
    if (written.status !== 0) throw new Error('the model could not be written');
    const model = join(folder, 'gpt2-cached/model.onnx');
    await copyFile(join(root, 'media/models/llama/tokenizer.json'), join(folder, 'gpt2-cached/tokenizer.json'));
    const text = (await readFile(join(root, 'test/text/wikitext-2-test-head.txt'), 'utf8')).slice(0, characters);
    await rm(out, { recursive: true, force: true });
    await mkdir(out, { recursive: true });
    await writeFile(join(out, 'asked.json'), JSON.stringify({ model, text, keys, pauses }));
    const args = ['scripts/host.mjs', 'test/bench/code', out];
    const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
    if (status !== 0) throw new Error('VS Code ended with an error');
    const { written: measured, tokens, said } = JSON.parse(await readFile(join(out, 'keys.json'), 'utf8'));
    console.log(said);
    return pauses.map((pause) => {
      const own = measured.filter((one) => one.pause === pause).map(({ milliseconds }) => milliseconds);
      const sorted = own.toSorted((a, b) => a - b);
      const at = (share) => sorted[Math.floor(share * (sorted.length - 1))].toFixed(0);
      return {
        what: `live in VS Code: from a key to the marks, T = ${tokens}, ${pause} ms after those before`,
        target: '100 ms',
        measured: `${at(0.5)} ms (nine of ten within ${at(0.9)} ms)`,
      };
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}
