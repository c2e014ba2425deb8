import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ResultJson } from '../../../src/analysis/result.js';
import { openSafetensors } from '../../../src/statistics/safetensors.js';
import references from '../../references/analysis.json';
import { model, node, value } from '../../support/build.js';
import { at, pairs } from '../../support/lists.js';
import { analyze, ended, fixture, path, printed, sinkscope, start } from './sinkscope.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sinkscope-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** PyTorch computes in another order of additions; entries that cancel late differ most. */
const close = (actual: number, expected: number) => expect(Math.abs(actual / expected - 1)).toBeLessThan(2e-4);

describe.each(Object.entries(references.models))('analyze %s on the sample equals PyTorch', (name, reference) => {
  let result: ResultJson;
  beforeAll(async () => {
    result = await analyze(name, '--file', path('media/sample.md'));
  });

  it('in its tokens', () => {
    expect(result.tokens.map((token) => token.id)).toEqual(reference.ids);
    expect(result.settings.bos).toBe(reference.prefix.length > 0);
  });

  it('in every layer', () => {
    for (const [layer, expected] of pairs(result.layers, reference.layers)) {
      close(layer.median, expected.median);
      for (const [i, entry] of expected.top.entries()) {
        const { value, token, dim } = at(layer.top, i);
        expect({ token, dim }).toEqual({ token: entry.token, dim: entry.dim });
        close(value, entry.value);
      }
      for (const [token, maximum] of Object.entries(expected.tokenMax)) {
        close(at(layer.token_max, Number(token)), at(maximum, 0));
        expect(layer.token_max_dim[Number(token)]).toBe(at(maximum, 1));
      }
      for (const [token, norm] of Object.entries(expected.tokenNorm)) close(at(layer.token_norm, Number(token)), norm);
      for (const [dim, max] of Object.entries(expected.dimMax)) close(at(layer.dim_max, Number(dim)), max);
    }
  });

  it('in its massive and large activations', () => {
    const order = (a: { token: number; dim: number }, b: { token: number; dim: number }) =>
      a.token - b.token || a.dim - b.dim;
    const found = [...result.massive_activations].sort(order);
    const massive = found.filter(({ kind }) => kind === 'massive');
    expect(massive.map(({ token, dim, onset, last }) => ({ token, dim, onset, last }))).toEqual(reference.massive);
    expect(
      found.map(({ token, dim, soft_onset, soft_last }) => ({ token, dim, onset: soft_onset, last: soft_last })),
    ).toEqual(reference.large);
  });

  it('in its attention sinks', () => {
    const { alpha, extra, tokens } = result.sinks;
    const first = alpha.map((heads) => heads?.map((row) => row[0]));
    for (const [heads, expected] of pairs(first, reference.alphaFirst)) {
      for (const [drawn, wanted] of pairs(heads, expected)) expect(drawn).toBeCloseTo(wanted, 5);
    }
    if (reference.alphaExtra) {
      for (const [columns, expected] of pairs(extra, reference.alphaExtra)) {
        expect(columns).toMatchObject({ side: 'first', columns: 1 });
        for (const [drawn, wanted] of pairs(columns?.alpha, expected)) expect(drawn).toBeCloseTo(wanted, 5);
      }
    } else expect(extra).toEqual(reference.alphaFirst.map(() => null));
    const sinks = tokens.filter(({ token }) => token !== null);
    expect(sinks.map(({ token, heads }) => ({ token, heads }))).toEqual(reference.sinks);
  });

  it('in its predictions', () => {
    expect(result.predictions?.token).toBe(reference.ids.length - 1);
    for (const [i, { id, text, probability }] of reference.predictions.entries()) {
      const prediction = at(result.predictions?.top, i);
      expect(prediction).toMatchObject({ id, text });
      expect(prediction.probability).toBeCloseTo(probability, 4);
    }
  });
});

