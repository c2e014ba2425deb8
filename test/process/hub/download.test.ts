/** Downloads from a stand-in for the Hub into a cache as Hugging Face's tools keep it. */
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SinkscopeError } from '../../../src/errors.js';
import { bytesToCome, chosenModel, download } from '../../../src/hub/download.js';
import { modelsOf, repositoryOf } from '../../../src/hub/repository.js';
import { hubOf, listRepository } from '../../../src/hub/server.js';
import { besideModel } from '../../../src/models/folder.js';
import { startEngine } from '../../support/engine.js';
import { demo, fixture, temporaryFolder } from '../../support/files.js';
import { commit, gitHash, type StandIn, sha256, startHub } from '../../support/hub.js';

const engine = startEngine();
const signal = new AbortController().signal;
const ours = fixture('llama-dynamo-op18-ext').model;
const beside = (name: string) => readFileSync(join(dirname(ours), name));
const files = {
  'README.md': Buffer.from('# A model'),
  'config.json': Buffer.from('{"max_position_embeddings": 64}'),
  'tokenizer.json': readFileSync(join(dirname(demo), 'tokenizer.json')),
  'onnx/model.onnx': readFileSync(ours),
  'onnx/model.onnx.data': beside('model.onnx.data'),
  'onnx/model_q4.onnx': Buffer.from('other'),
  'pytorch_model.bin': Buffer.from('weights'),
};
const wanted = ['onnx/model.onnx', 'config.json', 'onnx/model.onnx.data', 'tokenizer.json'];

let hub: StandIn;
let cache: string;
let folders: string;
beforeAll(async () => {
  folders = await temporaryFolder();
});
let count = 0;
beforeEach(async () => {
  await hub?.close();
  hub = await startHub(files);
  cache = join(folders, `${++count}`);
});
afterAll(() => hub?.close());

const listed = (environment = {}) => {
  const asked = hubOf({ HF_ENDPOINT: hub.endpoint, ...environment });
  return listRepository(asked, repositoryOf('owner/name', asked.endpoint), signal);
};

/** Downloads, and gives the path with what was said on the way. */
async function fetched(environment = {}, until = signal) {
  const from = hubOf({ HF_ENDPOINT: hub.endpoint, ...environment });
  const listing = await listRepository(from, repositoryOf('owner/name', from.endpoint), signal);
  const model = chosenModel(listing, modelsOf(listing, besideModel), 'onnx/model.onnx');
  const run = download(from, listing, model, { cache, engine, signal: until });
  const said: { path: string; done: number; of: number }[] = [];
  let step = await run.next();
  for (; !step.done; step = await run.next()) said.push(step.value);
  return { path: step.value, said };
}

async function problem(action: Promise<unknown>) {
  const error = await action.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!SinkscopeError.is(error)) throw error ?? new Error('nothing went wrong');
  return error;
}

const resolved = () => hub.asked.filter((line) => line.includes('/resolve/'));
const repository = () => join(cache, 'models--owner--name');

