/** The engine's process may read, and write into the folder of a result: Node.js's permission model holds it to that. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isSandboxed, sandboxFlags, writableFor } from '../../../src/engine/host/sandbox.js';
import { collect, failure, request, startEngine } from '../../support/engine.js';
import { demo, temporaryFolder } from '../../support/files.js';

const engine = startEngine();

const script = `
const { execFileSync } = require('node:child_process');
const { readFileSync, writeFileSync } = require('node:fs');
const { Worker } = require('node:worker_threads');
const { join } = require('node:path');
const code = (act) => { try { act(); return 'done'; } catch (error) { return error.code ?? String(error); } };
const [inside, outside] = process.argv.slice(2);
process.send({
  inside: code(() => writeFileSync(join(inside, 'a'), '')),
  outside: code(() => writeFileSync(join(outside, 'a'), '')),
  read: code(() => readFileSync(__filename)),
  program: code(() => execFileSync('true')),
});
new Worker('0', { eval: true }).on('exit', () => process.disconnect());
`;

it('reads, writes where it may and nowhere else, starts no program', async (context) => {
  if (!isSandboxed()) return context.skip('this Node.js has no permission model with native code');
  const [inside, outside, own] = [await temporaryFolder(), await temporaryFolder(), await temporaryFolder()];
  const program = join(own, 'child.cjs');
  writeFileSync(program, script);
  const start = async (writable: string | undefined) => {
    const child = fork(program, [inside, outside], { execArgv: [...sandboxFlags(writable)] });
    const [[said], [code]] = await Promise.all([once(child, 'message'), once(child, 'exit')]);
    expect(code).toBe(0);
    return said;
  };
  const denied = 'ERR_ACCESS_DENIED';
  const may = { outside: denied, read: 'done', program: denied };
  expect(await start(writableFor(join(inside, 'result.safetensors')))).toEqual({ ...may, inside: 'done' });
  expect(await start(undefined)).toEqual({ ...may, inside: denied });
});

it('an engine that ran before saves where it is told, in one folder and then in another', async () => {
  const run = (more = {}) => collect(engine.analyze(request(demo, { text: 'Summer is warm.' }, more)));
  expect(failure(await run())).toBeUndefined();
  const first = engine.pid;
  for (const name of ['plain', 'with, comma', 'with * star']) {
    const folder = join(await temporaryFolder(), name);
    mkdirSync(folder);
    const file = join(folder, 'states.safetensors');
    expect(failure(await run({ save: { file, attention: false, mlp: false, logits: false } }))).toBeUndefined();
    expect(existsSync(file)).toBe(true);
  }
  expect(engine.pid).not.toBe(first);
});
