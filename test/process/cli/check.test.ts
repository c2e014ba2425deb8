/** `sinkscope check` ends with 1 where a rule is broken, and says which in a line; with 2 where it cannot be checked. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../support/files.js';
import { analyze, path, sinkscope } from './here.js';

const text = ['--file', path('test/text/three-men-in-a-boat.md'), '--tokens', '48'];

describe('a model', () => {
  it('that breaks rules is told where', async () => {
    const { code, stdout } = await sinkscope(
      ...['check', 'llama', ...text, '--min-fp16-headroom', '1', '--max-massive-ratio', '1000'],
    );
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^min-fp16-headroom: fp16 headroom is 0\.01\d+ ×, below 1 ×: .* token 0, dim 239\.\nmax-massive-ratio: The largest entry of h_\d is [12],\d\d\d × the median, above 1,000 ×, token 0, dim 239\.\n$/,
    );
  });

  it('that keeps them is passed', async () => {
    const rules = ['--min-fp16-headroom', '1', '--max-massive-ratio', '1000', '--format', 'json'];
    const { code, stdout } = await sinkscope('check', 'llama-bias', ...text, ...rules);
    expect(code).toBe(0);
    const { ok, rules: found } = JSON.parse(stdout);
    expect(ok).toBe(true);
    expect(found.map(({ rule, broken }: { rule: string; broken: boolean }) => [rule, broken])).toEqual([
      ['min-fp16-headroom', false],
      ['max-massive-ratio', false],
    ]);
  });

  it('is compared with the one it was made from', async () => {
    const rules = ['--against', 'llama', '--max-kld', '0', '--min-same-top', '1'];
    const { code, stdout } = await sinkscope('check', 'llama', ...text, ...rules);
    expect([code, stdout]).toEqual([
      0,
      'All 2 rules hold.\nNo hidden state differs: it is the model that it is held against itself, or computes the same.\n',
    ]);
  });
});

it('reads a file of records as every other command does: as their texts', async () => {
  const folder = await temporaryFolder();
  const [records, plain] = [join(folder, 'a.jsonl'), join(folder, 'a.txt')];
  const texts = ['Summer is warm, and the days are long.', 'Winter is cold, and the days are short.'];
  await writeFile(records, texts.map((text) => JSON.stringify({ text })).join('\n'));
  await writeFile(plain, texts.join('\n\n'));
  const rules = ['--tokens', '48', '--max-massive-ratio', '1', '--format', 'json'];
  const told = async (file: string) => JSON.parse((await sinkscope('check', 'llama', '--file', file, ...rules)).stdout);
  expect((await told(records)).rules).toEqual((await told(plain)).rules);
  const [{ tokens }, expected] = [await analyze('llama', '--file', records), await analyze('llama', '--file', plain)];
  expect(tokens).toEqual(expected.tokens);
});

describe('what cannot be checked is refused in a sentence', () => {
  it.each([
    [[], /There is no rule to hold the model to: give --max-kld/],
    [['--max-kld', '0.1'], /compare with the model that this one was made from: give it by --against/],
    [['--max-kld', 'much', '--against', 'llama'], /It is a number from 0 on/],
    [['--min-fp16-headroom', '1', '--format', 'pdf'], /Allowed choices are text, json, junit, sarif, markdown/],
  ])('%j', async (rules, expected) => {
    const { code, stdout, stderr } = await sinkscope('check', 'llama', ...text, ...rules);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(expected);
  });
});
