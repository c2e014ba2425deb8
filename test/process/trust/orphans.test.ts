/** The engine's process ends with its parent, even with one that is killed, whatever it is doing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it, vi } from 'vitest';
import { graph, message, node, opset, value } from '../../support/build.js';
import { demo, root, temporaryFolder } from '../../support/files.js';

/** Of a process, what proc(5) calls its state, and hundredths of a second that it has computed. */
function statusOf(pid: number) {
  const [state, ...fields] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return { state, computed: Number(fields[10]) + Number(fields[11]) };
}

/** A zombie has ended: nobody has asked how. */
const hasEnded = (pid: number) => !existsSync(`/proc/${pid}`) || statusOf(pid).state === 'Z';

/** More than it takes to start, and to read the small model. */
const busy = 250;

/** Has a parent ask its engine something that takes minutes, kills it amid that, and resolves when both have ended. */
async function orphan(request: object): Promise<void> {
  const parent = join(await temporaryFolder(), 'parent.cjs');
  const text = `
    const child = require('node:child_process').fork(${JSON.stringify(join(root, 'dist/engine.js'))}, {
      serialization: 'advanced',
      execArgv: [],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
    });
    child.send(${JSON.stringify({ id: 1, tokenizers: [], device: 'cpu', ...request })});
    console.log(child.pid);
  `;
  writeFileSync(parent, text);
  const started = spawn(process.execPath, [parent], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(createInterface(started.stdout), 'line');
  const pid = Number(line);
  await vi.waitFor(() => expect(statusOf(pid).computed).toBeGreaterThan(busy), { timeout: 120_000, interval: 50 });
  started.kill('SIGKILL');
  // The engine's process has inherited this pipe: it closes when the last of the two has ended.
  if (!started.stdout.closed) await once(started.stdout, 'close');
  // Files are closed a moment before the process is no more.
  await vi.waitFor(() => expect(hasEnded(pid)).toBe(true), { timeout: 120_000, interval: 50 });
}

describe('the engine ends with its parent', () => {
  const reason = process.platform === 'linux' ? undefined : 'how much a process has computed is read from /proc';

  it('while a pattern of a tokenizer looks ahead and back for ever', async (context) => {
    if (reason !== undefined) return context.skip(reason);
    const folder = await temporaryFolder();
    cpSync(demo, join(folder, 'model.onnx'));
    const tokenizer = JSON.parse(readFileSync(join(root, 'media/models/llama/tokenizer.json'), 'utf8'));
    tokenizer.pre_tokenizer = {
      type: 'Split',
      pattern: { Regex: '(?=(a+))a*b\\1' },
      behavior: 'Isolated',
      invert: false,
    };
    writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
    await orphan({ type: 'encode', request: { model: join(folder, 'model.onnx'), text: 'a'.repeat(300_000) } });
  });

  it('while a model of hundreds of thousands of nodes is read', async (context) => {
    if (reason !== undefined) return context.skip(reason);
    const file = join(await temporaryFolder(), 'model.onnx');
    const count = 300_000;
    const nodes = Array.from({ length: count }, (_, i) => node('Add', [i === 0 ? 'x' : `${i - 1}`, 'x'], [`${i}`]));
    const rest = graph({ nodes: [], inputs: [value('x', [4])], outputs: [value(`${count - 1}`, [4])] });
    const whole = Buffer.concat([...nodes.map((one) => message([1, one])), rest]);
    writeFileSync(file, message([1, 10], [7, whole], [8, opset('', 18)]));
    await orphan({ type: 'inspect', request: { model: file } });
  });
});
