/** From nothing to a result by the command line alone, and a tokenizer that lies elsewhere. */
import { copyFile, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { demo, temporaryFolder } from '../../support/files.js';
import { commit, type StandIn, startHub } from '../../support/hub.js';
import { analyze, fixture, path, printed, sinkscope } from './sinkscope.js';

const tokenizer = path('media/models/llama/tokenizer.json');
const text = ['--text', 'Summer is warm. Winter is cold.'];

describe('a repository of the Hub', () => {
  let hub: StandIn;
  let home: string;
  beforeAll(async () => {
    home = await temporaryFolder();
    const beside = (name: string) => readFile(join(dirname(demo), name));
    hub = await startHub({
      'onnx/model.onnx': await readFile(demo),
      'onnx/model_q4.onnx': await readFile(fixture('llama-tfjs-q4')),
      'tokenizer.json': await beside('tokenizer.json'),
      'tokenizer_config.json': await beside('tokenizer_config.json'),
      'config.json': await beside('config.json'),
    });
    vi.stubEnv('HF_ENDPOINT', hub.endpoint).stubEnv('HF_HOME', home).stubEnv('HF_HUB_CACHE', '');
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await hub.close();
  });

  test('is listed, looked into, downloaded and run as what it is a copy of', async () => {
    const list = await printed('download', 'owner/name', '--list');
    expect(list).toContain('onnx/model.onnx and 3 more');
    expect(list).toMatch(/4-bit weights {2}onnx\/model_q4\.onnx/);
    const several = await sinkscope('download', 'owner/name');
    expect(several.stderr).toBe(
      'sinkscope: owner/name holds several models, so choose one: onnx/model_q4.onnx, onnx/model.onnx.\n',
    );
    expect(several.code).toBe(1);
    const file = ['--file', 'onnx/model.onnx'];
    const inspected = await printed('download', 'owner/name', ...file, '--inspect');
    const local = await printed('inspect', demo);
    expect(inspected.split('\n').slice(1)).toEqual(local.split('\n').slice(1));
    const downloaded = (await printed('download', 'owner/name', ...file)).trim();
    expect(downloaded).toBe(join(home, 'hub/models--owner--name/snapshots', commit, 'onnx/model.onnx'));
    const [{ layers }, expected] = [await analyze(downloaded, ...text), await analyze(demo, ...text)];
    expect(layers).toEqual(expected.layers);
  });

  test.runIf(process.platform === 'linux')('a cache that cannot be made is said at once', async () => {
    vi.stubEnv('HF_HOME', '/proc/none');
    const { code, stderr } = await sinkscope('download', 'owner/name', '--file', 'onnx/model.onnx');
    vi.stubEnv('HF_HOME', home);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^sinkscope: \/proc\/none\/hub cannot be written: there is no such file or folder\. .*HF_HOME.*\n$/,
    );
  });

  test('that is gated is said, with what to do', async () => {
    hub.faults.refuses = { status: 401, code: 'GatedRepo' };
    const { code, stderr } = await sinkscope('download', 'owner/name');
    hub.faults.refuses = undefined;
    expect(code).toBe(1);
    expect(stderr).toBe(
      `sinkscope: owner/name is given to those alone who accept its conditions: accept them on ${hub.endpoint}/owner/name, and set HF_TOKEN to your access token.\n`,
    );
  });
});

describe('a tokenizer.json that lies elsewhere', () => {
  let model: string;
  beforeAll(async () => {
    model = join(await temporaryFolder(), 'model.onnx');
    await copyFile(demo, model);
  });

  test('is run as if it lay beside the model, and the result says so', async () => {
    const { stderr } = await sinkscope('analyze', model, ...text);
    expect(stderr).toContain("has no tokenizer.json beside it: put the model's own there");
    const [chosen, own] = [await analyze(model, ...text, '--tokenizer', tokenizer), await analyze(demo, ...text)];
    expect(chosen.tokens).toEqual(own.tokens);
    expect(chosen.layers).toEqual(own.layers);
    expect(chosen.model.remarks).toContain(`tokenizer: ${tokenizer} was chosen for this model`);
    expect(own.model.remarks.join()).not.toContain('was chosen');
  });

  test('serves experiments as well, which say so', async () => {
    const options = ['--file', path('test/text/three-men-in-a-boat.md'), '--tokens', '40', '--window', '16', '--json'];
    const result = JSON.parse(await printed('perplexity', model, ...options, '--tokenizer', tokenizer));
    const own = JSON.parse(await printed('perplexity', demo, ...options));
    expect(result.perplexity).toBe(own.perplexity);
    expect(JSON.stringify(result.warnings)).toContain('was chosen for this model');
  });

  test('that is not there is said', async () => {
    const { code, stderr } = await sinkscope('analyze', model, ...text, '--tokenizer', '/nowhere/tokenizer.json');
    expect(code).toBe(1);
    expect(stderr).toMatch(/\/nowhere\/tokenizer\.json cannot be read: there is no such file or folder/);
  });
});
