import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { readDocument, readTexts } from '../../../src/experiments/shared/files.js';
import { noReader as reader, temporaryFolder } from '../../support/experiments.js';

let folder: string;
beforeEach(async () => {
  folder = await temporaryFolder();
});

/** A file of these lines. */
async function written(lines: readonly string[], name = 'data.jsonl'): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, lines.join('\n'));
  return file;
}

async function textsOf(path: string): Promise<[string, string][]> {
  const texts: [string, string][] = [];
  for await (const { name, text } of readTexts([path], reader)) texts.push([name, text]);
  return texts;
}

describe('a file of records', () => {
  it('gives the text of each, under its line', async () => {
    const file = await written(['{"id": 1, "text": "Summer.\\nWarm."}', '', '{"text": "冬", "title": "a"}\r', '']);
    expect(await textsOf(file)).toEqual([
      ['data.jsonl:1', 'Summer.\nWarm.'],
      ['data.jsonl:3', '冬'],
    ]);
    expect(await readDocument(file, reader)).toBe('Summer.\nWarm.\n\n冬');
  });

  it('is in a folder with texts', async () => {
    await written(['{"text": "a"}']);
    await writeFile(join(folder, 'b.txt'), 'b');
    expect((await textsOf(folder)).map(([, text]) => text).sort()).toEqual(['a', 'b']);
  });

  it('has the column that is named, or the only one that can be meant', async () => {
    const file = await written(['{"body": "a", "title": "b", "n": 3}']);
    expect(await textsOf(`${file}#title`)).toEqual([['data.jsonl:1', 'b']]);
    await expect(textsOf(file)).rejects.toThrow(
      `${file} has the columns body, title, n; name the one with the texts, as in data.jsonl#body.`,
    );
    expect(await textsOf(await written(['{"body": "a", "n": 3}'], 'one.jsonl'))).toEqual([['one.jsonl:1', 'a']]);
  });

  it('is a file whose name looks like one with a column', async () => {
    const file = await written(['{"text": "a"}'], 'x.jsonl#text');
    expect(await readDocument(file, reader)).toBe('{"text": "a"}');
  });

  it.each([
    ['{"text": "a"}\n[1]', /Line 2 of .*data\.jsonl is no JSON object; a record on each line is read\./],
    ['{"text": "a"}\n{"text": null}', /Line 2 of .*data\.jsonl has no text in the column text\./],
    // Not `id`, which holds one.
    ['{"text": null, "id": "a"}', /Line 1 of .*data\.jsonl has no text in the column text\./],
    ['{"text": "a"}\n{"constructor": "b"}', /Line 2 of .*data\.jsonl has no text in the column text\./],
    ['{"text": ', /Line 1 of .*data\.jsonl is no JSON object/],
    ['\n \n', /data\.jsonl has no records\./],
  ])('is told where it is none: %j', async (content, message) => {
    await expect(textsOf(await written([content]))).rejects.toThrow(message);
  });

  it('is UTF-8, wherever the file is cut when it is read', async () => {
    const text = 'é'.repeat(70_000);
    expect(await textsOf(await written([`{"text": "a${text}"}`]))).toEqual([['data.jsonl:1', `a${text}`]]);
    const file = join(folder, 'latin.jsonl');
    await writeFile(file, Buffer.concat([Buffer.from('{"text": "'), Uint8Array.of(0xe9), Buffer.from('"}')]));
    await expect(textsOf(file)).rejects.toThrow(/latin\.jsonl is not UTF-8 text/);
  });

  it('that is not there is told of', async () => {
    await expect(textsOf(join(folder, 'none.jsonl'))).rejects.toThrow(/none\.jsonl does not exist/);
  });
});
