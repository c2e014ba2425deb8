/** `sinkscope mcp` as agents have it: the protocol's own client, and the built server as a child process. */
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { CallToolResultSchema, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterEach, describe, expect, it } from 'vitest';
import references from '../../references/analysis.json';
import { temporaryFolder } from '../../support/files.js';
import { fixture, path } from './sinkscope.js';

const folder = await temporaryFolder();
const clients: Client[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

/** A client of a server with these arguments; with roots where it has any. */
async function connected(args: readonly string[], roots?: readonly string[]): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' }, { capabilities: roots ? { roots: {} } : {} });
  if (roots) {
    const listed = roots.map((root) => ({ uri: pathToFileURL(root).href }));
    client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: listed }));
  }
  clients.push(client);
  await client.connect(
    new StdioClientTransport({ command: process.execPath, args: [path('dist/cli.js'), 'mcp', ...args], cwd: folder }),
  );
  return client;
}

/** What a tool says: its text, or the sentence of its failure. */
async function said(client: Client, name: string, args: object, options?: Parameters<Client['callTool']>[2]) {
  const result = CallToolResultSchema.parse(
    await client.callTool({ name: `sinkscope_${name}`, arguments: { ...args } }, undefined, options),
  );
  const [content] = result.content;
  if (content?.type !== 'text') throw new Error('no text came');
  return result.isError ? { failed: content.text } : { text: content.text };
}

describe('a run', () => {
  it('gives what PyTorch gives, and is looked into by its id', async () => {
    const client = await connected(['--folder', path('media'), '--folder', path('test/zoo/fixtures')]);
    const told: number[] = [];
    const { text } = await said(
      client,
      'analyze',
      { model: 'llama', text: { file: 'sample.md' } },
      {
        onprogress: ({ progress, total }) => {
          told.push(progress);
          expect(progress).toBeLessThanOrEqual(total ?? 0);
        },
      },
    );
    const { layers, ids } = references.models.llama;
    const [massive] = layers[2]?.top ?? [];
    expect(text).toContain(`T = ${ids.length}`);
    expect(text).toMatch(new RegExp(`⟨bos⟩ \\| massive \\| ${massive?.dim} \\| \\+2,084 `));
    expect(massive?.value).toBeCloseTo(2084, -1);
    expect(told.length).toBeGreaterThan(1);
    expect(told).toEqual([...new Set(told)].sort((a, b) => a - b));

    // Its norm at h_4, and again when another run was made since.
    const norm = Math.round(layers[4]?.tokenNorm['0'] ?? 0).toLocaleString('en-US');
    await said(client, 'analyze', { model: 'llama-sink', text: 'Summer is warm. Winter is cold.' });
    const first = await said(client, 'explain', { result: 'r1', token: 0 });
    expect(first.text).toContain(`| 4 | ${norm} |`);
    expect(first.text).toContain('Next token after ⟨bos⟩');
    const failed = await said(client, 'analyze', { model: fixture('gnn-ts-op17'), text: 'Summer is warm.' });
    expect(failed.failed).toBeDefined();
    const head = await said(client, 'explain', { result: 'r1', layer: 1, head: 2, token: 1 });
    // The second of two tokens that it sees, and nothing after it.
    const weights = head.text
      ?.match(/\| ([\d.]+) % \|/g)
      ?.slice(0, 2)
      .map((one) => Number(/[\d.]+/.exec(one)?.[0]));
    expect((weights?.[0] ?? 0) + (weights?.[1] ?? 0)).toBeCloseTo(100, 0);

    const compared = await said(client, 'compare_runs', { before: 'r1', after: 'r1' });
    expect(compared.text).toContain('Nothing moved');
    const more = await said(client, 'more', { result: 'r1', part: 4, from: 100 });
    expect(more.text).toContain(`| 104 | ${ids[104]} |`);
    const beyond = await said(client, 'more', { result: 'r1', part: 4, from: 105 });
    expect(beyond.text).toMatch(/It has 105 rows, counted from 0: none is left\.$/);
  });

  it('that is stopped ends, and the next one answers', async () => {
    const client = await connected(['--folder', path('media'), '--folder', path('test/text')]);
    const controller = new AbortController();
    const long = said(
      client,
      'interventions',
      {
        model: 'llama',
        text: { file: path('test/text/three-men-in-a-boat.md') },
        calibration: { file: path('test/text/pit-and-pendulum.md') },
      },
      { signal: controller.signal, onprogress: () => controller.abort() },
    );
    await expect(long).rejects.toThrow();
    const next = await said(client, 'analyze', { model: 'llama', text: 'Summer is warm.' });
    expect(next.text).toContain('Analysis of llama');
  });

  it('waits for the one before it', async () => {
    const client = await connected([]);
    const texts = ['Summer is warm.', 'Winter is cold.', 'Spring is green.'];
    const all = await Promise.all(texts.map((text) => said(client, 'analyze', { model: 'llama', text })));
    expect(all.map(({ text }) => /result (r\d)/.exec(text ?? '')?.[1])).toEqual(['r1', 'r2', 'r3']);
  });
});