describe('analyze', () => {
  it('prints a summary, tables and nothing for terminals when there is none', async () => {
    const { code, stdout, stderr } = await sinkscope('analyze', 'llama', '--text', 'Summer is warm. Winter is cold.');
    expect(code).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^llama · 8 layers × 256 dimensions · 10 tokens · with BOS · [\d.]+ m?s\n/);
    expect(stdout).toMatch(/1 massive dimension: 239 on ⟨bos⟩, \+2,0\d\d = [\d,]+ × the median, from layer 2 to \d/);
    expect(stdout).toMatch(/Sink: ⟨bos⟩ draws α > 0\.3 in \d+ of 32 heads \(T = 10\)/);
    expect(stdout).toMatch(/^ +massive +239 +\+2,0\d\d .*⟨bos⟩$/m);
    expect(stdout).toMatch(/Next token after “\.” \(token 9\)/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
    expect(stdout).not.toMatch(/\u001b/);
  });

  it('puts BOS before the text, or not, and says so', async () => {
    const given = await analyze('llama', '--text', 'Summer', '--bos');
    const without = await analyze('llama', '--text', 'Summer', '--no-bos');
    expect(given.settings.bos).toBe(true);
    expect(given.tokens[0]).toMatchObject({ text: '<|endoftext|>', special: true, start: 0, end: 0 });
    expect(without.settings.bos).toBe(false);
    expect(without.tokens).toEqual(given.tokens.slice(1));
  });

  it('takes token ids where there is no tokenizer', async () => {
    const result = await analyze(fixture('gpt2-ts-op14'), '--ids', '5, 6,7');
    expect(result.tokens.map(({ id, text }) => [id, text])).toEqual([
      [5, 'token 5'],
      [6, 'token 6'],
      [7, 'token 7'],
    ]);
    expect(result.source).toBe('ids');
    expect(result.settings.bos).toBeNull();
  });

  it('runs a part of a text that is too long, when told which', async () => {
    const long = 'The lamp was lit. '.repeat(120);
    const { code, stdout, stderr } = await sinkscope('analyze', 'llama', '--text', long);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/\b6\d\d tokens\b.*\b512\b.*--window first.*--window last/);
    expect(stderr).not.toContain('--memory');
    // Where memory is what bounds it, that is said.
    const bounded = await sinkscope('analyze', 'llama', '--text', long, '--memory', '4');
    expect(bounded.stderr).toMatch(/--memory raises it.* at most \d+ tokens\. Use --window first/);

    const result = await analyze('llama', '--text', long, '--window', 'last');
    expect(result.tokens).toHaveLength(512);
    expect(result.window.end - result.window.start).toBe(511); // and BOS
    expect(at(result.tokens, 511).end).toBe(long.length);
    const summary = await printed('analyze', 'llama', '--text', long, '--window', 'first');
    expect(summary).toMatch(/^Only tokens 0–510 of 6\d\d were run\.$/m);
  });

  it('saves what PyTorch has under the same names, from the feeds that PyTorch had', async () => {
    const golden = fixture('llama-ts-op17-sdpa', 'golden.safetensors');
    const file = join(folder, 'out.safetensors');
    const requested = ['--save', file, '--attention', '--mlp', '--logits'];
    const stdout = await printed('analyze', fixture('llama-ts-op17-sdpa'), '--feeds', golden, ...requested);
    expect(stdout).toContain(`Saved: ${file}\n`);

    const [expected, actual] = [await openSafetensors(golden), await openSafetensors(file)];
    const names = expected.names.filter((name) => !/^(input_ids|attention_mask|position_ids)$/.test(name));
    expect([...actual.names].sort()).toEqual([...names].sort());
    for (const name of names) {
      const [golden, saved] = [await expected.tensor(name), await actual.tensor(name)];
      expect(saved.shape, name).toEqual(golden.shape);
      const [a, b] = [new Float32Array(saved.bytes.buffer), new Float32Array(golden.bytes.buffer)];
      const scale = b.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
      const error = b.reduce((max, value, i) => Math.max(max, Math.abs(value - at(a, i))), 0);
      expect(error / scale, name).toBeLessThan(1e-5);
    }
  });

  it('saves hidden states alone when nothing else is asked for', async () => {
    const file = join(folder, 'out.safetensors');
    await printed('analyze', fixture('gpt2-ts-op14'), '--ids', '1,2,3', '--save', file);
    const { names } = await openSafetensors(file);
    expect(names.every((name) => /^(hidden|resid_mid)\.\d+$/.test(name))).toBe(true);
    expect(names).toContain('hidden.0');
  });
});

describe('inspect', () => {
  it.each(['llama-dynamo-op23', 'gpt2-ts-op14', 'llama-genai-fp32'])('names the parts of %s', async (name) => {
    const facts = JSON.parse(await readFile(fixture(name, 'fixture.json'), 'utf8'));
    const found = JSON.parse(await printed('inspect', fixture(name), '--json'));
    const keys = ['layers', 'hidden', 'heads', 'kv_heads', 'head_dim', 'mlp_hidden', 'parallel_block'];
    for (const key of keys) expect(found[key], key).toEqual(facts[key]);
    expect(found.file).toBe(fixture(name));
    expect(found.residual).toHaveLength(facts.layers + 1);
    expect(found.resid_mid).toHaveLength(facts.layers);
    expect(found.mlp.every((tensor: unknown) => typeof tensor === 'string')).toBe(true);
    expect(found.final_norm).toEqual(expect.any(String));
    expect(found.unembedding).toEqual(expect.any(String));
    expect(found.inputs.map((input: { name: string }) => input.name)).toEqual(
      facts.inputs.map((input: { name: string }) => input.name),
    );
    const fused = facts.not_in_graph.includes('attn.0');
    expect(found.attention).toHaveLength(facts.layers);
    for (const [i, site] of found.attention.entries()) {
      expect(site.layer).toBe(i + 1);
      expect(site[fused ? 'rebuilt_from' : 'pattern']).toEqual(expect.any(String));
      expect(site[fused ? 'pattern' : 'rebuilt_from']).toBeNull();
    }
  });

  it('says the same in words', async () => {
    const stdout = await printed('inspect', 'llama');
    expect(stdout).toMatch(/^llama · .*model\.onnx$/m);
    expect(stdout).toMatch(/^ +layers +8$/m);
    expect(stdout).toMatch(/^ +hidden size +256$/m);
    expect(stdout).toMatch(/^ +heads +4 \(4 for keys and values\) of 64$/m);
    expect(stdout).toMatch(/^ +input_ids +int64 \[batch, sequence\] +token ids/m);
  });
});