describe('a download', () => {
  test('is the model, its weights, its tokenizer and configuration, in the layout of the cache, and runs', async () => {
    const { path, said } = await fetched({ HF_TOKEN: 'secret' });
    expect(path).toBe(join(repository(), 'snapshots', commit, 'onnx/model.onnx'));
    expect(readlinkSync(path)).toBe(join('../../../blobs', sha256(files['onnx/model.onnx'])));
    const config = join(repository(), 'snapshots', commit, 'config.json');
    expect(readlinkSync(config)).toBe(join('../../blobs', gitHash(files['config.json'])));
    expect(readdirSync(join(repository(), 'blobs'))).toHaveLength(wanted.length);
    expect(readFileSync(join(repository(), 'refs/main'), 'utf8')).toBe(commit);
    expect((await engine.inspect(path)).model.name).toBe('owner/name');
    const bytes = wanted.reduce((sum, name) => sum + Buffer.from(files[name as keyof typeof files]).length, 0);
    expect(said.at(-1)).toMatchObject({ done: bytes, of: bytes });
    // Where files lie in truth is another host, which is not to have the token.
    expect(hub.leaked).toEqual([]);
  });

  test('asks for nothing that is there', async () => {
    await fetched();
    const before = resolved().length;
    await fetched();
    expect(resolved()).toHaveLength(before);
  });

  test('takes weights under names of their own, when the graph says which', async () => {
    const odd = readFileSync(ours);
    const from = Buffer.from('model.onnx.data');
    const to = Buffer.from('weights/all.bin');
    expect(from).toHaveLength(to.length);
    for (let at = odd.indexOf(from); at >= 0; at = odd.indexOf(from, at + 1)) to.copy(odd, at);
    hub.files.set('onnx/model.onnx', odd);
    hub.files.set('onnx/weights/all.bin', files['onnx/model.onnx.data']);
    hub.files.delete('onnx/model.onnx.data');
    const { path } = await fetched();
    expect((await engine.inspect(path)).model.layers).toBeGreaterThan(0);
  });

  test('goes on at once from where a connection broke', async () => {
    hub.faults.breakAfter = [1000, 3000];
    const { path } = await fetched();
    expect(readFileSync(path)).toEqual(files['onnx/model.onnx']);
    expect(
      resolved()
        .slice(0, 3)
        .map((line) => line.split(' ')[2]),
    ).toEqual([undefined, 'bytes=1000-', 'bytes=4000-']);
  });

  test('keeps what came when it breaks for good, and the next one goes on', async () => {
    hub.faults.breakAfter = [1000, 0];
    const { code, message } = await problem(fetched());
    expect(code).toBe('network');
    expect(message).toMatch(
      /^The connection broke at 1,000 of [\d,]+ bytes of onnx\/model\.onnx: .+\. What has arrived is kept; download it again to go on from there\.$/,
    );
    const partial = join(repository(), 'blobs', `${sha256(files['onnx/model.onnx'])}.incomplete`);
    expect(readFileSync(partial)).toEqual(files['onnx/model.onnx'].subarray(0, 1000));
    expect(existsSync(join(repository(), 'snapshots'))).toBe(false);
    const listing = await listed();
    const model = chosenModel(listing, modelsOf(listing, besideModel), 'onnx/model.onnx');
    const all = model.files.reduce((sum, { size }) => sum + size, 0);
    expect(await bytesToCome(cache, listing, model.files)).toBe(all - 1000);
    const before = resolved().length;
    await fetched();
    expect(resolved()[before]).toContain('bytes=1000-');
    expect(await bytesToCome(cache, listing, model.files)).toBe(0);
  });

  test('begins anew where a server gives no parts of files', async () => {
    hub.faults.breakAfter = [1000];
    hub.faults.whole = true;
    expect(readFileSync((await fetched()).path)).toEqual(files['onnx/model.onnx']);
  });

  test('stops when it is told to, and keeps what came', async () => {
    const controller = new AbortController();
    const from = hubOf({ HF_ENDPOINT: hub.endpoint });
    const listing = await listed();
    const model = chosenModel(listing, modelsOf(listing, besideModel), 'onnx/model.onnx');
    const run = download(from, listing, model, { cache, engine, signal: controller.signal });
    await run.next();
    controller.abort();
    const { code } = await problem(run.next());
    expect(code).toBe('cancelled');
  });

  test.each([
    ['onnx/model.onnx', undefined],
    ['config.json', undefined],
    // What lies there from before may be another file's.
    ['onnx/model.onnx', Buffer.from('not the beginning')],
  ])('refuses %s with a wrong checksum, and removes it', async (name, there) => {
    if (there) {
      mkdirSync(join(repository(), 'blobs'), { recursive: true });
      writeFileSync(join(repository(), 'blobs', `${sha256(files['onnx/model.onnx'])}.incomplete`), there);
    } else hub.faults.damaged.add(name);
    const { code, message } = await problem(fetched());
    expect(code).toBe('network');
    expect(message).toBe(
      `${name} does not have the checksum that its repository states, so what arrived was removed; download it again, and tell owner/name if it stays so.`,
    );
    hub.faults.damaged.clear();
    const snapshot = join(repository(), 'snapshots', commit, name);
    expect(lstatSync(snapshot, { throwIfNoEntry: false })).toBeUndefined();
    await fetched();
  });

  test('leaves out files whose names lead elsewhere', async () => {
    hub.faults.listed = ['../../outside.onnx', '/etc/model.onnx', 'onnx/../../model.onnx', 'a\\b.onnx', 'C:/x.onnx'];
    const listing = await listed();
    expect(modelsOf(listing, besideModel).map(({ path }) => path)).toEqual(['onnx/model_q4.onnx', 'onnx/model.onnx']);
    expect(listing.refused).toBe(5);
  });
});

test.each([
  [
    { status: 404, code: 'RepoNotFound' },
    {},
    /^There is no model owner\/name on .+, or it is private: check the name, or set HF_TOKEN/,
  ],
  [{ status: 401, code: 'RepoNotFound' }, {}, /^There is no model owner\/name on .+, or it is private/],
  [
    { status: 401, code: 'GatedRepo' },
    {},
    /accept them on http.+\/owner\/name, and set HF_TOKEN to your access token\.$/,
  ],
  [{ status: 403, code: 'GatedRepo' }, { HF_TOKEN: 'x' }, /the account of HF_TOKEN did not: accept them on/],
  [{ status: 401 }, { HF_TOKEN: 'x' }, /refuses the access token in HF_TOKEN \(401\); make a new one, or unset it\.$/],
  [{ status: 404, code: 'RevisionNotFound' }, {}, /^owner\/name has no revision main; leave it out/],
  [{ status: 429 }, {}, /asks for a pause \(429\); try again in a few minutes\.$/],
  [{ status: 429, after: '1800' }, {}, /asks for a pause \(429\); try again in 1,800 seconds\.$/],
  // A date, as HTTP allows.
  [{ status: 429, after: 'Fri, 27 Nov 2026 20:00:00 GMT' }, {}, /try again in a few minutes\.$/],
  [{ status: 503 }, {}, /has a fault of its own \(503\); try again later\.$/],
])('%o is a sentence that says what to do', async (refuses, environment, sentence) => {
  hub.faults.refuses = refuses;
  const { code, message } = await problem(listed(environment));
  expect(code).toBe('network');
  expect(message).toMatch(sentence);
});

test('a hub that is not there is told from one that refuses', async () => {
  const { endpoint } = hub;
  await hub.close();
  const asked = hubOf({ HF_ENDPOINT: endpoint });
  const { code, message } = await problem(listRepository(asked, repositoryOf('owner/name', endpoint), signal));
  expect(code).toBe('network');
  expect(message).toMatch(/^http:.+ cannot be reached: it takes no connections\. Check the connection/);
});