describe('tools', () => {
  it('have a schema for each experiment, and write no file', async () => {
    const { tools } = await (await connected([])).listTools();
    const doctor = tools.find(({ name }) => name === 'sinkscope_doctor');
    expect(doctor?.inputSchema.required).toEqual(['model', 'text']);
    expect(doctor?.inputSchema.properties).toMatchObject({
      scheme: { enum: expect.arrayContaining(['int8-dynamic']) },
    });
    expect(Object.keys(doctor?.inputSchema.properties ?? {})).not.toContain('saveSmooth');
    expect(tools.length).toBeGreaterThan(20);
  });

  it('say in a sentence what does not fit', async () => {
    const client = await connected([]);
    const fails = async (name: string, args: object) => (await said(client, name, args)).failed;
    expect(await fails('none', {})).toMatch(/^There is no tool/);
    expect(await fails('analyze', { model: 'llama', txt: 'a' })).toBe(
      'There is no input "txt"; inputs are model, text, bos, part, stream.',
    );
    expect(await fails('analyze', { model: 'llama' })).toBe('Text: choose a text.');
    expect(await fails('analyze', { model: 'llama', text: { text: 'a', file: 'b' } })).toMatch(/either text or file/);
    expect(await fails('survey', { model: 'llama', texts: { text: 'a' } })).toMatch(
      /^The input "texts" does not fit: it takes texts or files, /,
    );
    expect(await fails('inspect', { model: 7 })).toBe(
      'The input "model" does not fit: it takes the name or the path of a model.',
    );
    expect(await fails('explain', { result: 'r9', token: 0 })).toBe(
      'There is no result "r9": nothing has been run yet.',
    );
    await said(client, 'analyze', { model: 'llama', text: 'Summer is warm.' });
    expect(await fails('explain', { result: 'r1', token: 99 })).toMatch(
      /^There is no token 99: the run has tokens 0 to /,
    );
    expect(await fails('explain', { result: 'r1', layer: 3, head: 4 })).toMatch(/^There is no head 4/);
    expect(await fails('doctor', { model: 'llama', text: 'a', saveSmooth: 'x.onnx' })).toMatch(/^There is no input/);
    expect(await fails('perplexity', { model: 'llama', text: 'a', window: 1e300 })).toMatch(/it is a whole number/);
    // However long what was given is, and where it is more than the protocol's own library takes.
    expect((await fails('analyze', { model: 'a/'.repeat(2_000), text: 'a' }))?.length).toBeLessThan(1_300);
    expect(await fails('inspect', { model: 'a/'.repeat(6 * 2 ** 20) })).toMatch(/… is longer than any path\./);
  });
});

describe('files', () => {
  it('are opened in the folders that are given, and links do not lead out of them', async () => {
    const [inside, outside] = [join(folder, 'inside'), join(folder, 'outside')];
    await mkdir(join(inside, 'texts'), { recursive: true });
    await mkdir(outside, { recursive: true });
    await writeFile(join(outside, 'secret.txt'), 'A secret that nobody may read here.');
    await writeFile(join(inside, 'text.txt'), 'Summer is warm. Winter is cold.');
    await symlink(join(outside, 'secret.txt'), join(inside, 'texts', 'link.txt'));
    await symlink(outside, join(inside, 'way'));
    for (const client of [await connected(['--folder', inside]), await connected([], [inside])]) {
      const analyze = (file: string) => said(client, 'analyze', { model: 'llama', text: { file } });
      expect((await analyze('text.txt')).text).toContain('Analysis of llama');
      for (const file of ['../outside/secret.txt', join(outside, 'secret.txt'), 'texts/link.txt', 'way/secret.txt'])
        expect((await analyze(file)).failed).toMatch(/is not opened: tools read files in [^ ]*inside alone\.$/);
      const corpus = { model: 'llama', texts: { files: ['texts'] }, sequences: 1, length: 4 };
      expect((await said(client, 'survey', corpus)).failed).toMatch(/link\.txt is not opened/);
      const model = await said(client, 'inspect', { model: join(outside, 'model.onnx') });
      expect(model.failed).toMatch(/is not opened.*Known models are llama,/);
    }
  });

  it('of no folder are opened where none is open', async () => {
    const client = await connected([], []);
    const { failed } = await said(client, 'analyze', { model: 'llama', text: { file: 'text.txt' } });
    expect(failed).toMatch(/is not opened: no folder is given to tools/);
  });
});