describe('what cannot be done ends with one sentence and no success', () => {
  const llama = ['analyze', 'llama'];
  it.each<[string, string[], RegExp]>([
    ['no prompt', llama, /give --text, --file, --ids, --feeds or --image/],
    ['an empty text', [...llama, '--text', ''], /no text/],
    ['two prompts', [...llama, '--text', 'a', '--ids', '1'], /'--text <text>' cannot be used with option '--ids/],
    ['a BOS beside ids', [...llama, '--ids', '1', '--bos'], /--bos is about texts/],
    ['ids that are no numbers', [...llama, '--ids', '1,x'], /whole numbers/],
    ['ids out of range', [...llama, '--ids', '1,8192'], /8192/],
    ['a missing text file', [...llama, '--file', 'none.txt'], /none\.txt does not exist; give/],
    ['a file that is no text', [...llama, '--file', path('test/pure/statistics/goldens.safetensors')], /not UTF-8/],
    ['feeds that are no safetensors', [...llama, '--feeds', path('media/sample.md')], /not a valid safetensors/],
    ['a text without a tokenizer', ['analyze', fixture('gpt2-ts-op14'), '--text', 'a'], /tokenizer.*token ids/],
    ['a window that is none', [...llama, '--text', 'a', '--window', 'middle'], /first, last/],
    ['threads of words', [...llama, '--text', 'a', '--threads', 'few'], /whole number/],
    ['a memory of nothing', [...llama, '--text', 'a', '--memory', '0'], /whole number of megabytes/],
    [
      'an unknown model',
      ['inspect', 'no-such-model'],
      /no bundled model called "no-such-model".*llama · cached, .*llama-plain/,
    ],
    ['a missing file', ['inspect', 'none.onnx'], /none\.onnx/],
    ['a file that is no model', ['inspect', path('media/sample.md')], /sample\.md/],
    ['an unknown option', [...llama, '--colour'], /unknown option '--colour'/],
  ])('%s', async (_, args, why) => {
    const { code, stdout, stderr } = await sinkscope(...args);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(why);
    expect(stderr.trimEnd()).not.toContain('\n');
  });

  it('a graph that is no transformer', async () => {
    const file = join(folder, 'relu.onnx');
    const relu = { nodes: [node('Relu', ['x'], ['y'])], inputs: [value('x', [1, 4])], outputs: [value('y', [1, 4])] };
    await writeFile(file, model(relu));
    const { code, stdout, stderr } = await sinkscope('inspect', file, '--json');
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/relu\.onnx is no transformer/);
    expect(stderr.trimEnd()).not.toContain('\n');
  });

  it('a place that cannot be written to, before anything is run', async () => {
    const file = join(folder, 'none', 'out.safetensors');
    const { code, stdout, stderr } = await sinkscope(...llama, '--text', 'a', '--save', file);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/out\.safetensors cannot be written: the folder .*none does not exist/);
  });
});

describe('interruption', () => {
  it('stops the run and leaves nothing behind', async () => {
    const ids = Array.from({ length: 512 }, (_, i) => i).join(',');
    const writing = watch(folder);
    const run = start('analyze', 'llama', '--ids', ids, '--save', join(folder, 'out.safetensors'), '--attention');
    const result = ended(run);
    await once(writing, 'change');
    writing.close();
    run.kill('SIGINT');
    const { code, stdout, stderr } = await result;
    expect(code).toBe(130);
    expect(stdout).toBe('');
    expect(stderr).toBe('sinkscope: Stopped.\n');
    expect(await readdir(folder)).toEqual([]);
  });

  it('ends what waits for the system', async () => {
    const pipe = join(folder, 'text');
    execFileSync('mkfifo', [pipe]);
    const run = start('analyze', 'llama', '--file', pipe);
    const result = ended(run);
    // Open when it is read from, and nothing comes.
    const writer = await open(pipe, 'w');
    run.kill('SIGTERM');
    expect(await result).toMatchObject({ signal: 'SIGTERM', stdout: '' });
    await writer.close();
  });

  it('is no failure when the reader has seen enough', async () => {
    const run = start('inspect', 'llama');
    run.stdout.destroy();
    const [[code], stderr] = await Promise.all([once(run, 'close'), text(run.stderr)]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });
});
